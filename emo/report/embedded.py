"""Embed what clips hold into the page: words, three small frames, sound as MP3, video as MP4."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.errors import EmoError, FitError, MediaError
from emo.manifest import Clip, Manifest
from emo.report.facts import ReportFacts
from emo.report.media import ClipMedia, MediaProvider
from emo.report.names import without_folders
from emo.report.options import ReportOptions

FRAMES, FRAME_WIDTH, VIDEO_HEIGHT = 3, 120, 240
"""Number and width of still pictures, and height of a video in pixels."""
FRAMES_PER_SECOND = 12
"""Frames per second of a video."""


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
            kinds: what is shown, see :data:`emo.report.options.SHOWN_MEDIA`.
        """
        self.words, self._known = words, known
        *most, last = kinds
        shown = f"{', '.join(most)} and {last}" if most else last
        self.banner = (
            f"This page shows people: it holds {shown} of clips. Pass it on only to those who may "
            "see them."
        )

    def of_clip(self, number: int) -> ClipMedia:
        """Return the content of a clip; nothing if it is on no card."""
        return self._known.get(number, ClipMedia())


def embedded_media(facts: ReportFacts, options: ReportOptions) -> MediaProvider:
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
            known[number] = _media_of(*found, options.media)
    return EmbeddedMedia(words, known, options.media)


@dataclass(frozen=True)
class _Steps:
    """Frame rule: one frame for each step of a fixed rate, from the first to the last."""

    per_second: float

    def indices(self, seconds: np.ndarray) -> np.ndarray:
        """Return int64 (F,), the frame that is shown at each step."""
        count = max(1, int((seconds[-1] - seconds[0]) * self.per_second) + 1)
        moments = seconds[0] + np.arange(count) / self.per_second
        found: np.ndarray = np.maximum(np.searchsorted(seconds, moments + 1e-6) - 1, 0)
        return found


def _media_of(manifest: Manifest, clip: Clip, kinds: Sequence[str]) -> ClipMedia:
    """Return the content of one clip; what cannot be read is named in its note."""
    words = (clip.text or "") if "words" in kinds else ""
    if not ({*kinds} & {"frames", "sound", "video"} and (clip.video or clip.audio)):
        return ClipMedia(words)
    from emo.extract.decode.decode import load_media
    from emo.extract.decode.pictures.small_copies import mp3_of, mp4_of
    from emo.extract.decode.source import source_of
    from emo.extract.media import Needs, Uniform

    rule: Any = _Steps(FRAMES_PER_SECOND) if "video" in kinds else Uniform(FRAMES)
    height = VIDEO_HEIGHT if "video" in kinds else None
    needs = Needs(
        frames=rule if clip.video and {*kinds} & {"frames", "video"} else None, keep_frames=True,
        transform=lambda frame: _small(frame, height),
        audio=bool({*kinds} & {"sound", "video"}),
    )  # fmt: skip
    try:
        for relative in filter(None, (clip.video, clip.audio)):
            manifest.media_path(relative)
        (media,) = load_media(source_of(clip, manifest.root), [needs])
    except (EmoError, MediaError, OSError) as error:
        return ClipMedia(words, note=without_folders(f"Its media cannot be read: {error}"))
    frames: Any = media.frames if media.frames is not None else []
    notes = [f"no {name}: {why}" for name, why in media.absent.items()]
    return ClipMedia(
        words,
        tuple(_jpeg(frames[k]) for k in Uniform(FRAMES).indices(np.arange(len(frames))))
        if len(frames) and "frames" in kinds else (),
        _uri("audio/mpeg", mp3_of(media.samples, media.sample_rate))
        if "sound" in kinds and "video" not in kinds else "",
        _uri("video/mp4", mp4_of(frames, FRAMES_PER_SECOND, media.samples, media.sample_rate))
        if "video" in kinds else "",
        without_folders("; ".join(notes)),
    )  # fmt: skip


def _small(frame: np.ndarray, height: int | None) -> np.ndarray:
    """Return uint8 (H, W, 3), a frame of at most the height, or of the width of a still picture."""
    from PIL import Image

    tall, wide = frame.shape[:2]
    share = min(1.0, height / tall) if height else min(1.0, FRAME_WIDTH / wide)
    size = (max(2, round(wide * share / 2) * 2), max(2, round(tall * share / 2) * 2))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def _jpeg(frame: np.ndarray) -> str:
    """Return a frame as a ``data:`` URI, at most as wide as a still picture."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(_small(frame, None)).save(file, "JPEG", quality=75)
    return _uri("image/jpeg", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    """Return the bytes of a file as a ``data:`` URI; empty: no bytes."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}" if data else ""
