"""Embed what clips hold into the page: words, three small frames, sound as MP3, video as MP4."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from emo.errors import EmoError, FitError, MediaError
from emo.manifest import Clip, Manifest
from emo.report.facts import ReportFacts
from emo.report.manifests import media_inside
from emo.report.media import ClipMedia, MediaProvider
from emo.report.names import without_folders
from emo.report.options import ReportOptions

if TYPE_CHECKING:
    from emo.extract.decode.playback.encode import EncodedClip
    from emo.extract.decode.source import ClipSource

FRAMES, FRAME_WIDTH = 3, 120
"""Number of still pictures, and their width in pixels."""
_T = TypeVar("_T")


class EmbeddedMedia(MediaProvider):
    """The content of some clips as ``data:`` URIs."""

    policy = {"img-src": "data:", "media-src": "data:"}  # noqa: RUF012 - as in the contract

    def __init__(
        self, words: Sequence[str], known: Mapping[int, ClipMedia], kinds: Sequence[str]
    ) -> None:
        """Keep the content.

        Args:
            words: words of each clip of the page; empty: not shown.
            known: content of the clips that are shown as cards, by their numbers.
            kinds: what is shown, some of :data:`emo.report.options.SHOWN_MEDIA`.
        """
        self.words, self._known, self.kinds = words, known, tuple(kinds)
        if kinds:
            *most, last = kinds
            shown = f"{', '.join(most)} and {last}" if most else last
            self.banner = (
                f"This page shows people: it holds {shown} of clips. Pass it on only to those who "
                "may see them."
            )

    def of_clip(self, number: int) -> ClipMedia:
        """Return the content of a clip; nothing if it is on no card."""
        return self._known.get(number, ClipMedia())


def embedded_media(facts: ReportFacts, options: ReportOptions) -> EmbeddedMedia:
    """Read the content of all clips on cards.

    Raises:
        FitError: no manifest of the runs is there.
    """
    clips = facts.manifest_clips
    if not clips:
        raise FitError(
            "--media: the manifest of the runs is not where it was, or has changed; name it with "
            "--manifest"
        )
    words = []
    if "words" in options.media:
        words = [(clips[each][1].text or "") if each in clips else "" for each in facts.clips]
    known = {}
    for number in facts.clips_on_cards:
        if found := clips.get(facts.clips[number]):
            known[number] = _media_of(*found, options)
    every = [*known.values()]
    shown = {
        "words": any(words), "frames": any(each.frames for each in every),
        "sound": any(each.sound for each in every), "video": any(each.video for each in every),
    }  # fmt: skip
    return EmbeddedMedia(words, known, [kind for kind in options.media if shown[kind]])


def _media_of(manifest: Manifest, clip: Clip, options: ReportOptions) -> ClipMedia:
    """Return the content of one clip; what cannot be read is named in its note."""
    from emo.extract.decode.playback.encode import SMALL_COPY, encode_clip, encode_sound
    from emo.extract.decode.source import source_of

    kinds = {*options.media}
    words = (clip.text or "") if "words" in kinds else ""
    if not (kinds & {"frames", "sound", "video"} and (clip.video or clip.audio)):
        return ClipMedia(words)
    try:
        for relative in filter(None, (clip.video, clip.audio)):
            # a link may lead anywhere: followed is one in a folder that the user named
            (manifest.media_path if options.root else partial(media_inside, manifest))(relative)
        source = source_of(clip, manifest.root)
    except (EmoError, OSError) as error:
        return ClipMedia(words, note=without_folders(f"Its media cannot be read: {error}"))
    notes: dict[str, None] = {}
    frames: Sequence[str] = ()
    if "frames" in kinds and clip.video:
        frames = _tried(lambda: _frames(source), notes) or ()
    copy, sound = None, None
    if "video" in kinds and clip.video:
        copy = _tried(lambda: encode_clip(source, form=SMALL_COPY), notes)
    if "sound" in kinds and copy is None:
        sound = _tried(lambda: encode_sound(source), notes)
    if copy is not None and copy.media_type.startswith("audio"):  # of a still picture
        copy, sound = None, copy
    return ClipMedia(
        words, tuple(frames), _uri(sound), _uri(copy), without_folders("; ".join(notes))
    )


def _tried(make: Callable[[], _T], notes: dict[str, None]) -> _T | None:
    """Return what is made; None: it cannot be made, and a note says why."""
    try:
        return make()
    except Exception as error:  # libraries raise many kinds on damaged files
        is_ours = isinstance(error, EmoError | MediaError | OSError)
        why = str(error) if is_ours else f"{type(error).__name__}: {error}"
        notes[f"Its media cannot be read: {why}"] = None
        return None


def _frames(source: "ClipSource") -> list[str]:
    """Return three frames of a clip as ``data:`` URIs.

    Raises:
        MediaError: it has none, or they cannot be decoded.
    """
    from emo.extract.decode.decode import load_media
    from emo.extract.media import Needs, Uniform

    needs = Needs(frames=Uniform(FRAMES), keep_frames=True, transform=_small)
    (media,) = load_media(replace(source, audio=None), [needs])
    if media.frames is None:
        raise MediaError(media.absent.get("video", "the clip has no frame"))
    return [_jpeg(frame) for frame in media.frames]


def _small(frame: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3), a frame of at most the width of a still picture."""
    from PIL import Image

    tall, wide = frame.shape[:2]
    share = min(1.0, FRAME_WIDTH / wide)
    size = (max(2, round(wide * share)), max(2, round(tall * share)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def _jpeg(frame: np.ndarray) -> str:
    """Return a frame as a ``data:`` URI."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=75)
    return _address("image/jpeg", file.getvalue())


def _uri(copy: "EncodedClip | None") -> str:
    """Return a copy as a ``data:`` URI; empty: there is none."""
    return "" if copy is None else _address(copy.media_type, copy.data)


def _address(kind: str, data: bytes) -> str:
    """Return the bytes of a file as a ``data:`` URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
