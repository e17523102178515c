"""The clips of a manifest in chunks, read again for each pass over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from emo.errors import ManifestError
from emo.heads.runs.chunks import CHUNK_CLIPS, chunk_numbers
from emo.manifest import Clip, read_manifest
from emo.predict.scale.stream import NotStreamableError, is_streamable, stream_clips


@dataclass(frozen=True)
class ChunkedManifest:
    """A manifest whose clips are read in chunks."""

    path: Path
    """The manifest, or ``Path`` of its URL."""
    columns: Mapping[str, str]
    """Columns under other names: our name -> the file's."""
    root: Path | None
    """Folder of the media; None: the manifest's folder."""
    unit: Literal["clip", "dialogue"]
    """What a chunk keeps together."""

    def chunks(self) -> Iterator[list[Clip]]:
        """Yield the clips of each chunk in the order of the manifest.

        A Parquet manifest is streamed; other manifests, and those whose chunks are dialogues, are
        read whole.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        if self.unit == "clip" and is_streamable(self.path):
            yield from self._streamed()
            return
        clips = read_manifest(self.path, columns=self.columns, root=self.root).clips
        numbers = chunk_numbers(self.unit, clips)
        order = np.argsort(numbers, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            yield [clips[row] for row in rows]

    def check_unique(self, hashes: np.ndarray) -> None:
        """Check that no id occurs twice.

        Args:
            hashes: uint64 (N,), a hash of each id.

        Raises:
            ManifestError: an id occurs twice; the rows are named.
        """
        if len(np.unique(hashes)) == len(hashes):
            return
        read_manifest(self.path, columns=self.columns, root=self.root)
        raise ManifestError(f"{self.path}: two rows have the same id; give each row another one")

    def _streamed(self) -> Iterator[list[Clip]]:
        waiting: list[Clip] = []
        is_begun = False
        try:
            for clips in stream_clips(self.path, columns=self.columns, root=self.root):
                waiting += clips
                while len(waiting) >= CHUNK_CLIPS:
                    yield waiting[:CHUNK_CLIPS]
                    is_begun, waiting = True, waiting[CHUNK_CLIPS:]
        except NotStreamableError:
            if is_begun:
                raise
            clips_of_all = read_manifest(self.path, columns=self.columns, root=self.root).clips
            waiting = list(clips_of_all)
        for start in range(0, len(waiting), CHUNK_CLIPS):
            yield waiting[start : start + CHUNK_CLIPS]
