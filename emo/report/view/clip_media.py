"""The media of the page's clips: what a browser can play, and the files and copies themselves."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from emo.errors import EmoError, MediaError, line_of
from emo.machine.untrusted.files import UnfitFileError, open_regular
from emo.manifest import Clip, Manifest
from emo.report.manifests import media_inside
from emo.report.names import without_folders
from emo.report.view.kept import KeptBytes
from emo.report.view.server import Answer
from emo.report.view.stores import ViewedStores

if TYPE_CHECKING:
    from emo.extract.decode.source import ClipSource

MOST_MEDIA_BYTES = 2**29
"""Bytes of decoded pictures and sound that a clip may take, 512 MiB."""


@dataclass(frozen=True)
class ViewedClip:
    """A clip of the page."""

    id: str
    """Id of the clip."""
    clip: Clip | None = None
    """Row of the clip in the manifest; None: the manifest is not known."""
    manifest: Manifest | None = None
    """The manifest."""


@dataclass(frozen=True)
class Player:
    """How a browser shows a clip."""

    element: str = ""
    """``video``, ``audio``, ``picture`` (a still picture), or empty: it cannot."""
    address: str = ""
    """Address of the video or sound, with the seconds that are played; empty: there is none."""
    has_sound: bool = False
    """Whether there may be a sound."""
    note: str = ""
    """Why it is not shown, or what is shown instead of the file itself."""


class ClipMediaFiles:
    """The media of clips by number."""

    def __init__(self, clips: Sequence[ViewedClip], stores: ViewedStores) -> None:
        """Begin without having opened any file.

        Args:
            clips: the clips of the page; a clip's position is its number.
            stores: stores with pictures of the clips.
        """
        self.clips, self.stores = clips, stores
        self._kept = KeptBytes()
        self._types: dict[str, str | None] = {}

    def player(self, number: int) -> Player:
        """Return how a clip is shown; a file that cannot be opened is a note."""
        try:
            with _failures():
                return self._player(number)
        except EmoError as error:
            return Player(note=without_folders(line_of(str(error))))

    def answer(self, number: int, what: str) -> Answer | None:
        """Return a file of a clip; None: there is none of this name.

        Args:
            number: number of the clip.
            what: ``media``, ``frame``, ``spectrogram``, or ``crops/K`` for those of recipe K.

        Raises:
            EmoError: the file cannot be read, or not be decoded.
        """
        from emo.report.view import pictures

        if what.startswith("crops/"):
            recipe = int(what.removeprefix("crops/"))
            if recipe >= len(self.stores.recipes):
                return None
            crops = self.stores.pictures(recipe, self.clips[number].id)
            return Answer(pictures.crops_png(crops), "image/png")
        source = self._source(number)
        if source is None or what not in ("media", "frame", "spectrogram"):
            return None
        if what == "frame":
            return self._made(number, what, "image/jpeg", lambda: pictures.frame_jpeg(source))
        if what == "spectrogram":
            return self._made(number, what, "image/png", lambda: pictures.spectrogram_png(source))
        return self._media(number, source)

    def _player(self, number: int) -> Player:
        source = self._source(number)
        clip = self.clips[number].clip
        if source is None or clip is None:
            return Player(note="" if clip else "its manifest is not known, so its media are not")
        from emo.extract.decode.decode import probe_seconds
        from emo.extract.decode.pictures.still import is_still
        from emo.extract.decode.playback.encode import MOST_COPIED_SECONDS

        address = f"clip/{number}/media"
        if source.video is not None and is_still(source.video):
            has_sound = source.audio is not None
            return Player("picture", address if has_sound else "", has_sound)
        element = "video" if source.video else "audio"
        if self._own_type(number, source):
            return Player(element, address + _seconds_of(clip), has_sound=True)
        seconds = probe_seconds(source) or 0.0
        note = "This is a small copy, with what emo reads: browsers do not play the file itself so."
        if seconds > MOST_COPIED_SECONDS:
            note += f" It holds the first {MOST_COPIED_SECONDS:g} of {seconds:,.0f} s."
        return Player(element, address, has_sound=True, note=note)

    def _media(self, number: int, source: "ClipSource") -> Answer:
        """Return a clip's own file if browsers play it, else a copy."""
        from emo.extract.decode.playback.encode import encode_clip

        path = source.video or source.audio
        if (media_type := self._own_type(number, source)) and isinstance(path, Path):
            return Answer(_opener(path), media_type)
        element = "video" if source.video else "audio"
        # the first bytes of a copy tell its kind: mp4, unless this PyAV has no encoder of it
        copy = self._made(number, "media", f"{element}/mp4", lambda: encode_clip(source).data)
        is_mp4 = isinstance(copy.body, bytes) and copy.body[4:8] == b"ftyp"
        return copy if is_mp4 else replace(copy, media_type=f"{element}/webm")

    def _made(self, number: int, what: str, media_type: str, make: Callable[[], bytes]) -> Answer:
        """Return what is made of a clip, once for each state of its files."""
        key = what, self._state(number)
        with _failures():
            return Answer(self._kept.get(key, make), media_type)

    def _state(self, number: int) -> str:
        """Return a hash that changes when a clip's files or row change."""
        from emo.extract.decode.source import source_hash

        clip, manifest = self.clips[number].clip, self.clips[number].manifest
        assert clip is not None
        assert manifest is not None
        return source_hash(replace(clip, targets={}), manifest.root)

    def _own_type(self, number: int, source: "ClipSource") -> str | None:
        """Return the type of a clip's own file if browsers play it and hear what emo hears."""
        from emo.extract.decode.playback.plays import browser_type

        has_choice = source.audio_channel != "mix" or source.audio_track is not None
        path = source.video or source.audio
        if not isinstance(path, Path) or has_choice or (source.video and source.audio):
            return None  # a file in a bucket or a shard is shown as a copy too
        key = self._state(number)
        if key not in self._types:
            self._types[key] = browser_type(path)
        return self._types[key]

    def _source(self, number: int) -> "ClipSource | None":
        """Return where the media of a clip are, with links followed; None: it has none.

        Raises:
            EmoError: a path leaves the folder of the media.
        """
        from emo.extract.decode.source import source_of

        viewed = self.clips[number]
        clip, manifest = viewed.clip, viewed.manifest
        if clip is None or manifest is None or not (clip.video or clip.audio):
            return None
        own = source_of(replace(clip, targets={}), manifest.root, MOST_MEDIA_BYTES)
        return replace(
            own,
            video=media_inside(manifest, clip.video) if clip.video else None,
            audio=media_inside(manifest, clip.audio) if clip.audio else None,
        )


