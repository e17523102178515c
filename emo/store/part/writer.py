"""Write one part: an immutable file of clips that one worker does and commits together."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

import emo
from emo.errors import StoreError
from emo.plugins import unknown
from emo.store.backend.commit import commit
from emo.store.backend.location import Location, location
from emo.store.part.members import write_members
from emo.store.part.zarr_layout import FORMAT_VERSION, stored_dtype
from emo.store.recipe import Recipe, StreamSpec

MAX_PART_BYTES = 2**31 - 2**24
"""Most bytes of tokens in a part; a zip file below 2 GiB needs no zip64 headers."""


@dataclass(frozen=True)
class PartFacts:
    """Facts about the clips of a part that are recorded beside the tokens."""

    attempt: int
    """Number of this attempt at the clips: 0 for the first time, K for the K-th time again."""
    clip_ids: Sequence[str]
    """Ids of the finished clips, in the order of their tokens."""
    failures: Mapping[str, str]
    """Id of a clip without tokens -> reason."""
    sources: Mapping[str, str]
    """Id of a clip, finished or failed -> hash of the clip's row and source files."""
    absent: Mapping[str, Mapping[str, str]]
    """Clip id -> stream that the clip lacks -> reason."""
    notes: Mapping[str, Mapping[str, float]]
    """Clip id -> name -> number kept beside the clip's tokens."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Name of a library, or ``device`` -> version or name of what computed the tokens."""

    def attributes(self, recipe: Recipe) -> dict[str, Any]:
        """Return the attributes of the part's root group, as JSON values."""
        return {
            "format_version": FORMAT_VERSION,
            "fingerprint": recipe.fingerprint,
            "streams": recipe.stored_specs,
            "attempt": self.attempt,
            "clip_ids": self.clip_ids,
            "failures": self.failures,
            "sources": [self.sources[each] for each in (*self.clip_ids, *self.failures)],
            "absent": self.absent,
            "notes": self.notes,
            "versions": {**_versions(), **self.versions},
        }


class PartWriter:
    """Collect the clips of a part in memory; leaving the ``with`` block commits them.

    Example::

        with PartWriter(folder.path, folder.recipe) as part:
            for clip_id, tokens in encoded:
                part.add(clip_id, {"audio": tokens})
        # now the clips are visible; an exception inside the block would have left nothing
    """

    def __init__(
        self,
        folder: Location | str,
        recipe: Recipe,
        *,
        attempt: int = 0,
        versions: Mapping[str, str] = {},
    ) -> None:
        """Start an empty part.

        Args:
            folder: the recipe's folder in the store.
            recipe: the recipe that made the tokens.
            attempt: how often these clips were done again; 0: this is the first time.
            versions: versions of what computed the tokens, besides emo, numpy and zarr.
        """
        self.folder = location(folder)
        self.recipe = recipe
        self.attempt = attempt
        self.versions = dict(versions)
        self.committed: Location | None = None
        """File of the part after the block; also when another process had written it before."""
        self.was_second = False
        """True when the same clips had been committed already, and this copy was dropped."""
        for name, spec in recipe.streams.items():
            _check_stream(name, spec)
        self._tokens: dict[str, list[np.ndarray]] = {name: [] for name in recipe.streams}
        self._lengths: dict[str, list[int]] = {name: [] for name in recipe.streams}
        self._sources: dict[str, str] = {}
        self._clip_ids: list[str] = []
        self._failures: dict[str, str] = {}
        self._absent: dict[str, dict[str, str]] = {}
        self._notes: dict[str, dict[str, float]] = {}
        self._size_bytes = 0

    def add(
        self,
        clip_id: str,
        tokens: Mapping[str, np.ndarray],
        *,
        source: str = "",
        absent: Mapping[str, str] = {},
        notes: Mapping[str, float] = {},
    ) -> None:
        """Add a finished clip; its tokens are copied.

        Args:
            clip_id: id of the clip, unique in the part.
            tokens: stream -> tokens (T, D), T >= 1, for each stream that the clip has; at least
                one. Any float dtype is cast to the stored one; others must match it.
            source: hash of the clip's source files.
            absent: stream that the clip lacks -> reason.
            notes: name -> finite number to keep beside the tokens.

        Raises:
            StoreError: an argument is not as described, or tokens are not finite in the stored
                dtype; then nothing of the clip is kept.
        """
        self._check_new(clip_id)
        reasons = self._reasons(clip_id, tokens, absent)
        numbers = _numbers(clip_id, notes)
        arrays = {
            name: as_stored(clip_id, name, tokens[name], spec)
            for name, spec in self.recipe.streams.items()
            if name in tokens
        }
        self._check_room(clip_id, sum(array.nbytes for array in arrays.values()))
        for name in self.recipe.streams:
            self._lengths[name].append(len(arrays[name]) if name in arrays else 0)
            self._tokens[name].extend([arrays[name]] if name in arrays else [])
        self._clip_ids.append(clip_id)
        self._sources[clip_id] = source
        if reasons:
            self._absent[clip_id] = reasons
        if numbers:
            self._notes[clip_id] = numbers

    def fail(self, clip_id: str, reason: str, *, source: str = "") -> None:
        """Record that a clip has no tokens.

        Args:
            clip_id: id of the clip, unique in the part.
            reason: why it has none, for people.
            source: hash of the clip's source files.

        Raises:
            StoreError: the part has the clip already.
        """
        self._check_new(clip_id)
        self._failures[clip_id] = reason
        self._sources[clip_id] = source

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None and self._sources:
            name = part_name(self._sources, self.attempt)
            self.was_second = not commit(self.folder, name, self._write)
            self.committed = self.folder / name

    def _write(self, file: BinaryIO) -> None:
        """Write the collected clips as one part."""
        streams = {name: (self._tokens[name], self._lengths[name]) for name in self._tokens}
        facts = PartFacts(
            self.attempt,
            self._clip_ids,
            self._failures,
            self._sources,
            self._absent,
            self._notes,
            self.versions,
        )
        write_members(file, streams, facts.attributes(self.recipe))

    def _check_new(self, clip_id: str) -> None:
        if clip_id in self._sources:
            raise StoreError(f"clip {clip_id!r} is in this part already; ids are unique")

    def _check_room(self, clip_id: str, size_bytes: int) -> None:
        """Count the bytes of a clip; raise StoreError when the part would become too large."""
        if self._size_bytes + size_bytes > MAX_PART_BYTES:
            raise StoreError(
                f"clip {clip_id!r}: its {size_bytes} bytes of tokens do not fit into a part that "
                f"holds {self._size_bytes} bytes (at most {MAX_PART_BYTES}); choose a smaller "
                "--part-clips"
            )
        self._size_bytes += size_bytes

    def _reasons(
        self, clip_id: str, tokens: Mapping[str, np.ndarray], absent: Mapping[str, str]
    ) -> dict[str, str]:
        """Check the streams of a clip; return stream that the clip lacks -> reason."""
        for name in [*tokens, *absent]:
            if name not in self.recipe.streams:
                raise StoreError(
                    f"clip {clip_id!r}: {unknown('stream', name, self.recipe.streams)}"
                )
        if not tokens:
            raise StoreError(f"clip {clip_id!r}: expected tokens in at least one stream, got none")
        for name in absent:
            if name in tokens:
                raise StoreError(f"clip {clip_id!r}, stream {name!r}: both tokens and absent")
        missing = (name for name in self.recipe.streams if name not in tokens)
        return {name: str(absent.get(name, "no reason given")) for name in missing}


