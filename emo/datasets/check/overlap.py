"""Count the clips that two manifests share, before one is used to test a model of the other."""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from emo.machine.table import format_table
from emo.manifest import Clip, Manifest
from emo.manifest.cells import SPLITS

LONG_WORDS = 5
"""Words from which an equal text of the same speaker is hardly chance."""
BEGINNING_LETTERS = 15
"""Letters from which an equal beginning is hardly chance: then one of the two texts is cut."""
_BEGINNING = "same beginning of the text and speaker"
_SPELLINGS = (  # one spelling for what transcripts of the same words write in several ways
    (r"\[[^\]]*\]|\([^)]*\)", " "),  # descriptions in brackets, which are not said
    (r"\by'?know\b|\bya know\b", "you know"), (r"\bya\b", "you"),
    (r"\bwon't\b", "will not"), (r"\bcan't\b", "can not"), (r"\bcannot\b", "can not"),
    (r"n't\b", " not"), (r"'m\b", " am"), (r"'re\b", " are"), (r"'ve\b", " have"),
    (r"'ll\b", " will"), (r"'d\b", " would"), (r"'s\b", " "),
    (r"\bis\b", " "),  # some spell "what's" out, some drop its 's: both are "what"
)  # fmt: skip


@dataclass(frozen=True)
class OverlapReport:
    """Result of comparing two manifests ``a`` and ``b``, by several rules of what is equal."""

    a: Path
    b: Path
    rows: tuple[dict[str, object], ...]
    """A row for each rule: how many clips of ``a`` are in ``b`` by it, and the other way round."""
    splits: tuple[dict[str, object], ...]
    """A row for each split: how many of its clips are in the other manifest, by rule."""
    by_split: tuple[dict[str, object], ...]
    """Number of clips of each split of ``a`` whose long text is in each split of ``b``."""

    def table(self) -> str:
        """Return the result as text for people."""
        parts = [f"a = {self.a}\nb = {self.b}", format_table(self.rows)]
        if self.splits:
            parts.append(
                f"clips of each split that are in the other manifest\n{format_table(self.splits)}"
            )
        if self.by_split:
            parts.append(
                f"same text ({LONG_WORDS} words or more) and speaker\n{format_table(self.by_split)}"
            )
        return "\n\n".join(parts)


def overlap(a: Manifest, b: Manifest) -> OverlapReport:
    """Compare two manifests by file, id, text, and text with speaker.

    Texts are compared without case, punctuation and spaces, with English contractions spelled out
    (``That's`` equals ``that is``); speakers are compared without case.
    """
    rules: dict[str, Callable[[Manifest, Clip], Hashable]] = {
        "same file and times": _file,
        "same id": lambda _, clip: clip.id,
        "same text": lambda _, clip: same_text(clip.text),
        "same text and speaker": _text_and_speaker,
        f"same text ({LONG_WORDS} words or more) and speaker": _long_text_and_speaker,
    }
    found: dict[str, tuple[list[bool], list[bool]]] = {}
    for name, key in rules.items():
        ours, theirs = ([key(m, clip) for clip in m.clips] for m in (a, b))
        common = {value for value in ours if value} & {value for value in theirs if value}
        found[name] = [value in common for value in ours], [value in common for value in theirs]
    found[_BEGINNING] = _begins(a, b), _begins(b, a)
    rows = [{"clips": k, "a in b": sum(x), "b in a": sum(y)} for k, (x, y) in found.items()]
    sizes: dict[str, object] = {"clips": "all", "a in b": len(a.clips), "b in a": len(b.clips)}
    return OverlapReport(
        a.path, b.path, (*rows, sizes), tuple(_splits(a, b, found)), tuple(_by_split(a, b))
    )


@lru_cache(maxsize=2**17)
def same_text(text: str | None) -> str:
    """Return the form in which texts are compared: letters and digits in one spelling.

    The result is ``""`` for an empty text.

    >>> same_text("That’s Ross, isn't it?") == same_text("that is ross , is not it")
    True
    """
    plain = unicodedata.normalize("NFKC", text or "").casefold().replace("’", "'")
    for pattern, words in _SPELLINGS:
        plain = re.sub(pattern, words, plain)
    letters = "".join(letter for letter in plain if letter.isalnum())
    return letters or "".join(plain.split())  # "?!" is a text, too


def _file(manifest: Manifest, clip: Clip) -> Hashable:
    """Return a key that is equal for clips of the same file, channel and times."""
    path = clip.video or clip.audio
    return path and (
        manifest.root / path, clip.audio_channel, clip.audio_track, clip.start_seconds,
        clip.end_seconds,
    )  # fmt: skip


def _text_and_speaker(_: Manifest, clip: Clip) -> Hashable:
    """Return a key of text and speaker; empty: the clip lacks one of them."""
    text = same_text(clip.text)
    return text and clip.speaker and (text, clip.speaker.casefold())


def _long_text_and_speaker(manifest: Manifest, clip: Clip) -> Hashable:
    """Return a key of text and speaker; None: the text has fewer than ``LONG_WORDS`` words."""
    is_long = len((clip.text or "").split()) >= LONG_WORDS
    return _text_and_speaker(manifest, clip) if is_long else None


def _begins(ours: Manifest, theirs: Manifest) -> list[bool]:
    """Return for each clip whether one text of its speaker starts with the other.

    The texts compared are the clip's own and those of the same speaker in ``theirs``.
    """
    known = sorted({key for clip in theirs.clips if (key := _said(clip))})
    all_known, found = set(known), []
    for clip in ours.clips:
        key = _said(clip)
        after = bisect_left(known, key)
        shortest = len(key) - len(same_text(clip.text)) + BEGINNING_LETTERS
        found.append(
            key in all_known
            or (shortest <= len(key) and after < len(known) and known[after].startswith(key))
            or any(key[:end] in all_known for end in range(shortest, len(key)))
        )
    return found


def _said(clip: Clip) -> str:
    """Return speaker and text in one string, ``anna\\nohthatis5``; ``""`` if one is missing."""
    text = same_text(clip.text)
    return f"{clip.speaker.casefold()}\n{text}" if text and clip.speaker else ""


def _splits(
    a: Manifest, b: Manifest, found: dict[str, tuple[list[bool], list[bool]]]
) -> list[dict[str, object]]:
    """Return a table row for each split of each manifest; none for manifests without splits."""
    rows = []
    for side, (name, manifest) in enumerate({"a": a, "b": b}.items()):
        for split in SPLITS:
            chosen = [k for k, clip in enumerate(manifest.clips) if clip.split == split]
            if not chosen:
                continue
            row: dict[str, object] = {"clips": f"{split} of {name}", "all": len(chosen)}
            for rule in ("same text", "same text and speaker", _BEGINNING):
                row[rule] = sum(found[rule][side][k] for k in chosen)
            rows.append(row)
    return rows


def _by_split(a: Manifest, b: Manifest) -> list[dict[str, object]]:
    """Count long texts by split of ``a`` and of ``b``; one in several splits counts in each."""
    splits: defaultdict[Hashable, set[str | None]] = defaultdict(set)
    for clip in b.clips:
        splits[_long_text_and_speaker(b, clip)].add(clip.split)
    counts = Counter(
        (clip.split, of_b)
        for clip in a.clips
        if (key := _long_text_and_speaker(a, clip))
        for of_b in splits.get(key, ())
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
