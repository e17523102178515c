"""Tokens of erased clips that no kept clip has, and where their bytes are in any file.

A token is a row of D numbers. It is found at any position of a file by 8 of its bytes, which are
then compared as a whole. Rows whose 8 most different bytes are few (a row of zeros with a single
one in it) would be suspected everywhere: these are compared only as rows of parts.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

_KEY_BYTES = 8
_LEAST_DIFFERENT = 6
"""Different bytes that 8 bytes of a row must have, so that the row is looked for anywhere."""
_TABLE_BITS = 20
_MIX = np.uint64(0x9E3779B97F4A7C15)
_BLOCK_BYTES = 2**23


def row_bytes(tokens: np.ndarray) -> np.ndarray:
    """Return uint8 (T, bytes of a row), a view of contiguous tokens (T, D)."""
    return (
        np.ascontiguousarray(tokens)
        .view(np.uint8)
        .reshape(len(tokens), tokens.shape[1] * tokens.dtype.itemsize)
    )


def row_hashes(tokens: np.ndarray) -> np.ndarray:
    """Return uint64 (T,), a hash of the bytes of each row of tokens (T, D)."""
    rows = row_bytes(tokens)
    padded = -rows.shape[1] % 8
    if padded:
        rows = np.pad(rows, ((0, 0), (0, padded)))
    words = np.ascontiguousarray(rows).view("<u8")
    rng = np.random.default_rng(21)
    odd = [np.uint64(int(rng.integers(0, 2**63)) | 1) for _ in range(words.shape[1])]
    total: np.ndarray = np.zeros(len(words), np.uint64)
    for column in range(words.shape[1]):  # (T,) at a time: no second copy of the tokens
        word = words[:, column]
        total += (word ^ (word >> np.uint64(29))) * odd[column]
    return total


class TokenRows:
    """Distinct rows of the erased clips; those that a kept clip has, too, can be taken out."""

    def __init__(self, rows: Mapping[bytes, str] = MappingProxyType({})) -> None:
        """Take rows of any widths: the bytes of each -> the dtype of its numbers."""
        self.rows = dict(rows)
        self.shared = 0
        """Number of rows that were taken out because a kept clip has them."""

    def add(self, tokens: np.ndarray) -> None:
        """Add the rows of tokens (T, D)."""
        self.rows.update(dict.fromkeys(map(bytes, row_bytes(tokens)), tokens.dtype.name))

    def drop(self, blocks: Iterable[np.ndarray]) -> None:
        """Take out all rows that are in tokens (T, D) of kept clips, given block by block."""
        widths: dict[int, set[int]] = {}
        for row in self.rows:
            widths.setdefault(len(row), set()).add(_hash(row))
        hashes = {width: np.array(sorted(known), np.uint64) for width, known in widths.items()}
        for tokens in blocks:
            width = tokens.shape[1] * tokens.dtype.itemsize
            if width not in hashes or not len(tokens):
                continue
            suspects = np.flatnonzero(_among(row_hashes(tokens), hashes[width]))
            for row in {bytes(each) for each in row_bytes(tokens[suspects])} & self.rows.keys():
                del self.rows[row]
                self.shared += 1

    def finder(self) -> "TokenFinder":
        """Return what finds the rows, also as float32, anywhere in bytes."""
        wider = {
            np.frombuffer(row, dtype).astype(np.float32).tobytes()
            for row, dtype in self.rows.items()
            if dtype in ("float16", "float64")
        }
        return TokenFinder(self.rows.keys() | wider)


class TokenFinder:
    """Finds rows at every position of any bytes."""

    def __init__(self, rows: Iterable[bytes]) -> None:
        """Take the rows; those without 6 different bytes in a window of 8 are left out."""
        self._by_key: dict[int, list[tuple[int, bytes]]] = {}
        self.rows = self.left_out = 0
        for row in rows:
            at = _best_window(row)
            if at is None:
                self.left_out += 1
                continue
            self.rows += 1
            key = int.from_bytes(row[at : at + _KEY_BYTES], "little")
            self._by_key.setdefault(key, []).append((at, row))
        self._keys = np.array(sorted(self._by_key), np.uint64)
        self._table = np.zeros(2**_TABLE_BITS, bool)
        self._table[_indices(self._keys)] = True
        self._widest = max(
            (len(row) for rows in self._by_key.values() for _, row in rows), default=0
        )

    def find(self, data: Any) -> Iterator[int]:
        """Yield the position of each row in ``data``, which is bytes or mapped."""
        if not len(self._keys):
            return
        whole = np.frombuffer(data, np.uint8)
        for first in range(0, len(whole), _BLOCK_BYTES):
            for shift in range(_KEY_BYTES):
                stop = min(len(whole), first + _BLOCK_BYTES + _KEY_BYTES - 1)
                words = whole[first + shift : stop]
                words = words[: len(words) // _KEY_BYTES * _KEY_BYTES].view("<u8")
                suspects = np.flatnonzero(self._table[_indices(words)])
                suspects = suspects[_among(words[suspects], self._keys)]
                for index in suspects.tolist():
                    yield from self._here(whole, first + shift + index * _KEY_BYTES)

    def is_in(self, data: Any) -> bool:
        """Return whether any of the rows is in ``data``."""
        return next(self.find(data), None) is not None

    def _here(self, whole: np.ndarray, position: int) -> Iterator[int]:
        key = int.from_bytes(whole[position : position + _KEY_BYTES].tobytes(), "little")
        for at, row in self._by_key[key]:
            start = position - at
            if start >= 0 and whole[start : start + len(row)].tobytes() == row:
                yield start


def _hash(row: bytes) -> int:
    return int(row_hashes(np.frombuffer(row, np.uint8).reshape(1, -1))[0])


def _among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return bool (n,): whether each value is in the sorted array ``known``."""
    if not len(known):
        return np.zeros(len(values), bool)
    indices = np.searchsorted(known, values)
    indices[indices == len(known)] = 0
    found: np.ndarray = known[indices] == values
    return found


def _indices(words: np.ndarray) -> np.ndarray:
    indices: np.ndarray = (words * _MIX) >> np.uint64(64 - _TABLE_BITS)
    return indices


def _best_window(row: bytes) -> int | None:
    """Return where the 8 most different bytes of a row begin; None: nowhere 6 different ones."""
    best, most = None, _LEAST_DIFFERENT - 1
    for at in range(0, min(len(row) - _KEY_BYTES, 512) + 1, 4):
        count = len({*row[at : at + _KEY_BYTES]})
        if count > most:
            best, most = at, count
            if count == _KEY_BYTES:
                break
    return best