def part_name(clip_ids: Iterable[str], attempt: int = 0) -> str:
    """Return the file name of the part that holds these clips, finished and failed.

    The same clips give the same name, so that the second of two copies is dropped; a later attempt
    gives another name.
    """
    joined = "\n".join(sorted(clip_ids)).encode("utf-8", "surrogatepass")
    retry = f"-r{attempt}" if attempt else ""
    return f"part-{hashlib.sha256(joined).hexdigest()[:16]}{retry}.zarr.zip"


def _check_stream(name: str, spec: StreamSpec) -> None:
    """Raise StoreError when a stream's name or dtype cannot be stored."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise StoreError(f"stream {name!r}: expected letters, digits, '_', '-' and '.' only")
    stored_dtype(spec.dtype)


def _numbers(clip_id: str, notes: Mapping[str, float]) -> dict[str, float]:
    """Return the notes as floats; raise StoreError for a number that is not finite."""
    for name, number in notes.items():
        if not math.isfinite(number):
            raise StoreError(
                f"clip {clip_id!r}, note {name!r}: expected a finite number, got {number}"
            )
    return {name: float(number) for name, number in notes.items()}


def as_stored(clip_id: str, name: str, tokens: np.ndarray, spec: StreamSpec) -> np.ndarray:
    """Return a copy of the tokens (T, D) of one clip in the stored dtype.

    Args:
        clip_id: id of the clip, for messages.
        name: name of the stream, for messages.
        tokens: tokens as the backbone made them.
        spec: width and dtype of the stream.

    Raises:
        StoreError: the tokens have another shape or kind, or are not finite in that dtype.
    """
    where = f"clip {clip_id!r}, stream {name!r}"
    array = np.asarray(tokens)
    if array.ndim != 2 or array.shape[1] != spec.dim or not len(array):
        raise StoreError(
            f"{where}: expected shape (T, {spec.dim}) with T >= 1, got {tuple(array.shape)}"
        )
    dtype = stored_dtype(spec.dtype)
    if array.dtype.kind not in "fiub" or (
        dtype.kind != "f" and array.dtype.newbyteorder("=") != dtype
    ):
        raise StoreError(f"{where}: expected {dtype.name}, got {array.dtype.name}")
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is found just below
        stored = np.array(array, dtype=dtype, order="C")
    if dtype.kind == "f" and not np.isfinite(stored).all():
        token = int(np.flatnonzero(~np.isfinite(stored).all(axis=1))[0])
        reason = f"{where}: token {token} of {len(stored)} is not finite as {dtype.name}"
        if np.isfinite(array).all():
            largest = np.abs(array).max()
            reason += (
                f", because its largest value is {largest:.3g} (the type ends at "
                f"{np.finfo(dtype).max:.3g}); store the stream as float32: "
                "StreamSpec(dim, dtype='float32'), or -o stored=float32 where there is that option"
            )
        raise StoreError(reason)
    return stored


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the libraries that write a part."""
    from importlib import metadata  # imported here: it takes 30 ms, which readers need not pay

    return {
        "emo": emo.__version__,
        "numpy": np.__version__,
        "zarr": metadata.version("zarr"),
    }
