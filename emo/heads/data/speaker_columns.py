"""Say that no column names speakers where a test is cut, and which columns may name them."""

from collections.abc import Sequence

from emo.errors import listed
from emo.manifest import Clip


def note_without_speakers(clips: Sequence[Clip], labels: Sequence[str]) -> str:
    """Return a note that test may share speakers with train, and which columns may name them."""
    said = "speakers: no clip names one, so test may share speakers with train"
    columns = dict.fromkeys(name for clip in clips for name in clip.targets)
    likely = [
        name
        for name in columns
        if _may_be_speakers([clip.targets.get(name) or "" for clip in clips], labels)
    ]
    if not likely:
        return said
    return f"{said}; if a column does ({listed(likely)}): --column speaker={likely[0]}"


def _may_be_speakers(values: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether each value has several clips, of which at least one value has two labels."""
    labels_of: dict[str, list[str]] = {}
    for value, label in zip(values, labels, strict=True):
        labels_of.setdefault(value, []).append(label)
    each = list(labels_of.values())
    few = all(len(found) >= 2 for found in each) and len(each) >= 2 and "" not in labels_of
    return few and any(len(set(found) - {""}) > 1 for found in each)
