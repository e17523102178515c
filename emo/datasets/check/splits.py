"""Check the rows of a manifest: texts, turns, splits, speakers."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from emo.datasets.check.classes import class_findings
from emo.datasets.check.finding import Finding, error, warning
from emo.datasets.check.overlap import same_text
from emo.errors import plural
from emo.machine.untrusted.formulas import is_formula
from emo.manifest import COLUMNS, Clip
from emo.manifest.spelling import alike, plain, quoted


def row_findings(clips: Sequence[Clip], target: str, task: str | None = None) -> list[Finding]:
    """Check everything that the rows show without opening a file.

    Args:
        clips: the rows.
        target: the column that will be trained.
        task: its task; None: the task that its cells suggest.
    """
    return [
        *_texts_and_names(clips),
        *_dialogues(clips),
        *_splits(clips),
        *class_findings(clips, target, task),
        *_shared(clips),
        *_spellings(clips),
    ]


def _texts_and_names(clips: Sequence[Clip]) -> list[Finding]:
    """Find empty texts, and columns whose names are nearly those with a fixed meaning."""
    has_text = any(clip.text for clip in clips)
    names = sorted({name for clip in clips for name in clip.targets})
    near = [n for n in names if n not in COLUMNS and n.strip().lower().replace(" ", "_") in COLUMNS]
    return [
        warning("empty texts", [clip.id for clip in clips if has_text and not clip.text]),
        warning(
            "columns that look like ours",
            [f"{name!r}: --column {name.lower().replace(' ', '_')}={name}" for name in near],
        ),
        warning(
            "ids that a spreadsheet would run",
            [clip.id for clip in clips if is_formula(clip.id)],
            "tables of predictions keep ids as they are: do not open those in a spreadsheet",
        ),
    ]


def _dialogues(clips: Sequence[Clip]) -> list[Finding]:
    """Find turns that are missing from a dialogue or occur twice in it."""
    turns: defaultdict[str, list[int]] = defaultdict(list)
    for clip in clips:
        if clip.dialogue is not None and clip.turn is not None:
            turns[clip.dialogue].append(clip.turn)
    gaps, twice = [], []
    for dialogue, numbers in turns.items():
        lacking = _gaps(sorted(set(numbers)))
        if lacking:
            gaps.append(f"{dialogue} (turn {', '.join(lacking)})")
        doubled = sorted(turn for turn, count in Counter(numbers).items() if count > 1)
        twice += [f"{dialogue} (turn {turn})" for turn in doubled]
    return [
        warning("dialogues with gaps in their turns", gaps),
        warning("turns that occur twice in a dialogue", twice),
    ]


def _gaps(turns: Sequence[int]) -> list[str]:
    """Return the numbers that are missing between sorted turns.

    >>> _gaps([0, 2, 7])
    ['1', '3–6']
    """
    return [
        f"{before + 1}" if after == before + 2 else f"{before + 1}–{after - 1}"
        for before, after in itertools.pairwise(turns)
        if after > before + 1
    ]


def _splits(clips: Sequence[Clip]) -> list[Finding]:
    """Find an empty train split, and clips without a split."""
    counts = Counter(clip.split for clip in clips)
    has_splits = set(counts) != {None}
    empty = ["no row has split train"] if has_splits and not counts["train"] else []
    without = [clip.id for clip in clips if has_splits and clip.split is None]
    return [error("empty train split", empty), warning("clips without a split", without)]


def _shared(clips: Sequence[Clip]) -> list[Finding]:
    """Find speakers, files, clips named in a column ``clip`` and texts that val or test share with
    train."""
    return [
        finding
        for split in ("val", "test")
        for finding in (
            _common(
                "speakers",
                split,
                clips,
                lambda clip: (plain(clip.speaker or ""),),
                lambda clip: clip.speaker or "",
            ),
            _common("files", split, clips, lambda clip: (clip.video, clip.audio)),
            _common("values of clip", split, clips, lambda clip: (clip.targets.get("clip"),)),
            _common("texts", split, clips, lambda clip: (same_text(clip.text),), _quoted),
        )
        if finding
    ]


def _spellings(clips: Sequence[Clip]) -> list[Finding]:
    """Find speakers and dialogues that differ only in spelling."""
    found = [
        f"{column} {', '.join(f'{quoted(name)} ({count})' for name, count in names)}"
        for column in ("speaker", "dialogue")
        for names in alike(filter(None, (getattr(clip, column) for clip in clips)))
    ]
    return [
        warning(
            "speakers or dialogues spelt in two ways",
            found,
            "splits that are cut keep them together; dialogues are read as they are spelt",
        )
    ]


def _common(
    what: str,
    split: str,
    clips: Sequence[Clip],
    keys: Callable[[Clip], Iterable[str | None]],
    name: Callable[[Clip], str] | None = None,
) -> Finding | None:
    """Find keys of a split that train has, too, the most frequent first.

    Args:
        what: name of the keys, in plural.
        split: ``val`` or ``test``.
        clips: all clips.
        keys: returns the keys of a clip; None and ``""`` do not count.
        name: returns the text that is shown for the keys of a clip; None: the key itself.

    Returns:
        The finding; None if train or the split has no keys.
    """
    trained = {key for clip in clips if clip.split == "train" for key in keys(clip) if key}
    tested = [(clip, [key for key in keys(clip) if key]) for clip in clips if clip.split == split]
    tested = [(clip, found) for clip, found in tested if found]
    if not tested or not trained:
        return None
    frequent = Counter(key for _, found in tested for key in found)
    names = {key: name(clip) if name else key for clip, found in tested[::-1] for key in found}
    both = [key for key, _ in frequent.most_common() if key in trained]
    affected = sum(not trained.isdisjoint(found) for _, found in tested)
    return warning(
        f"{what} of {split} that train has too",
        [names[key] for key in both],
        f"of {len(frequent)}, in {affected:,} of {plural(len(tested), 'clip')}",
    )


def _quoted(clip: Clip) -> str:
    """Return the text of a clip in quotes."""
    return repr(clip.text)
