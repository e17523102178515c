"""Finding: one line of the report, a kind of thing that is wrong or worth knowing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
EXAMPLES = 5
_EXAMPLE_LETTERS = 90


@dataclass(frozen=True)
class Finding:
    """How often something was found, and where."""

    name: str
    weight: Severity
    """``error``: training would be wrong; ``warning``: it may be meant."""
    found: tuple[str, ...]
    """Every occurrence, as a person would name it."""
    note: str = ""
    """Put before the examples."""

    @property
    def severity(self) -> str:
        """``ok`` when nothing was found, else the weight."""
        return self.weight if self.found else "ok"

    def row(self) -> dict[str, object]:
        """The line of the table, with up to five examples."""
        examples = "; ".join(map(_short, self.found[:EXAMPLES]))
        more = "; …" if len(self.found) > EXAMPLES else ""
        note = f"{self.note}: " if self.note and self.found else ""
        return {
            "finding": self.name,
            "severity": self.severity,
            "count": len(self.found),
            "examples": f"{note}{examples}{more}",
        }


def error(name: str, found: Sequence[str], note: str = "") -> Finding:
    """A finding that makes training wrong."""
    return Finding(name, "error", tuple(found), note)


def warning(name: str, found: Sequence[str], note: str = "") -> Finding:
    """A finding that may be meant."""
    return Finding(name, "warning", tuple(found), note)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXAMPLE_LETTERS else line[: _EXAMPLE_LETTERS - 1] + "…"
