"""Find the media files that annotations are about; none outside of the folder is taken."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from emo.errors import ManifestError
from emo.manifest.annotations.format import MediaReference
from emo.manifest.cells import inside
from emo.manifest.folder import AUDIO, VIDEO, walk_folders

FoundMedia = tuple[str, str, int]
"""Absolute path of a video and of a sound file ("" for none), and the offset in milliseconds."""


class MediaFinder:
    """Finds media by what a file of annotations says, else by the file's own stem."""

    def __init__(self, base: Path, media: Path | None = None) -> None:
        """Say where media may lie.

        Args:
            base: folder that media which a file names must be in.
            media: folder that is searched with its sub-folders; None: the folder of each file.
        """
        self.base = os.path.abspath(media or base)
        self.media = media
        self.outside: list[str] = []
        """Paths that a file named and that lie outside of ``base``."""
        self._lists: dict[str, dict[str, list[str]]] = {}

    def find(
        self, file: Path, recording: str, named: Sequence[MediaReference]
    ) -> FoundMedia | None:
        """Return the media of a file of annotations; None: there are none.

        Args:
            file: the file of annotations.
            recording: name of the recording; "": the file's own name tells it.
            named: media that the file names.

        Raises:
            ManifestError: several files could be meant.
        """
        offsets = {self._named(file, each): each.offset_ms for each in named}
        offsets.pop(None, None)
        if offsets:
            return _pick([path for path in offsets if path], file, offsets)
        start = named[0].offset_ms if named else 0
        for stem in _stems(recording or file.name):
            if found := self._by_stem(file.parent, stem):
                return _pick(found, file, dict.fromkeys(found, start))
        return None

    def _named(self, file: Path, named: MediaReference) -> str | None:
        """Return the path of a media file that a file names, if it is there and not outside."""
        url = unquote(named.url).replace("\\", "/")
        if not re.match(r"/|[A-Za-z][A-Za-z0-9+.-]*:", url):  # neither absolute nor a URL
            path = os.path.normpath(os.path.join(os.path.abspath(file.parent), url))
            try:
                inside(path, self.base)
            except ValueError:
                self.outside.append(f"{file.name}: {url}")
            else:
                if os.path.isfile(path) and _kind(path) in VIDEO + AUDIO:
                    return path
        name = url.rpartition("/")[2]
        beside = self._by_stem(file.parent, os.path.splitext(name)[0])
        return next((path for path in beside if os.path.basename(path) == name), None)

    def _by_stem(self, folder: Path, stem: str) -> list[str]:
        """Return the media files of a stem, in the folder or wherever media may lie."""
        where = os.path.abspath(self.media or folder)
        if where not in self._lists:
            below = walk_folders(Path(where)) if self.media else [(where, os.listdir(where))]
            self._lists[where] = _media_in(below)
        return self._lists[where].get(stem, [])


def _pick(paths: Sequence[str], file: Path, offsets: dict[str | None, int]) -> FoundMedia:
    """Return the video, and the sound beside it or alone."""
    videos = [path for path in paths if _kind(path) in VIDEO]
    sounds = [path for path in paths if _kind(path) in AUDIO]
    wavs = [path for path in sounds if _kind(path) == ".wav"]
    if len(videos) > 1 or (not videos and len(wavs or sounds) > 1):
        names = ", ".join(map(os.path.basename, videos or wavs or sounds))
        raise ManifestError(
            f"{file}: several media could be meant: {names}; move the others, or name the folder "
            "of the right ones: --media FOLDER"
        )
    if not videos:
        sound = (wavs or sounds)[0]
        return "", sound, offsets[sound]
    beside = next((path for path in wavs if offsets[path] == offsets[videos[0]]), "")
    return videos[0], beside, offsets[videos[0]]


def _stems(name: str) -> list[str]:
    """Return the stems by which media are looked for: ``a.en`` and ``a`` for ``a.en.srt``."""
    stem = name
    stems = []
    for _ in range(2):
        stem, kind = os.path.splitext(stem)
        if kind:
            stems.append(stem)
    return [*stems, name] if "." in name else [name]


def _kind(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _media_in(folders: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Return stem -> media files, of folders and the names of the files in them."""
    found: dict[str, list[str]] = {}
    for folder, names in folders:
        for name in sorted(names):
            if _kind(name) in VIDEO + AUDIO and not name.startswith("."):
                found.setdefault(os.path.splitext(name)[0], []).append(os.path.join(folder, name))
    return found
