"""Where the media of a clip are, and a hash that changes when the clip's row or files change."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.decode.sources.media_file import MediaPath, file_facts, located
from emo.manifest import Clip
from emo.manifest.cells import ARRAYS


@dataclass(frozen=True)
class ClipSource:
    """Where the media of one clip are, for the decoder."""

    video: MediaPath | None = None
    """Video file with its folder; None: the clip has no video."""
    audio: MediaPath | None = None
    """Separate audio file; None: the audio is in ``video``."""
    audio_channel: str = "mix"
    """Channel of the audio to keep: ``mix`` (all), ``left``, ``right`` or a 0-based number."""
    audio_track: str | None = None
    """Audio track of the file, a 0-based number or a language; None: the default one."""
    text: str | None = None
    """Text of the clip; None: the manifest has none."""
    start_seconds: float | None = None
    """Start of the clip from the start of each file; None: the first frame and sample."""
    end_seconds: float | None = None
    """End of the clip (exclusive) from the start of each file; None: the end of the file."""
    root: Path = Path()
    """Folder that paths in ``cells`` are relative to; paths that leave it are refused."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """Columns of the manifest that have no field here, name -> cell; some may name array files."""
    most_bytes: int = MOST_CLIP_BYTES
    """Bytes of decoded pictures and sound that may be held at once; more is an error."""
    decodes_all: bool = False
    """Whether the pictures between the selected ones are decoded, too, so that their damage is
    noted; the selected ones are the same either way."""


def source_of(
    clip: Clip, root: Path, most_bytes: int = MOST_CLIP_BYTES, *, decodes_all: bool = False
) -> ClipSource:
    """Return the decoder's description of a clip.

    Args:
        clip: a row of the manifest.
        root: folder that is put before its paths.
        most_bytes: bytes of decoded pictures and sound that may be held at once.
        decodes_all: whether all pictures are decoded, so that the damage of any is noted.
    """
    return ClipSource(
        video=located(clip.video, root) if clip.video else None,
        audio=located(clip.audio, root) if clip.audio else None,
        audio_channel=clip.audio_channel,
        audio_track=clip.audio_track,
        text=clip.text,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        root=root,
        cells=clip.targets,
        most_bytes=most_bytes,
        decodes_all=decodes_all,
    )


def source_hash(clip: Clip, root: Path) -> str:
    """Hash what a clip's tokens depend on, to 16 hexadecimal digits.

    It covers the path, size and modification time of each media and array file (of an object in a
    bucket its ETag, see :func:`file_facts`), the clip's times, its channel, its audio track and its
    text. A missing file counts as size -1, so that the hash changes when the file comes back.
    """
    facts: list[object] = [
        *(fact for path in (clip.video, clip.audio) for fact in file_facts(path, root)),
        clip.start_seconds, clip.end_seconds, clip.audio_channel, clip.text,
    ]  # fmt: skip
    if clip.audio_track is not None:  # stores of clips without one keep their hashes
        facts.append(clip.audio_track)
    for cell in clip.targets.values():
        if cell.endswith(ARRAYS):
            facts += file_facts(cell, root)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
