"""Find clip ids in the bytes of any file, in each spelling that JSON, CSV and HTML give them."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import quote

from emo.store.erase.wide import MOST_LETTER_BYTES, find_wide, narrow_spellings, wide_spellings

_LEAST_LETTERS = 6
"""Shortest id that is looked for in any bytes."""
_BEFORE = re.compile(rb"[\w.\-\x80-\xff]", re.ASCII)
_AFTER = re.compile(rb"[\w\-\x80-\xff]", re.ASCII)
_BLOCK_BYTES = 2**24
"""Bytes that are searched at once."""


def is_distinct(clip_id: str) -> bool:
    """Return whether bytes that equal an id are this id, and no number and no word of a language.

    >>> [is_distinct(name) for name in ("dia0_utt1", "12", "0.123456", "hello", "anger-rate")]
    [True, False, False, False, True]
    """
    if len(clip_id.encode("utf-8", "surrogatepass")) < _LEAST_LETTERS or clip_id.isalpha():
        return False
    try:
        float(clip_id)
    except ValueError:
        return True
    return len(clip_id) >= 3 * _LEAST_LETTERS


class IdPattern:
    """Finds the ids of erased clips in bytes, but not inside the longer ids of other clips."""

    def __init__(self, clip_ids: Iterable[str], kept: Iterable[str] = ()) -> None:
        """Take the erased ids and the ids of clips that stay.

        Args:
            clip_ids: ids to find; those that are not distinct are left out.
            kept: ids of other clips; an erased id inside one of them is not found.
        """
        every = list(clip_ids)
        distinct = [clip_id for clip_id in every if is_distinct(clip_id)]
        self._is_all = len(distinct) == len(every)
        self._longest = max((len(word) for each in distinct for word in spellings(each)), default=0)
        self._ids = {word: clip_id for clip_id in distinct for word in spellings(clip_id)}
        words = sorted(self._ids)
        self._pattern = re.compile(trie_pattern(words), re.DOTALL) if words else None
        self._encodings = wide_spellings(words)
        wide = trie_pattern(sorted(self._encodings)) if words else b"(?!)"
        self._wide = re.compile(wide, re.DOTALL)
        self._around: dict[bytes, list[tuple[bytes, int]]] = {}
        if self._pattern:
            self._protect(kept)

    def _protect(self, kept: Iterable[str]) -> None:
        """Note the other ids that an erased id is a part of."""
        assert self._pattern is not None
        for clip_id in kept:
            text = clip_id.encode("utf-8", "surrogatepass")
            if self._pattern.search(text) is None:
                continue
            for whole in spellings(clip_id):
                for start, stop in self._found(whole):
                    self._around.setdefault(whole[start:stop], []).append((whole, start))
                    self._longest = max(self._longest, len(whole))

    def find(self, data: bytes | memoryview) -> Iterator[tuple[int, int]]:
        """Yield first and stop byte of each id in ``data``."""
        if self._pattern is None:
            return
        size, margin = len(data), MOST_LETTER_BYTES * (self._longest + 1)
        for first in range(0, size, _BLOCK_BYTES):
            low, high = max(0, first - margin), min(size, first + _BLOCK_BYTES + margin)
            block = bytes(data[low:high])
            for start, stop in chain(self._found(block), self._found_wide(block)):
                if first <= low + start < first + _BLOCK_BYTES:
                    yield low + start, low + stop

    def is_in(self, data: bytes | memoryview) -> bool:
        """Return whether any of the ids is in ``data``."""
        return next(self.find(data), None) is not None

    def ids_in(self, data: bytes | memoryview) -> set[str]:
        """Return which of the ids are in ``data``."""
        words = {bytes(data[start:stop]) for start, stop in self.find(data)}
        spelled = {each for word in words for each in (word, *narrow_spellings(word))}
        return {self._ids[each] for each in spelled & self._ids.keys()}

    def may_be_in(self, data: Any) -> bool:
        """Return whether an id is in ``data``, also inside of a longer word.

        It is True if some ids are not distinct, because these are not looked for.
        """
        if not self._is_all:
            return True
        if self._pattern is None:
            return False
        return any(each.search(data) for each in (self._pattern, self._wide))

    def without(self, text: str, instead: str = "[erased]") -> str:
        """Return a text in which each of the ids is replaced."""
        data = text.encode("utf-8", "surrogatepass")
        pieces, at = [], 0
        for start, stop in self._found(data) if self._pattern else ():
            if start >= at:
                pieces += [data[at:start], instead.encode()]
                at = stop
        return b"".join([*pieces, data[at:]]).decode("utf-8", "surrogatepass")

    def _found(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Yield the ids of one block that stand alone in it."""
        assert self._pattern is not None
        at = 0
        while match := self._pattern.search(block, at):
            start, stop = match.span()
            if self._stands_alone(block, start, stop):
                yield start, stop
                at = stop
            else:
                at = start + 1

    def _found_wide(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Yield the ids of one block that stand alone in UTF-16 or UTF-32."""
        margin = self._longest + 1
        return find_wide(block, self._wide, self._encodings, margin, self._stands_alone)

    def _stands_alone(self, block: bytes, start: int, stop: int) -> bool:
        if start and _BEFORE.match(block, start - 1) and not _is_escape(block, start):
            return False
        if _AFTER.match(block, stop):
            return False
        return not any(
            start >= shift and block[start - shift : start - shift + len(whole)] == whole
            for whole, shift in self._around.get(block[start:stop], ())
        )


def spellings(clip_id: str) -> set[bytes]:
    """Return an id as it stands in text, JSON, CSV, HTML and URLs.

    >>> sorted(spellings('é"1'))[0]
    b'%C3%A9%221'
    """
    texts = {
        clip_id,
        json.dumps(clip_id)[1:-1],
        json.dumps(clip_id, ensure_ascii=False)[1:-1],
        clip_id.replace('"', '""'),
        html.escape(clip_id),
    }
    found = {text.encode("utf-8", "surrogatepass") for text in texts}
    return found | {quote(clip_id.encode("utf-8", "surrogatepass"), safe="/").encode()}


def trie_pattern(words: list[bytes]) -> bytes:
    """Return a regular expression of words that tests each letter once; the longest word wins.

    >>> trie_pattern([b"ab", b"abc", b"d"])
    b'(?:ab(?:c)?|d)'
    """
    return _joined(sorted(set(words)), 0)


def _joined(words: list[bytes], at: int) -> bytes:
    """Return the expression of sorted words from letter ``at`` on, which they share before."""
    if len(words) == 1:
        return re.escape(words[0][at:])
    first, last = words[0], words[-1]
    stop = at
    while stop < min(len(first), len(last)) and first[stop] == last[stop]:
        stop += 1
    shared = re.escape(first[at:stop])
    is_optional = len(first) == stop
    rest = words[1:] if is_optional else words
    groups: dict[int, list[bytes]] = {}
    for word in rest:
        groups.setdefault(word[stop], []).append(word)
    inner = b"|".join(_joined(group, stop) for group in groups.values())
    return shared + b"(?:" + inner + b")" + (b"?" if is_optional else b"")


def _is_escape(block: bytes, start: int) -> bool:
    r"""Return whether the letter before ``start`` ends an escape such as ``\n`` of JSON."""
    return block[start - 2 : start] in (rb"\n", rb"\t", rb"\r")
