"""Counts the clips of one manifest that stand in another: before one is used to test the other."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from emo.manifest import Clip, Manifest
from emo.table import format_table

SPLITS = ("train", "val", "test")
LONG_WORDS = 5
"""From this length on, the same words by the same speaker are hardly chance."""
_CONTRACTIONS = (
    (r"\bwon't\b", "will not"), (r"\bcan't\b", "can not"), (r"\bcannot\b", "can not"),
    (r"n't\b", " not"), (r"'m\b", " am"), (r"'re\b", " are"), (r"'ve\b", " have"),
    (r"'ll\b", " will"), (r"'d\b", " would"), (r"'s\b", " is"),
)  # fmt: skip


@dataclass(frozen=True)
class OverlapReport:
    """Clips of ``a`` that stand in ``b`` and the other way round, by what counts as the same."""

    a: Path
    b: Path
    rows: tuple[dict[str, object], ...]
    """One a rule: how many clips of ``a`` stand in ``b`` by it, and the other way round."""
    by_split: tuple[dict[str, object], ...]
    """Clips of each split of ``a`` by the split of ``b`` in which their long text stands."""

    def table(self) -> str:
        """For people to read."""
        parts = [f"a = {self.a}\nb = {self.b}", format_table(self.rows)]
        if self.by_split:
            parts.append(
                f"same text ({LONG_WORDS} words or more) and speaker\n{format_table(self.by_split)}"
            )
        return "\n\n".join(parts)


def overlap(a: Manifest, b: Manifest) -> OverlapReport:
    """Compare two manifests by file, id, text, and text with speaker.

    Texts are compared without case, punctuation and spaces and with English contractions spelled
    out (``That's`` and ``that is`` are the same), speakers without case.
    """
    rules: dict[str, Callable[[Manifest, Clip], Hashable]] = {
        "same file and times": _file,
        "same id": lambda _, clip: clip.id,
        "same text": lambda _, clip: same_text(clip.text),
        "same text and speaker": _text_and_speaker,
        f"same text ({LONG_WORDS} words or more) and speaker": _long_text_and_speaker,
    }
    rows = []
    for name, key in rules.items():
        ours, theirs = ([key(m, clip) for clip in m.clips] for m in (a, b))
        common = {value for value in ours if value} & {value for value in theirs if value}
        in_b, in_a = (sum(value in common for value in values) for values in (ours, theirs))
        rows.append({"clips": name, "a in b": in_b, "b in a": in_a})
    sizes: dict[str, object] = {"clips": "all", "a in b": len(a.clips), "b in a": len(b.clips)}
    return OverlapReport(a.path, b.path, (*rows, sizes), tuple(_by_split(a, b)))


def same_text(text: str | None) -> str:
    """What texts are compared by: ``Oh, that's 5!`` -> ``ohthatis5``; ``""`` when nothing is left.

    >>> same_text("That’s Ross, isn't it?") == same_text("that is ross , is not it")
    True
    """
    plain = unicodedata.normalize("NFKC", text or "").casefold().replace("’", "'")
    if "'" in plain:
        for pattern, words in _CONTRACTIONS:
            plain = re.sub(pattern, words, plain)
    letters = "".join(letter for letter in plain if letter.isalnum())
    return letters or "".join(plain.split())  # "?!" is a text too


def _file(manifest: Manifest, clip: Clip) -> Hashable:
    path = clip.video or clip.audio
    return path and (
        manifest.root / path, clip.audio_channel, clip.start_seconds, clip.end_seconds
    )  # fmt: skip


def _text_and_speaker(_: Manifest, clip: Clip) -> Hashable:
    text = same_text(clip.text)
    return text and clip.speaker and (text, clip.speaker.casefold())


def _long_text_and_speaker(manifest: Manifest, clip: Clip) -> Hashable:
    is_long = len((clip.text or "").split()) >= LONG_WORDS
    return _text_and_speaker(manifest, clip) if is_long else None


def _by_split(a: Manifest, b: Manifest) -> list[dict[str, object]]:
    splits = {_long_text_and_speaker(b, clip): clip.split for clip in b.clips}
    counts = Counter(
        (clip.split, splits[key])
        for clip in a.clips
        if (key := _long_text_and_speaker(a, clip)) and key in splits
    )
    columns = [split for split in (*SPLITS, None) if split in {split for _, split in counts}]
    return [
        {
            "a": split or "no split",
            **{f"{of_b or 'no split'} of b": counts[split, of_b] for of_b in columns},
        }
        for split in (*SPLITS, None)
        if any(counts[split, of_b] for of_b in columns)
    ]
