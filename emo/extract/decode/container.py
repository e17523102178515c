"""Opens a media file safely, picks its tracks, seeks, and says in words why it cannot be read."""

import contextlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition

from emo.errors import MediaError

# Containers that hold media in themselves. Playlists (hls, dash, concat, image2) are left out: they
# open other files and addresses that whoever wrote the clip has chosen.
FORMATS = (
    "3g2,3gp,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,dv,eac3,f4v,flac,flv,gif,h264,"
    "hevc,ivf,live_flv,m4a,m4v,matroska,mj2,mjpeg,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,nistsphere,"
    "nut,obu,ogg,rm,tta,vob,voc,w64,wav,webm,wtv,wv,yuv4mpegpipe"
)
_NEVER_SEEK = frozenset(
    {"aac", "ac3", "amr", "dts", "eac3", "flv", "h264", "hevc", "m4v", "mp3", "mpeg", "vob"}
)
# Streams without an index are sought by time, which may end behind a keyframe: then farther back.
_EARLIER_SECONDS = (0.0, 5.0, 30.0)
_PREROLL_SECONDS = 1.0  # audio codecs need the packets before; tracks interleave loosely


@contextlib.contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """The opened container of ``path``; FFmpeg's errors inside the block become MediaErrors.

    Raises:
        MediaError: ``path`` does not exist, is empty, cut or no media file; or reading it failed.
    """
    try:
        container = _opened(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(_why_not_opened(path, error)) from error
    with container:
        try:
            yield container
        except av.error.FFmpegError as error:
            raise MediaError(f"{path.name}: reading the file broke: {words_of(error)}") from error


def _opened(path: Path) -> InputContainer:
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        return av.open(str(path), options=options)
    except UnicodeDecodeError:  # tags in another encoding; PyAV 19 reads them without being told
        return av.open(str(path), options=options, metadata_errors="replace")


def declared_seconds(container: InputContainer) -> float | None:
    """How long the file lasts, as its headers say (they may lie); None: they say nothing."""
    return container.duration / av.time_base if container.duration else None


def pick(streams: Sequence[Any]) -> Any | None:
    """The track marked as default, else the first; attached pictures (cover art) are not video."""
    tracks = [
        stream
        for stream in streams
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]
    return next(
        (t for t in tracks if t.disposition & Disposition.default), next(iter(tracks), None)
    )


def origin_seconds(container: InputContainer) -> float:
    """Where the file's own clock starts; every time elsewhere is relative to it."""
    return (container.start_time or 0) / av.time_base


def always_from_start(container: InputContainer) -> bool:
    """Without an index and times of its own: a seek would only guess."""
    return bool(_NEVER_SEEK & set(container.format.name.split(",")))


def packets_from(
    container: InputContainer, stream: Any, start_seconds: float | None
) -> Iterator["Packet[Any]"]:
    """The packets of ``stream`` from a keyframe before ``start_seconds``, else from the first.

    The last packet is empty: decoding it drains the decoder.
    """
    start = (start_seconds or 0.0) - _PREROLL_SECONDS
    if start <= 0 or always_from_start(container):
        yield from container.demux(stream)
        return
    target = start + origin_seconds(container)
    for earlier in _EARLIER_SECONDS:
        with contextlib.suppress(av.error.FFmpegError):  # what cannot seek stays at its start
            container.seek(int((target - earlier) * av.time_base))
        packets = container.demux(stream)
        first = next((packet for packet in packets if packet.is_keyframe), None)
        if first is not None and first.pts is not None and first.pts * first.time_base <= target:
            yield first
            yield from packets
            return
    container.seek(container.start_time or 0)  # the index lies: read from the beginning
    yield from container.demux(stream)


def words_of(error: Exception) -> str:
    """What FFmpeg says of an error, without its number and path."""
    words = getattr(error, "strerror", None) or str(error)
    return "the decoder gave up" if words.startswith("Error number") else words


def _why_not_opened(path: Path, error: Exception) -> str:
    try:
        return _looked_into(path, error)
    except (OSError, ValueError) as worse:  # a name that no file can have, a file that went away
        return f"{path.name}: the file cannot be opened: {words_of(worse)}"


def _looked_into(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"no such file: {path}"
    if path.is_dir():
        return f"{path} is a folder, not a media file"
    if isinstance(error, PermissionError):
        return f"{path.name}: no permission to read the file"
    if path.stat().st_size == 0:
        return f"{path.name}: the file is empty (0 bytes)"
    boxes = _mp4_boxes(path)
    if "ftyp" in boxes and "moov" not in boxes:
        return f"{path.name}: the file is cut: its index (moov) is missing"
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return f"{path.name}: not a media file: no known container starts like this"
    return f"{path.name}: the file cannot be opened: {words_of(error)}"


def _mp4_boxes(path: Path) -> list[str]:
    boxes: list[str] = []
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        while len(header := file.read(8)) == 8 and len(boxes) < 100:
            size, name = struct.unpack(">I4s", header)
            boxes.append(name.decode("latin-1"))
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            after = file.tell() + size - 8
            if size < 8 or after > size_bytes:  # 0: up to the end of the file
                break
            file.seek(after)
    return boxes


_MOST_SECONDS, _MOST_SHARE = 1.0, 0.1
"""A stretch may lack so much of its end, whichever is less."""


def expect_whole(
    path: Path,
    container: InputContainer,
    stream: Any,
    reached_seconds: float,
    *,
    start_seconds: float | None,
    end_seconds: float | None,
) -> None:
    """An mp4 whose index is at its front opens and plays until the cut; say so instead.

    What containers declare is often wrong, so that a file is called cut only when its index has
    packets of the track which would lie behind the last byte.

    Args:
        path: for the message.
        container: read to its end.
        stream: the track.
        reached_seconds: time of the last packet that was there.
        start_seconds: first wanted moment; None: the first of the file.
        end_seconds: end of what is wanted; None: the end of the file.

    Raises:
        MediaError: the file is cut before the end of the stretch.
    """
    if "mov" not in container.format.name or not stream.duration or not _is_cut(container, stream):
        return
    first = float((stream.start_time or 0) * stream.time_base) - origin_seconds(container)
    declared = first + float(stream.duration * stream.time_base)
    start = first if start_seconds is None else start_seconds
    end = declared if end_seconds is None else min(end_seconds, declared)
    if end - reached_seconds > min(_MOST_SECONDS, _MOST_SHARE * max(0.0, end - start)):
        raise MediaError(
            f"{path.name}: the file is cut: decoding broke at {reached_seconds:.2f} s of "
            f"{declared:.2f} s"
        )


def _is_cut(container: InputContainer, stream: Any) -> bool:
    if not len(stream.index_entries):
        return False
    last = stream.index_entries[-1]
    return bool(last.pos + last.size > container.size)
