"""Which runs scored a test split before: the more options were tried on it, the less it says.

A line of JSON a scoring in a file beside the runs; a run names those before it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from emo.heads.data import Data
from emo.heads.options import FitOptions
from emo.heads.question import name_of, question_of

LEDGER = ".test-scorings.jsonl"


def record(out: Path, data: Data, options: FitOptions) -> tuple[str, ...]:
    """Write down that this run scores its test split.

    Returns:
        The runs beside it that scored the same clips under other options before, each once.
    """
    if "test" not in data.splits:
        return ()
    entry = {
        "test": _name(data), "asked": name_of(question_of(data, options)), "run": out.name,
    }  # fmt: skip
    path = out.absolute().parent / LEDGER
    known = [line for line in _lines(path) if line.get("test") == entry["test"]]
    if entry not in known:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(entry) + "\n")  # before it may stand a line that was cut
    others = [line for line in known if line.get("asked") != entry["asked"]]
    return tuple(dict.fromkeys(str(line.get("run")) for line in others))


def note_on(earlier: tuple[str, ...]) -> str:
    """For the reader of the scores."""
    shown = ", ".join(earlier[:3]) + (" …" if len(earlier) > 3 else "")
    return (
        f"test was scored before under other options ({len(earlier)}: {shown}): choose by val, "
        "and report how many were tried"
    )


def _name(data: Data) -> str:
    """Of the test clips and what is predicted of them."""
    facts = [sorted(data.splits["test"].ids), [target.name for target in data.targets]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _lines(path: Path) -> list[dict[str, Any]]:
    """A line that was cut when the disk was full is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
