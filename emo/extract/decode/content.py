"""Know a clip by its content: salted hashes by which seen clips are found under other ids.

``contents.csv`` in the folder of `emo adapt` has a row ``content, split`` for each clip that was
seen, see :func:`content_of`.
"""

import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from emo.errors import WeightsError
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import read_regular
from emo.manifest import Clip

SEEN_CONTENTS_FILE = "contents.csv"
"""Name of the file in a folder of `emo adapt`."""
LEAST_WORDS = 4
"""Shortest text that is compared, in words."""
_END_BYTES, _MOST_BYTES = 2**16, 2**32
_SPLITS = ("train", "val")
SeenContents = Mapping[str, str]
"""``SALT-HASH`` -> split in which a clip of this content was seen."""


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
