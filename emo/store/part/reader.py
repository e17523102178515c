"""Read one committed part through a memory map; checksums are verified chunk by chunk on use."""

import mmap
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.files import UnfitFileError, open_regular
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.backend.cached_part import CachedPart
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath
from emo.store.part.attributes import DETAILS, ROOT_FORM, STREAM_FORMS, is_root
from emo.store.part.chunks import read_chunked
from emo.store.part.stream_layout import Layout, locate_stream, of_kind, parse
from emo.store.part.zarr_layout import FORMAT_VERSION
from emo.store.part.zip import Archive, DamagedPart, GoneError

_ROOT = b'{"zarr_format":3,"node_type":"group","attributes":{'
_DETAILS = b',"sources":['


class Part:
    """One committed part: its clips, what is known about them, and their tokens.

    Opening reads the last kilobytes of the file; tokens are mapped when they are first used.
    """

    def __init__(self, path: Location) -> None:
        """Open a part.

        Raises:
            DamagedPart: the file is incomplete, or is not a part.
            StoreError: the file is gone, or its format is of a later version.
        """
        self.path = path
        with Archive(path) as archive:
            self.size_bytes = archive.size
            head, self._rest = _split(archive.read_root())
        document = parse(head, path)
        facts = (document if is_root(document) else of_kind(document, path, ROOT_FORM))[
            "attributes"
        ]
        if facts.get("format_version", 0) > FORMAT_VERSION:
            raise StoreError(
                f"{path}: format {str(facts['format_version'])[:20]}, but this program reads up to "
                f"{FORMAT_VERSION}; update emo-pipeline"
            )
        self.fingerprint: str = facts["fingerprint"]
        self.attempt: int = facts["attempt"]
        self.clip_ids: list[str] = facts["clip_ids"]
        self.failures: dict[str, str] = facts["failures"]
        self.specs: dict[str, dict[str, Any]] = facts["streams"]
        """Stream -> ``{"dim": D, "dtype": name}``; the types are checked by :meth:`layout`."""
        self.has_known_specs = False
        """True when the streams were compared with those of the recipe."""
        self._layouts: dict[str, Layout] = {}
        self.opened: dict[str, np.ndarray] = {}
        """Stream -> its mapped tokens (ΣT, D); see :meth:`values`."""
        self._bytes: mmap.mmap | None = None
        self._copy = CachedPart(path) if isinstance(path, ObjectPath) else None

    @property
    def sources(self) -> dict[str, str]:
        """Clip id -> hash of the clip's row and source files; finished clips first, then failed
        ones."""
        sources = self._details["sources"]
        if len(sources) != len(self.clip_ids) + len(self.failures):
            raise DamagedPart(self.path, f"it has {len(sources)} sources for its clips")
        return dict(zip(chain(self.clip_ids, self.failures), sources, strict=True))

    @property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream that the clip lacks -> reason."""
        absent: dict[str, dict[str, str]] = self._details["absent"]
        return absent

    @property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> name -> number kept beside the clip's tokens."""
        notes: dict[str, dict[str, float]] = self._details["notes"]
        return notes

    @property
    def versions(self) -> dict[str, str]:
        """Library, or ``device`` -> version or name of what computed the tokens, for people."""
        found = self._details.get("versions")
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: value for name, value in pairs if isinstance(value, str)}

    def read(self, stream: str) -> Ragged:
        """Map all tokens of a stream and verify their checksums; clip k is ``clip_ids[k]``.

        Returns:
            values (ΣT, D), read-only, in the stored dtype, and offsets int64 (N+1,).

        Raises:
            DamagedPart: the bytes are not those that were committed.
            StoreError: there is no such stream.
        """
        values = self.values(stream)
        self.check(stream, 0, len(values))
        return Ragged(values, self.layout(stream).offsets)

    def layout(self, stream: str) -> Layout:
        """Return where the tokens of a stream lie; the first call reads it for all streams."""
        if stream not in self.specs:
            raise StoreError(f"{self.path}: {unknown('stream', stream, self.specs)}")
        if not self._layouts:
            if not self.has_known_specs:
                of_kind(self.specs, self.path, STREAM_FORMS)
            with Archive(self.path) as archive:
                self._layouts = {
                    name: locate_stream(archive, name, spec, len(self.clip_ids))
                    for name, spec in self.specs.items()
                }
        return self._layouts[stream]

    def values(self, stream: str) -> np.ndarray:
        """Return the tokens (ΣT, D) of a stream: mapped, read-only, not verified."""
        values = self.opened.get(stream)
        if values is None:
            values = self._open(stream)
            self.opened[stream] = values
        return values

    def check(self, stream: str, start: int, stop: int) -> None:
        """Verify the chunks that hold rows ``start`` to before ``stop``, each once in this process.

        Raises:
            DamagedPart: a checksum differs.
        """
        layout = self.layout(stream)
        if not layout.is_trusted and start < stop:
            self._verify(stream, range(start // layout.rows, -(-stop // layout.rows)))

    def check_all(self, stream: str, spans: Iterable[tuple[int, int]]) -> None:
        """Verify many spans of rows like :meth:`check`; from a bucket, fetch them together."""
        layout = self.layout(stream)
        if not layout.is_trusted:
            ranges = (range(start // layout.rows, -(-stop // layout.rows)) for start, stop in spans)
            self._verify(stream, sorted(set(chain.from_iterable(ranges))))

    def mapped(self) -> mmap.mmap:
        """Map the whole file, once for all streams; for a part in a bucket, its local copy.

        Raises:
            GoneError: the file is not there any more.
            StoreError: the file cannot be mapped.
        """
        whole = self._bytes  # another thread may release the part meanwhile
        if whole is None:
            try:
                whole = self._map()
            except FileNotFoundError as error:
                raise GoneError(f"{self.path} cannot be mapped: it is gone") from error
            except OSError as error:
                raise StoreError(f"{self.path} cannot be mapped: {error.strerror}") from error
            self._bytes = whole
        return whole

    def release(self) -> None:
        """Give up the map; the system closes it when no array refers to it any more."""
        self.opened, self._bytes = {}, None
        if self._copy is not None:
            self._copy.release()

    @cached_property
    def _details(self) -> dict[str, Any]:
        """Attributes of single clips (sources, absent, notes), parsed on first use."""
        document = parse(self._rest, self.path)
        return of_kind(document.get("attributes", document), self.path, DETAILS)

    def _open(self, stream: str) -> np.ndarray:
        """Return the tokens (ΣT, D) of a stream, mapped; or copied from a foreign layout."""
        layout = self.layout(stream)
        tokens = int(layout.offsets[-1])
        if not tokens:
            return np.zeros((0, layout.dim), layout.dtype)
        if layout.start is None:
            with Archive(self.path) as archive:
                document = parse(archive.read(f"{stream}/values/zarr.json"), self.path)
                return read_chunked(archive, f"{stream}/values", document)
        cells = np.frombuffer(self.mapped(), layout.dtype, tokens * layout.dim, layout.start)
        return cells.reshape(tokens, layout.dim)

    def _map(self) -> mmap.mmap:
        if self._copy is not None:
            whole = self._copy.map()
            for layout in self._layouts.values():
                layout.distrust()  # this may be another copy than the one that was verified
            return whole
        try:
            handle, _ = open_regular(str(self.path), follow_links=False)
        except UnfitFileError as error:
            raise DamagedPart(self.path, str(error)) from error
        try:
            return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)

    def _verify(self, stream: str, chunks: Sequence[int]) -> None:
        """Verify chunks; from a bucket, fetch those whose checksum differs and verify again."""
        layout = self.layout(stream)
        wrong = self._wrong(layout, chunks)
        if wrong and self._copy is not None:  # mostly because they were not fetched yet
            self._fetch(self._copy, layout, wrong)
            wrong = self._wrong(layout, wrong)
        if wrong:
            raise DamagedPart(self.path, f"stream {stream!r}: checksum of chunk {wrong[0]} differs")

    def _wrong(self, layout: Layout, chunks: Iterable[int]) -> list[int]:
        """Return those of ``chunks`` whose bytes do not match their checksum."""
        return [
            chunk
            for chunk in chunks
            if not layout.is_verified[chunk]
            and not layout.verify(chunk, self._chunk(layout, chunk))
        ]

    def _fetch(self, copy: CachedPart, layout: Layout, chunks: Sequence[int]) -> None:
        """Copy chunks from the bucket into the local copy of the part."""
        assert layout.start is not None
        starts = [layout.start + chunk * layout.chunk_bytes for chunk in chunks]
        try:
            copy.fetch([(start, start + layout.chunk_bytes) for start in starts])
        except FileNotFoundError as error:
            raise GoneError(f"{self.path} cannot be read: {error.strerror}") from error

    def _chunk(self, layout: Layout, chunk: int) -> np.ndarray:
        """Return uint8 (bytes,), an inner chunk with its padding."""
        assert layout.start is not None  # otherwise the layout is trusted
        start = layout.start + chunk * layout.chunk_bytes
        return np.frombuffer(self.mapped(), np.uint8, layout.chunk_bytes, start)


def _split(root: bytes) -> tuple[bytes, bytes]:
    """Cut the root document before the details of single clips, as two JSON documents.

    Clip ids are needed at once, the details seldom, and parsing the details takes most of the time.
    Quotes inside JSON strings are escaped, so the bytes that are searched for occur only as the
    key. A document of another program is not cut: it is returned twice.
    """
    at = root.find(_DETAILS)
    if at < 0 or not root.startswith(_ROOT):
        return root, root
    return root[:at] + b"}}", b"{" + root[at + 1 : -1]
