"""List the media files below a folder as a table of clips."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from emo.errors import ManifestError
from emo.manifest.rows import TextTable

VIDEO = (
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".wmv",
)  # fmt: skip
"""Extensions of files with pictures (and often sound)."""
AUDIO = (
    ".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".m4b", ".mka",
    ".mp3", ".oga", ".ogg", ".opus", ".sph", ".w64", ".wav", ".wma", ".wv",
)  # fmt: skip
"""Extensions of files with sound alone."""
STILL = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Extensions of still pictures, which stand in the column ``video``."""


def folder_rows(folder: Path) -> TextTable:
    """List the clips below ``folder`` as a table, with paths relative to it.

    The columns are ``video``, ``audio`` and ``folder`` (the sub-folder), without empty ones. A
    ``.wav`` beside a video of the same stem becomes its audio. Hidden files are left
    out, and so are :func:`posters`.

    Raises:
        ManifestError: no such folder, or no media in it.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; name the one that holds the media")
    files = sorted(_files(folder))
    videos = [file for file in files if _kind(file) in VIDEO + STILL]
    stems = {os.path.splitext(file)[0] for file in videos}
    own_audio = {
        os.path.splitext(file)[0]: file
        for file in files
        if _kind(file) == ".wav" and os.path.splitext(file)[0] in stems
    }
    left_out = {*own_audio.values(), *_posters(files)}
    clips = [file for file in files if file not in left_out]
    if not clips:
        known = " ".join(VIDEO + AUDIO + STILL)
        raise ManifestError(f"{folder}: no media; expected files such as {known}")
    table: dict[str, list[str]] = {"video": [], "audio": [], "folder": []}
    for file in clips:
        stem, kind = os.path.splitext(file)
        is_video = kind.lower() in VIDEO + STILL
        table["video"].append(file if is_video else "")
        table["audio"].append(own_audio.get(stem, "") if is_video else file)
        table["folder"].append(Path(file).parent.as_posix().removeprefix("."))
    columns = {name: column for name, column in table.items() if any(column)}
    return TextTable(columns, clips)


def posters(folder: Path) -> list[str]:
    """Return the still pictures below a folder that have a video of the same stem beside them."""
    return _posters(sorted(_files(folder)))


def _posters(files: Sequence[str]) -> list[str]:
    """Return the still pictures among the files that have a video of the same stem."""
    stems = {os.path.splitext(file)[0] for file in files if _kind(file) in VIDEO}
    return [f for f in files if _kind(f) in STILL and os.path.splitext(f)[0] in stems]


def _files(folder: Path) -> Iterator[str]:
    """Iterate over the media files below a folder, as relative paths with ``/``."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(parent, name).relative_to(folder).as_posix()
            if _kind(name) in VIDEO + AUDIO + STILL and not name.startswith("."):
                if not file.isprintable():  # bytes that cannot be decoded, or a line break
                    raise ManifestError(f"{folder}: rename {file!r}; its name is not plain text")
                yield file


def _kind(file: str) -> str:
    """Return the extension of a file in lower case."""
    return os.path.splitext(file)[1].lower()
