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
    out, and so are :func:`posters`. Links to folders are followed.

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


def walk_folders(
    folder: Path, *, hidden: tuple[str, ...] = (".",)
) -> Iterator[tuple[str, list[str]]]:
    """Iterate over a folder and all folders below it; links to folders are followed.

    A folder that is reached twice, such as by a link to a folder above, is read once: under its
    own name if it lies below ``folder``, else under the first link to it.

    Args:
        folder: the folder.
        hidden: prefixes of names of folders that are left out.

    Yields:
        Path of each folder, starting with ``folder``, and the names of the files in it.
    """
    seen: set[tuple[int, int]] = set()
    waiting, links = [str(folder)], list[str]()
    while waiting or links:
        path = waiting.pop() if waiting else links.pop(0)
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        names = []
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if not entry.is_dir():
                    names.append(entry.name)
                elif not entry.name.startswith(hidden):
                    (links if entry.is_symlink() else waiting).append(entry.path)
        yield path, names


def posters(folder: Path) -> list[str]:
    """Return the still pictures below a folder that have a video of the same stem beside them."""
    return _posters(sorted(_files(folder)))


def _posters(files: Sequence[str]) -> list[str]:
    """Return the still pictures among the files that have a video of the same stem."""
    stems = {os.path.splitext(file)[0] for file in files if _kind(file) in VIDEO}
    return [f for f in files if _kind(f) in STILL and os.path.splitext(f)[0] in stems]


def _files(folder: Path) -> Iterator[str]:
    """Iterate over the media files below a folder, as relative paths with ``/``."""
    for parent, names in walk_folders(folder):
        base = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            file = name if base == "." else f"{base}/{name}"
            if _kind(name) in VIDEO + AUDIO + STILL and not name.startswith("."):
                if not file.isprintable():  # bytes that cannot be decoded, or a line break
                    raise ManifestError(f"{folder}: rename {file!r}; its name is not plain text")
                yield file


def _kind(file: str) -> str:
    """Return the extension of a file in lower case."""
    return os.path.splitext(file)[1].lower()
