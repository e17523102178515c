"""Find everything that can be wrong with a committed part, by reading every byte of it."""

import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from emo.errors import StoreError
from emo.store.part.reader import Part
from emo.store.part.writer import part_name
from emo.store.part.zip import Archive, DamagedPart, GoneError

_ROWS_BYTES = 2**24
"""Bytes of tokens that are searched together for values that are not finite."""


def problems(part: Part) -> list[str]:
    """Return a line for each problem of a part; empty: the part is as it was committed.

    Raises:
        GoneError: the file is not there any more.
    """
    found: list[str] = []
    for check in (_names, damaged_members, _streams):
        try:
            found.extend(check(part))
        except DamagedPart as error:
            found.append(error.what)
        except GoneError:
            raise
        except StoreError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def _names(part: Part) -> Iterator[str]:
    """Find repeated clips, wrong sources, and a file name that does not fit the clips."""
    ids = [*part.clip_ids, *part.failures]
    for clip_id, count in Counter(ids).items():
        if count > 1:
            yield f"clip {clip_id!r} is in it {count} times"
    if part.sources.keys() != set(ids):
        yield "its sources are not those of its clips"
    if part.path.name != part_name(ids, part.attempt):
        yield f"its clips belong into a file called {part_name(ids, part.attempt)}"


def damaged_members(part: Part) -> Iterator[str]:
    """Find members whose bytes do not match zip's own checksum; metadata is checked too."""
    file = memoryview(part.mapped())
    with Archive(part.path) as archive:
        end = 0
        for name in archive.names:
            member = archive.member(name)
            start = archive.data_start(name)
            if member.header != end:
                yield f"the bytes before member {name} belong to no member of its directory"
            end = start + member.size
            whole = file[start : start + member.size] if member.is_stored else archive.read(name)
            if zlib.crc32(whole) != member.crc32:
                yield f"member {name}: checksum differs"
        if end != archive.directory_start:
            yield "the bytes before its zip directory belong to no member"


def _streams(part: Part) -> Iterator[str]:
    """Find clips whose tokens and reasons of absence contradict each other; check all values."""
    has_tokens = np.zeros(len(part.clip_ids), dtype=bool)
    for stream in part.specs:
        layout = part.layout(stream)
        is_present = np.diff(layout.offsets) > 0
        has_tokens |= is_present
        for clip_id, present in zip(part.clip_ids, is_present, strict=True):
            if present == (stream in part.absent.get(clip_id, {})):
                yield f"clip {clip_id!r}, stream {stream!r}: tokens and absence disagree"
        try:
            yield from _values(part, stream)
        except DamagedPart as error:
            yield error.what
    for clip_id, has_any in zip(part.clip_ids, has_tokens, strict=True):
        if not has_any:
            yield f"clip {clip_id!r} has no tokens and is not among the failures"


def _values(part: Part, stream: str) -> Iterator[str]:
    """Compare all checksums of a stream again, and find values that are not finite."""
    layout, values = part.layout(stream), part.values(stream)
    expected = (int(layout.offsets[-1]), layout.dim)
    if values.shape != expected or values.dtype != layout.dtype:  # possible if read by Zarr
        yield f"stream {stream!r}: expected {expected}, got {values.dtype} {values.shape}"
        return
    if len(layout.crcs):
        layout.distrust()
        part.check(stream, 0, len(values))
    step = max(1, _ROWS_BYTES // (layout.dim * layout.dtype.itemsize))
    for start in range(0, len(values) if layout.dtype.kind == "f" else 0, step):
        bad = np.flatnonzero(~np.isfinite(values[start : start + step]).all(axis=1))
        if len(bad):
            clip = int(np.searchsorted(layout.offsets, start + int(bad[0]), side="right")) - 1
            yield f"stream {stream!r}: clip {part.clip_ids[clip]!r} is not finite"
            return
