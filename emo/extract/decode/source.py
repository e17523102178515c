"""Where the media of a clip are, and hashes of its row, its files and its content.

A clip is also known by its content, see :func:`content_of`: ``contents.csv`` in the folder of
`emo adapt` has a row ``content, split`` for each clip that was seen, so that `emo extract` finds
seen clips under other ids.
"""

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emo.errors import WeightsError
from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.decode.sources.media_file import MediaPath, file_facts, located
from emo.manifest import Clip
from emo.manifest.cells import ARRAYS
from emo.untrusted.documents import shortened
from emo.untrusted.files import read_regular

SEEN_CONTENTS_FILE = "contents.csv"
"""Name of the file in a folder of `emo adapt`."""
LEAST_WORDS = 4
"""Shortest text that is compared, in words."""
_END_BYTES, _MOST_BYTES = 2**16, 2**32
_SPLITS = ("train", "val")
SeenContents = Mapping[str, str]
"""``SALT-HASH`` -> split in which a clip of this content was seen."""


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


def source_of(clip: Clip, root: Path, most_bytes: int = MOST_CLIP_BYTES) -> ClipSource:
    """Return the decoder's description of a clip.

    Args:
        clip: a row of the manifest.
        root: folder that is put before its paths.
        most_bytes: bytes of decoded pictures and sound that may be held at once.
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


def content_of(clip: Clip, root: Path, salt: str) -> str:
    """Return the salted hash of a clip's content, ``SALT-HASH``; empty: it cannot be compared.

    It covers the sizes and ends of the media files and the clip's times; without media the text, if
    it has four words or more: shorter ones are said by many people.

    Args:
        clip: a row of the manifest.
        root: folder of its media.
        salt: hexadecimal digits.
    """
    facts: list[object] = []
    files = [path for path in (clip.video, clip.audio) if path]
    try:
        facts += [_ends_of(root / path) for path in files]
    except (OSError, ValueError):  # missing, or an impossible file name
        return ""
    if files:
        facts += [clip.start_seconds, clip.end_seconds, clip.audio_channel]
    elif clip.text and len(clip.text.split()) >= LEAST_WORDS:
        facts.append(clip.text)
    else:
        return ""
    return f"{salt}-{hashlib.sha256(repr([salt, facts]).encode()).hexdigest()[:16]}"


def salted_contents(
    clips: Iterable[Clip], splits: Mapping[str, Iterable[str]], root: Path
) -> dict[str, str]:
    """Return the contents of the clips of train and val, under a new salt."""
    split_of = {clip_id: split for split in _SPLITS for clip_id in splits.get(split, ())}
    salt = secrets.token_hex(8)
    found = {
        content_of(clip, root, salt): split_of[clip.id] for clip in clips if clip.id in split_of
    }
    found.pop("", None)
    return found


def write_contents(folder: Path, contents: SeenContents) -> None:
    """Write ``contents.csv``, sorted by hash, so that the order tells nothing."""
    with (folder / SEEN_CONTENTS_FILE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("content", "split"))
        table.writerows(sorted(contents.items()))


def read_contents(adapted: Path) -> dict[str, str]:
    """Read the contents of the clips in a folder of `emo adapt`; it may have no such file.

    Raises:
        WeightsError: the file is damaged.
    """
    path = adapted / SEEN_CONTENTS_FILE
    if not path.exists():  # of an earlier version
        return {}
    try:
        data = read_regular(path, most_bytes=_MOST_BYTES, follow_links=True)
        rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        if not {"content", "split"} <= {*(rows.fieldnames or ())}:
            raise ValueError("expected the columns content and split")
        return {row["content"]: row["split"] for row in rows if row["split"] in _SPLITS}
    except (OSError, ValueError, csv.Error) as error:
        raise WeightsError(
            f"{path}, the contents of the clips that these weights were adapted on, cannot be read "
            f"({shortened(str(error))}): copy the whole folder of emo adapt again"
        ) from error


def found_by_content(clips: Iterable[Clip], root: Path, contents: SeenContents) -> dict[str, str]:
    """Return the ids of clips whose content was seen, each with the split in which it was."""
    salts = sorted({key.partition("-")[0] for key in contents})
    found = {}
    for clip in clips:
        for salt in salts:
            if split := contents.get(content_of(clip, root, salt)):
                found[clip.id] = split
    return found


def _ends_of(path: Path) -> tuple[int, str]:
    """Return the size of a file, and a hash of its beginning and its end."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(_END_BYTES)
        file.seek(max(0, size - _END_BYTES))
        data += file.read(_END_BYTES)
    return size, hashlib.sha256(data).hexdigest()
