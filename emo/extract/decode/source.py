"""Where a clip's media lies, and the source hash that tells when a clip changed under its id."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emo.manifest import Clip
from emo.manifest.cells import ARRAYS


@dataclass(frozen=True)
class ClipSource:
    """Where the media of one clip are; resolved paths."""

    video: Path | None = None
    audio: Path | None = None
    """A separate audio file; None: the audio is in ``video``."""
    audio_channel: str = "mix"
    """``mix``, ``left``, ``right`` or a 0-based number."""
    text: str | None = None
    start_seconds: float | None = None
    """Of the stretch, from the start of each file; None: from the first frame and sample."""
    end_seconds: float | None = None
    root: Path = Path()
    """What the paths in ``cells`` are relative to and never leave."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """The manifest's other columns, some of which may name arrays."""


def source_of(clip: Clip, root: Path) -> ClipSource:
    """The decoder's view of a clip: absolute paths, times, channel, text."""
    return ClipSource(
        video=root / clip.video if clip.video else None,
        audio=root / clip.audio if clip.audio else None,
        audio_channel=clip.audio_channel,
        text=clip.text,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        root=root,
        cells=clip.targets,
    )


def source_hash(clip: Clip, root: Path) -> str:
    """16 hex digits over path, size and mtime of media and arrays, times, channel and text.

    A file that is not there counts as size -1, so that its return changes the hash.
    """
    facts: list[object] = [
        *(fact for path in (clip.video, clip.audio) for fact in _file_facts(path, root)),
        clip.start_seconds, clip.end_seconds, clip.audio_channel, clip.text,
    ]  # fmt: skip
    for cell in clip.targets.values():
        if cell.endswith(ARRAYS):
            facts += _file_facts(cell, root)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _file_facts(path: str | None, root: Path) -> tuple[str | None, int, int]:
    if path is None:
        return None, 0, 0
    try:
        status = (root / path).stat()
    except (OSError, ValueError):  # not there, or a name that no file can have
        return path, -1, 0
    return path, status.st_size, status.st_mtime_ns
