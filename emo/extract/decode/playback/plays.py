"""Tell whether browsers play a media file as it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emo.extract.decode.container import open_media, origin_seconds, pick
from emo.extract.decode.structure.truncated import is_truncated

_VIDEO = {
    "mp4": ("video/mp4", {"h264", "av1"}, {"aac", "mp3", "opus", "flac"}),
    "webm": ("video/webm", {"vp8", "vp9", "av1"}, {"opus", "vorbis"}),
}
"""FFmpeg's name of a container -> its type, and the codecs of pictures and sound in it that
Chromium, Firefox and Safari play."""
_AUDIO = {
    "mp4": ("audio/mp4", {"aac", "mp3", "flac"}),
    "mp3": ("audio/mpeg", {"mp3"}),
    "wav": ("audio/wav", {"pcm_s16le", "pcm_u8"}),
    "flac": ("audio/flac", {"flac"}),
    "ogg": ("audio/ogg", {"vorbis", "opus"}),
}
"""FFmpeg's name of a container of sound alone -> its type, and the codecs that browsers play."""
_PIXELS = {"yuv420p", "yuvj420p"}
"""Formats of pixels that decoders in hardware and browsers have: 8 bits, colour at half size."""
_LATEST_ORIGIN = 0.1
"""Seconds at which a file may begin: times of emo count from there, those of browsers from 0. An
MP3 begins at its encoder's delay."""


def browser_type(path: Path) -> str | None:
    """Return the media type as which browsers play a file; None: they do not play it surely.

    Files with several tracks of a kind count as not played: browsers choose others than emo does.

    Args:
        path: a media file, no still picture.

    Raises:
        MediaError: it cannot be opened.
    """
    with open_media(path) as container:
        names = container.format.name.split(",")
        if is_truncated(path, container.format.name):
            return None  # a player would end early without a word
        pictures, sounds = container.streams.video, container.streams.audio
        first, sound = pick(pictures), pick(sounds)
        tracks = len([track for track in pictures if track is first or pick([track])])
        if tracks > 1 or len(sounds) > 1 or abs(origin_seconds(container)) > _LATEST_ORIGIN:
            return None
        if first is None:
            return None if sound is None else _type_of(names, _AUDIO, [sound])
        context = first.codec_context
        if context.pix_fmt not in _PIXELS or max(context.width, context.height) > 4096:
            return None
        return _type_of(names, _VIDEO, [first, *([sound] if sound is not None else [])])


def _type_of(names: Sequence[str], known: dict[str, Any], tracks: Sequence[Any]) -> str | None:
    """Return the type of a container that holds tracks; None: one of them is not played in it."""
    for name in names:
        if name in known:
            media_type, *codecs = known[name]
            found = [track.codec_context.codec.canonical_name for track in tracks]
            fits = all(codec in names for codec, names in zip(found, codecs, strict=False))
            return str(media_type) if fits else None
    return None