@contextmanager
def _failures() -> Iterator[None]:
    """Turn whatever decoding raises into an error of one line, as `emo extract` does.

    Raises:
        MediaError: of another exception.
    """
    try:
        yield
    except EmoError:
        raise
    except Exception as error:  # libraries raise many kinds on damaged files
        raise MediaError(f"it cannot be decoded: {type(error).__name__}: {error}") from error


def _opener(path: Path) -> Callable[[], tuple[BinaryIO, int]]:
    """Return a function that opens a file and tells its size."""

    def opened() -> tuple[BinaryIO, int]:
        try:
            handle, size = open_regular(path, follow_links=False)
        except (OSError, UnfitFileError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise MediaError(f"{path.name}: {reason}") from error
        return os.fdopen(handle, "rb"), size

    return opened


def _seconds_of(clip: Clip) -> str:
    """Return the media fragment that makes a player play a clip's seconds; empty: the whole file.

    >>> _seconds_of(Clip("a", start_seconds=1.5, end_seconds=3.25)), _seconds_of(Clip("b"))
    ('#t=1.500,3.250', '')
    """
    if clip.start_seconds is None and clip.end_seconds is None:
        return ""
    end = "" if clip.end_seconds is None else f",{clip.end_seconds:.3f}"
    return f"#t={clip.start_seconds or 0:.3f}{end}"
