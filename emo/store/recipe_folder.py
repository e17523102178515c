"""Read one recipe of a store: its clips, each once, what is known about them, and their tokens."""

import bisect
import difflib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.documents import DocumentError, parse_checked, read_checked
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.adapted import SeenClips, read_seen
from emo.store.backend.location import Location
from emo.store.index.file import DamagedIndexError
from emo.store.index.gather import OpenParts, StreamRows
from emo.store.index.indexed import Indexed
from emo.store.index.merged import Merged
from emo.store.lazy import LazyIds
from emo.store.part.zip import GoneError
from emo.store.recipe import MAX_BYTES, RECIPE, RECIPE_FILE, Recipe, joined_versions
from emo.store.recipe_parts import RecipeParts

_FAR_PARTS = 16
"""Number of parts that are asked for versions, and in a bucket for code: each costs a request."""
_MOST_CODES = 500
"""Largest number of parts on a disk that are asked for the code that made them."""
_NEAR_IDS = 1000
"""Largest number of ids among which an error message looks for a similar one; among a million that
would take a minute."""


class RecipeFolder:
    """The sub-folder of one recipe in a store, for reading.

    Its files are in :attr:`parts`; a part is opened when something is first read from it.
    """

    def __init__(self, path: Location) -> None:
        """Open the folder ``path``.

        Raises:
            StoreError: its ``recipe.json`` cannot be read.
        """
        self.path = path
        self.name = path.name
        self.recipe = read_recipe(path)
        self.parts = RecipeParts(path, self.recipe)
        """The committed parts, and what maintaining the store needs of them."""
        self._opened = OpenParts()
        # the clips, and the stream readers made for them; one value, so that another thread
        # cannot take the readers of other clips
        self._rows: tuple[Merged | Indexed | None, dict[str, StreamRows]] = (None, {})

    def __reduce__(self) -> tuple[type["RecipeFolder"], tuple[Location]]:
        """Pickle the path alone; unpickling opens the folder again."""
        return RecipeFolder, (self.path,)

    @property
    def ids(self) -> Sequence[str]:
        """Finished clips, each once, in order of part file name, then of position in the part."""
        clips = self.parts.ask(lambda clips: clips)
        if isinstance(clips, Merged):
            return clips.ids
        return LazyIds(len(clips), lambda: self.parts.ask(lambda clips: clips.ids))

    @property
    def failures(self) -> dict[str, str]:
        """Clip without tokens -> reason; :mod:`emo.store.index.merged` says which entry counts."""
        return self.parts.ask(lambda clips: clips.failures)

    @property
    def sources(self) -> dict[str, str]:
        """Clip id, also of failed clips -> hash of the clip's row and source files, from the
        winning entry."""
        return self.parts.ask(lambda clips: clips.sources)

    @property
    def attempts(self) -> dict[str, int]:
        """Clip id -> number of the latest attempt at the clip; 0 is the first."""
        return self.parts.ask(lambda clips: clips.attempts)

    @property
    def absent(self) -> dict[str, dict[str, str]]:
        """Clip id -> stream that the clip lacks -> reason."""
        return self.parts.ask(lambda clips: clips.absent)

    @property
    def notes(self) -> dict[str, dict[str, float]]:
        """Clip id -> name -> number kept beside the clip's tokens."""
        return self.parts.ask(lambda clips: clips.notes)

    @property
    def part_paths(self) -> list[Location]:
        """The committed parts, in order of their names; none of them is opened."""
        return self.parts.paths

    @property
    def versions(self) -> dict[str, str]:
        """Library, or ``device`` -> version of what computed the tokens, by the first 16 parts.

        Where parts differ, the values are joined by " or ".
        """
        return joined_versions(self._versions_of(self.part_paths[:_FAR_PARTS]))

    @property
    def code(self) -> str | None:
        """Hash of the code of one's own that computed the tokens; None: it is not known.

        Where parts differ, because the code was edited between them, the values are joined by
        " or ". Of many parts some, evenly from all, are asked.
        """
        if not self.recipe.is_own_code:
            return None
        most = _FAR_PARTS if self.parts.is_remote else _MOST_CODES
        paths = self.part_paths[:: -(-len(self.part_paths) // most) or 1]
        return joined_versions(self._versions_of(paths)).get("code")

    def _versions_of(self, paths: Iterable[Location]) -> list[dict[str, str]]:
        """Return the versions that parts record, without those that cannot be read."""
        found = []
        for path in paths:
            with suppress(StoreError):  # damaged, or replaced in the meantime: others tell as much
                found.append(self.parts.open(path).versions)
        return found

    @property
    def seen(self) -> SeenClips:
        """Clips that the recipe's weights were adapted on; none: they are not known to be adapted.

        Raises:
            StoreError: a list of them is missing or was changed.
        """
        return read_seen(self.path, self.recipe)

    def refresh(self) -> None:
        """List the folder again: parts committed or removed since the last time are noticed."""
        self.parts.refresh()

    def release(self) -> None:
        """Release the mapped parts, whose pages count as memory; a later read maps them again."""
        self._opened.release()

    def forget(self) -> None:
        """Release the mapped parts, and forget what was read of parts that an index lists.

        A reader of all clips, some at a time, then needs memory for some only.
        """
        self.release()
        clips, rows = self._rows
        if isinstance(clips, Indexed) and self.parts.forget():
            for each in rows.values():
                each.forget()

    def read(
        self, stream: str, ids: Sequence[str] | None = None, *, threads: int | None = None
    ) -> Ragged:
        """Read the tokens of a stream into memory and verify their checksums.

        Args:
            stream: name of the stream.
            ids: clips in the wanted order; None: all finished clips in the order of :attr:`ids`.
            threads: threads that copy; None: 2 for a large read, else 1.

        Returns:
            values (ΣT, D) in the stored dtype and offsets int64 (N+1,), one entry for each id; a
            clip without this stream has length 0.

        Raises:
            StoreError: an unknown stream or clip (similar names are offered), or a damaged part.
        """
        try:
            if ids is not None and len(ids) == 1:  # the short way, for random access
                clips, (seen, rows) = self.parts.merged, self._rows
                if seen is clips and stream in rows:
                    return rows[stream].one(clips.ordinals[ids[0]])
        except (KeyError, ValueError, IndexError, OverflowError, DamagedIndexError, GoneError):
            pass  # the long way repeats the read or says what is wrong
        return self.parts.ask(lambda clips: self._read(clips, stream, ids, threads))

    def read_present(self, stream: str, ids: Sequence[str]) -> Ragged:
        """Read tokens like :meth:`read`; unknown and failed clips have length 0.

        Args:
            stream: name of the stream.
            ids: clips in the wanted order.

        Returns:
            values (ΣT, D) in the stored dtype and offsets int64 (N+1,).
        """

        def read(clips: Merged | Indexed) -> Ragged:
            return self._stream(clips, stream).many(clips.ordinals_of(ids))

        return self.parts.ask(read)

    def lengths_of(self, stream: str, ids: Sequence[str]) -> np.ndarray:
        """Return int64 (n,), the number of tokens of each clip; -1: it is unknown or failed.

        Args:
            stream: name of the stream.
            ids: n clips.
        """

        def read(clips: Merged | Indexed) -> np.ndarray:
            ordinals = clips.ordinals_of(ids)
            lengths = np.full(len(ordinals), -1, np.int64)
            is_done = ordinals >= 0
            lengths[is_done] = self._stream(clips, stream).lengths(ordinals[is_done])
            return lengths

        return self.parts.ask(read)

    def sources_of(self, ids: Sequence[str]) -> list[str]:
        """Return the hash of the source files of each clip, also of failed ones; "": not known."""
        return self.parts.ask(lambda clips: clips.sources_of(ids))

    def absent_of(self, clip_id: str) -> dict[str, str]:
        """Return stream that a finished clip lacks -> reason; only the clip's part is opened."""

        def read(clips: Merged | Indexed) -> dict[str, str]:
            ordinal = int(clips.ordinals_of([clip_id])[0])
            return clips.part_of(ordinal).absent.get(clip_id, {}) if ordinal >= 0 else {}

        return self.parts.ask(read)

    def lengths(self, stream: str) -> np.ndarray:
        """Return int64 (N,), tokens of each clip of :attr:`ids`; 0: the clip lacks the stream."""
        return self.parts.ask(lambda clips: self._stream(clips, stream).lengths(clips.order))

    def _read(
        self, clips: Merged | Indexed, stream: str, ids: Sequence[str] | None, threads: int | None
    ) -> Ragged:
        rows = self._stream(clips, stream)
        if ids is None:
            return rows.many(clips.order, threads=threads)
        ordinals = clips.ordinals
        try:
            if len(ids) == 1:
                return rows.one(ordinals[ids[0]])
            return rows.many(np.array([ordinals[clip_id] for clip_id in ids], np.int64))
        except KeyError as error:
            raise StoreError(self._unknown_clip(error.args[0])) from None

    def _stream(self, clips: Merged | Indexed, stream: str) -> StreamRows:
        """Return the reader of one stream, the same one until the clips of the recipe change."""
        seen, readers = self._rows
        if seen is not clips:
            readers = {}
            self._rows = (clips, readers)
        rows = readers.get(stream)
        if rows is None:
            if stream not in self.recipe.streams:
                raise StoreError(f"{self.path}: {unknown('stream', stream, self.recipe.streams)}")
            spec = self.recipe.streams[stream]
            rows = readers[stream] = StreamRows(
                clips, stream, spec, self._opened, is_remote=self.parts.is_remote
            )
        return rows

    def _unknown_clip(self, clip_id: str) -> str:
        """Return the error message for a clip without tokens."""
        if clip_id in self.failures:
            return f"{self.path}: clip {clip_id!r} failed: {self.failures[clip_id]}"
        ids = sorted(self.ids)
        index = bisect.bisect(ids, clip_id)
        around = ids[max(0, index - _NEAR_IDS // 2) : index + _NEAR_IDS // 2]
        nearest = difflib.get_close_matches(clip_id, around, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        return f"{self.path}: no clip {clip_id!r} among its {len(ids)}{hint}"


def read_recipe(folder: Location) -> Recipe:
    """Read the ``recipe.json`` of a recipe's folder.

    Raises:
        StoreError: the file is missing, is not a recipe, or was edited by hand.
    """
    file = folder / RECIPE_FILE
    advice = "restore it from a copy"
    if isinstance(folder, Path) and isinstance(file, Path):
        if folder.is_symlink():
            raise StoreError(
                f"{folder} is a link, and links inside a store are refused; put the folder itself "
                "there, or give its own store as --features"
            )
        document = read_checked(
            file, RECIPE, error=StoreError, advice=advice, most_bytes=MAX_BYTES, follow_links=False
        )
    else:  # an object in a bucket
        try:
            document = parse_checked(file.read_bytes(), RECIPE, most_bytes=MAX_BYTES)
        except OSError as error:
            raise StoreError(f"{file} cannot be read: {error.strerror}") from error
        except DocumentError as error:
            raise StoreError(f"{file}: {error}; {advice}") from error
    try:
        recipe = Recipe.from_json(document)
    except StoreError as error:
        raise StoreError(f"{file}: {error}; {advice}") from error
    if document.get("fingerprint") != recipe.fingerprint:
        raise StoreError(
            f"{file}: expected fingerprint {recipe.fingerprint}, which follows from the recipe, "
            f"got {document.get('fingerprint')}. The file was edited by hand; restore it."
        )
    return recipe
