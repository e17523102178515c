"""List the media files below a folder as a table of clips."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from emo.errors import EmoError, ManifestError
from emo.machine.untrusted.addresses import hide_secrets, parse_address, url_of
from emo.manifest.cells import inside
from emo.manifest.tables.text_table import TextTable

VIDEO = (
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m1v", ".m2t", ".m2ts",
    ".m2v", ".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf",
    ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".wtv",
)  # fmt: skip
"""Extensions of files with pictures (and often sound)."""
AUDIO = (
    ".3ga", ".aac", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".awb",
    ".caf", ".dts", ".eac3", ".flac", ".m4a", ".m4b", ".m4r", ".mka", ".mp2", ".mp3", ".mpga",
    ".oga", ".ogg", ".opus", ".ra", ".sph", ".spx", ".tta", ".voc", ".w64", ".wav", ".weba",
    ".wma", ".wv",
)  # fmt: skip
"""Extensions of files with sound alone."""
STILL = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Extensions of still pictures and of animations without sound, in the column ``video``."""
UNREAD_MEDIA = (
    ".arw", ".braw", ".cr2", ".dff", ".dng", ".dsf", ".gxf", ".heic", ".heif", ".jp2", ".jxl",
    ".mid", ".midi", ".mjpeg", ".mjpg", ".mod", ".nef", ".pcm", ".pgm", ".ppm", ".psd", ".r3d",
    ".raw", ".svg", ".swf", ".tga", ".tod",
)  # fmt: skip
"""Extensions of media that are not looked for; they can be converted."""
_SHOWN_EXTENSIONS = 8


def folder_rows(folder: Path) -> TextTable:
    """List the clips below ``folder`` as a table, with paths relative to it.

    The columns are ``video``, ``audio`` and ``folder`` (the sub-folder), without empty ones. A
    ``.wav`` beside a video of the same stem becomes its audio. Hidden files are left
    out, and so are :func:`posters`. Links to folders are followed.

    Raises:
        ManifestError: no such folder, or no media in it.
    """
    if url_of(folder) is None and not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; name the one that holds the media")
    files = sorted(_files(folder))
    videos = [file for file in files if _kind(file) in VIDEO + STILL]
    stems = {os.path.splitext(file)[0] for file in videos}
    own_audio = {
        os.path.splitext(file)[0]: file
        for file in files
        if _kind(file) == ".wav" and os.path.splitext(file)[0] in stems
    }
    dropped = {*own_audio.values(), *_posters(files)}
    clips = [file for file in files if file not in dropped]
    if not clips:
        others = left_out(folder)
        if odd := unusable(folder):
            others = f"{others}; " * bool(others) + f"names that no manifest can hold: {odd[0]!r}"
        raise ManifestError(
            f"{folder}: no media; expected files such as .mp4 .mkv .avi .mov .wav .mp3 .flac .jpg "
            f".png ({len(VIDEO + AUDIO + STILL)} kinds are known)"
            + (f"; found {others}" if others else "")
        )
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
    if url := url_of(folder):
        yield from _walk_bucket(url, folder, hidden)
        return
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


def _walk_bucket(
    url: str, folder: Path, hidden: tuple[str, ...]
) -> Iterator[tuple[str, list[str]]]:
    """Iterate over the objects below a URL as :func:`walk_folders` does over files.

    Raises:
        ManifestError: the URL is none of a bucket, or the bucket cannot be listed.
    """
    found: dict[str, list[str]] = {}
    for key in _keys_below(url):
        parent, _, name = key.rpartition("/")
        if name and not any(part.startswith(hidden) for part in parent.split("/")):
            found.setdefault(parent, []).append(name)
    for parent, names in sorted(found.items()):
        yield str(folder / parent), sorted(names)


@lru_cache(maxsize=1)  # one command asks several times
def _keys_below(url: str) -> tuple[str, ...]:
    """Return the names of the objects below a URL, relative to it."""
    from emo.store.backend.object_path import ObjectPath  # not needed for local folders

    path = ObjectPath.parse(url)
    if path is None:
        raise ManifestError(f"{hide_secrets(url)}: only buckets can be listed: s3://, gs://, az://")
    start = len(path.key) + 1 if path.key else 0
    try:
        return tuple(key[start:] for key, _ in path.media_bucket.walk(path.key))
    except EmoError as error:
        raise ManifestError(str(error)) from error


def posters(folder: Path) -> list[str]:
    """Return the still pictures below a folder that have a video of the same stem beside them."""
    return _posters(sorted(_files(folder)))


def left_out(folder: Path) -> str:
    """Return a text with the number of files by extension that are no clips; "" if there are none.

    Media that cannot be read come first. Hidden files are not counted.
    """
    names = (name for _, names in walk_folders(folder) for name in names)
    kinds = (_kind(name) for name in names if not name.startswith("."))
    counts = Counter(kind for kind in kinds if kind not in VIDEO + AUDIO + STILL)
    media = {kind: counts.pop(kind) for kind in [*counts] if kind in UNREAD_MEDIA}
    found = {"media of kinds to convert first": Counter(media), "other files": counts}
    return "; ".join(f"{what}: {_by_extension(of)}" for what, of in found.items() if of)


def _by_extension(counts: Counter[str]) -> str:
    """Return counts by extension as text, the largest first."""
    dots = ", …" if len(counts) > _SHOWN_EXTENSIONS else ""
    shown = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:_SHOWN_EXTENSIONS]
    return ", ".join(f"{count:,} {kind or 'without extension'}" for kind, count in shown) + dots


def _posters(files: Sequence[str]) -> list[str]:
    """Return the still pictures among the files that have a video of the same stem."""
    stems = {os.path.splitext(file)[0] for file in files if _kind(file) in VIDEO}
    return [f for f in files if _kind(f) in STILL and os.path.splitext(f)[0] in stems]


def unusable(folder: Path) -> list[str]:
    """Return the media files below a folder, or objects, whose names no cell can hold, sorted."""
    return sorted(file for file, is_usable in _media_files(folder) if not is_usable)


def _files(folder: Path) -> Iterator[str]:
    """Iterate over the media files below a folder that a manifest can name, see `_media_files`."""
    return (file for file, is_usable in _media_files(folder) if is_usable)


def _media_files(folder: Path) -> Iterator[tuple[str, bool]]:
    """Iterate over the media files below a folder, as relative paths with ``/``.

    Yields:
        The path, and whether a cell of a manifest can hold it: ``a?.wav`` in a bucket would be a
        query, ``x.tar!a.wav`` a member of a shard, and blanks at the ends of cells do not count.

    Raises:
        ManifestError: a name of a local file is not plain text.
    """
    url = url_of(folder)
    root = url or os.path.abspath(folder)
    for parent, names in walk_folders(folder):
        base = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in names:
            file = name if base == "." else f"{base}/{name}"
            if _kind(name) in VIDEO + AUDIO + STILL and not name.startswith("."):
                if not file.isprintable() and url is None:  # undecoded bytes, or a line break
                    raise ManifestError(f"{folder}: rename {file!r}; its name is not plain text")
                yield file, _is_usable(file, root)


def _is_usable(file: str, root: str) -> bool:
    """Return whether a relative path means the same file as a cell of a manifest."""
    if not file.isprintable() or file != file.strip() or ("!" in file and _is_member(file)):
        return False
    try:
        return inside(file, root) == file
    except ValueError:
        return False


def _is_member(file: str) -> bool:
    return parse_address(file).member is not None


def _kind(file: str) -> str:
    """Return the extension of a file in lower case."""
    return os.path.splitext(file)[1].lower()
