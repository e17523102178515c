"""Find which parts of the paths are the split, the label and the speaker of the clips.

A label is a part of words for emotions, else the one level of folders that is no split and no
speaker. A speaker is a part whose names recur under several labels. Where several parts fit equally
well, all readings are returned and the user must choose.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emo.manifest.naming.parts import WHOLE_NAME, NamePart, Paths, split_parts
from emo.manifest.naming.words import (
    are_emotions,
    are_numberings,
    are_numbers,
    are_speakers,
    have_digits,
)

_FEW = 4
"""Number of files from which a part that differs in each of them is no label."""


@dataclass(frozen=True)
class Reading:
    """One way to read the paths: which part is which column; None: no part is."""

    split: NamePart | None = None
    label: NamePart | None = None
    speaker: NamePart | None = None

    def column_of(self, part: NamePart) -> str | None:
        """Return the column that a part is read as; None: it is none."""
        names = {"split": self.split, "label": self.label, "speaker": self.speaker}
        return next((name for name, each in names.items() if each is part), None)


def readings_of(paths: Paths) -> list[Reading]:
    """Return every reading that fits; several: the paths do not tell which one is meant."""
    found: list[Reading] = []
    splits: list[NamePart | None] = [*split_parts(paths)]
    for split in splits or [None]:
        rest = [part for part in (*paths.folders, *paths.names) if part is not split]
        found += [
            Reading(split, label, speaker) for label, speaker in _labelled(_without_doubles(rest))
        ]
    return found


def take_of(paths: Paths) -> NamePart | None:
    """Return the last part of the names if it only numbers the files."""
    last = paths.names[-1:]
    return last[0] if last and _is_numbering(last[0]) else None


def _labelled(parts: Sequence[NamePart]) -> list[tuple[NamePart | None, NamePart | None]]:
    """Return the pairs of label and speaker that fit."""
    emotions = [part for part in parts if are_emotions(part.distinct)]
    if emotions:
        return [(label, speaker) for label in emotions for speaker in _speakers(label, parts)]
    various = [part for part in parts if _varies(part) and not _is_numbering(part)]
    folders = [p for p in various if p.is_folder and not are_speakers(p.filled)]
    folders = [p for p in folders if not have_digits(p.distinct)] or folders
    words = [p for p in various if not p.is_folder and not have_digits(p.distinct)]
    if not folders:
        return [(None, None)]
    crossed = [part for part in words for folder in folders if recurs(part, folder)]
    labels = [*folders, *dict.fromkeys(crossed)]
    return [(label, speaker) for label in labels for speaker in _speakers(label, parts)]


def _speakers(label: NamePart, parts: Sequence[NamePart]) -> list[NamePart | None]:
    """Return the parts that can be the speaker beside a label; [None]: there is none."""
    numbers = _takes(parts)
    found = [
        part
        for part in parts
        if part is not label
        and part not in numbers
        and len(part.distinct) > 1
        and not are_numberings(part.filled)
        and not are_emotions(part.distinct)
        and not _is_file_id(part)
        and recurs(part, label)
    ]
    named = [part for part in found if are_speakers(part.filled)]
    return list(named or found) or [None]


def recurs(part: NamePart, label: NamePart) -> bool:
    """Return whether names of a part stand under several labels: most of those that can."""
    counts: dict[str, int] = defaultdict(int)
    labels: dict[str, set[str]] = defaultdict(set)
    for name, under in zip(part.values, label.values, strict=True):
        if name and under:
            counts[name] += 1
            labels[name].add(under)
    repeated = [name for name, count in counts.items() if count > 1]
    several = sum(len(labels[name]) > 1 for name in repeated)
    return several > 0 and 2 * several >= len(repeated)


def _takes(parts: Sequence[NamePart]) -> list[NamePart]:
    """Return the parts that number takes: numbers at the end of the names.

    Where all parts of a name are numbers, the first may be a speaker.
    """
    names = [part for part in parts if not part.is_folder and len(part.distinct) > 1]
    takes: list[NamePart] = []
    while names and _is_numbering(names[-1]):
        takes.append(names.pop())
    all_numbers = not names and len(takes) > 1
    return takes[:1] if all_numbers else takes


def _is_numbering(part: NamePart) -> bool:
    """Return whether a part numbers files, takes or sessions, or names a kind of file."""
    are_takes = not part.is_folder and are_numbers(part.filled)
    return are_takes or are_numberings(part.filled)


def _is_file_id(part: NamePart) -> bool:
    """Return whether a part is the whole name of a file, with a number that tells no speaker."""
    return part.title == WHOLE_NAME and have_digits(part.distinct) and not are_speakers(part.filled)


def _varies(part: NamePart) -> bool:
    """Return whether a part has several names, of which some occur several times."""
    filled = sum(map(bool, part.values))
    is_common = 2 * filled >= len(part.values)
    return is_common and len(part.distinct) > 1 and (len(part.distinct) < filled or filled < _FEW)


def _without_doubles(parts: Sequence[NamePart]) -> list[NamePart]:
    """Return the parts without those that always change together with an earlier one."""
    kept: list[NamePart] = []
    for part in parts:
        if len(part.distinct) < 2 or not any(_change_together(part, other) for other in kept):
            kept.append(part)
    return kept


def _change_together(part: NamePart, other: NamePart) -> bool:
    pairs = set(zip(part.values, other.values, strict=True))
    return len(pairs) == len(set(part.values)) == len(set(other.values)) < len(part.values)


def pattern_of(paths: Paths, reading: Reading) -> str:
    """Return a reading as ``--pattern`` takes it, such as ``{split}/{label}/{speaker}_{take}``."""
    take = take_of(paths)
    fields = [
        f"{{{reading.column_of(part) or ('take' if part is take else '_')}}}"
        for part in (*paths.folders, *paths.names)
    ]
    text = "".join(_joined(fields, paths))
    while text.startswith("{_}/"):  # a pattern is compared with the end of the path
        text = text.removeprefix("{_}/")
    return text


def _joined(fields: Sequence[str], paths: Paths) -> Iterator[str]:
    """Yield fields with the texts between them."""
    folders = len(paths.folders)
    for field in fields[:folders]:
        yield f"{field}/"
    names = list(fields[folders:]) or ["{_}"]
    yield names[0]
    for separator, field in zip(paths.separators, names[1:], strict=True):
        yield f"{separator}{field}"
