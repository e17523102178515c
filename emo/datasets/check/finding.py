"""Finding: one line of the report of `emo check`, for one kind of problem."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
EXAMPLES = 5
"""Most occurrences that are shown."""
_EXAMPLE_LETTERS = 90
"""Longest text of an occurrence."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem, and all its occurrences."""

    name: str
    """Name of the kind, such as ``missing files``."""
    weight: Severity
    """``error``: training would be wrong; ``warning``: it may be intended."""
    found: tuple[str, ...]
    """Text of every occurrence; empty: the problem was not found."""
    note: str = ""
    """Text shown before the examples."""

    @property
    def severity(self) -> str:
        """``ok`` when nothing was found, else ``error`` or ``warning``."""
        return self.weight if self.found else "ok"

    def row(self) -> dict[str, object]:
        """Return the table row, with up to five examples."""
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
    """Make a finding that makes training wrong.

    Args:
        name: name of the kind of problem.
        found: text of every occurrence.
        note: text shown before the examples.
    """
    return Finding(name, "error", tuple(found), note)


def warning(name: str, found: Sequence[str], note: str = "") -> Finding:
    """Make a finding that may be intended.

    Args:
        name: name of the kind of problem.
        found: text of every occurrence.
        note: text shown before the examples.
    """
    return Finding(name, "warning", tuple(found), note)


def _short(text: str) -> str:
    """Return a text as one line of at most ``_EXAMPLE_LETTERS`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= _EXAMPLE_LETTERS else line[: _EXAMPLE_LETTERS - 1] + "…"
