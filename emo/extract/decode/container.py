"""Open a media file safely, pick its tracks, seek, and explain why a file cannot be read."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from emo.errors import MediaError
from emo.extract.decode.budget import MOST_PIXELS, check_pixels
from emo.extract.decode.pictures.tiles import refuse_tiles
from emo.extract.decode.sources.media_file import FarFile, MediaPath
from emo.machine.libraries import late
from emo.machine.untrusted.files import kind_of_file

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
else:
    av = late("av")

# Playlists (hls, dash, concat, image2) are left out: they make FFmpeg open other files and network
# addresses, chosen by the author of the clip.
FFMPEG_FORMATS = (
    "3g2,3gp,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,dv,eac3,f4v,flac,flv,gif,h264,"
    "hevc,ivf,live_flv,m4a,m4v,matroska,mj2,mjpeg,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,nistsphere,"
    "nut,obu,ogg,rm,tta,vob,voc,w64,wav,webm,wtv,wv,yuv4mpegpipe"
)
"""FFmpeg's names of the containers that may be opened: those that hold the media themselves."""
_NEVER_SEEK = frozenset(
    {
        "aac", "ac3", "amr", "dts", "eac3", "flv", "gif", "h264", "hevc", "ivf", "m4v", "mjpeg",
        "mp3", "mpeg", "mpegvideo", "obu", "vob",
    }
)  # fmt: skip
"""Containers without an index or without timestamps of their own, in which a seek is only a guess:
FFmpeg counts the pictures of a raw stream anew from where a seek ends."""
_MARKS = {
    b"RIFF": "WAV or AVI", b"fLaC": "FLAC", b"OggS": "Ogg", b"caff": "CAF", b"FORM": "AIFF",
    b"\x1aE\xdf\xa3": "Matroska or WebM", b"FLV\1": "FLV", b"ftyp": "MP4", b"wvpk": "WavPack",
    b"0&\xb2u": "WMA or WMV", b"riff": "W64", b".snd": "AU", b"#!AMR": "AMR",
}  # fmt: skip
"""Bytes at the start of a file -> its kind."""
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
"""Kinds that files of the mp4 family name at their start and that are still pictures."""
_EARLIER_SECONDS = (0.0, 5.0, 30.0)
"""How far before the wanted time to seek, in this order: without an index a seek may end after the
keyframe that is needed."""
PREROLL_SECONDS = 1.0
"""Seconds to start earlier: audio codecs need preceding packets, and tracks interleave loosely."""


@contextlib.contextmanager
def open_media(path: MediaPath) -> Iterator[InputContainer]:
    """Open a media file; FFmpeg's errors inside the ``with`` block become MediaErrors.

    Raises:
        MediaError: the file does not exist, is empty, cut, a pipe or no media file; or reading it
            failed.
    """
    _refuse_pipes(path)
    try:
        container = _opened(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(_why_not_opened(path, error)) from error
    with container:
        refuse_tiles(path)
        _limit_pictures(path, container)
        if "mov" in container.format.name and _has_cut_index(mp4_boxes(path)):
            raise MediaError(f"{path.name}: the file is cut: its index (moov) is incomplete")
        with reading(path):
            yield container


@contextlib.contextmanager
def reading(path: MediaPath) -> Iterator[None]:
    """Turn FFmpeg's errors inside the ``with`` block into MediaErrors that name the file."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path.name}: reading the file broke: {reason_of_ffmpeg(error)}"
        ) from error


def _refuse_pipes(path: MediaPath) -> None:
    """Raise an error for a pipe, a socket or a device: opening it could wait for ever."""
    if isinstance(path, FarFile):
        return
    with contextlib.suppress(OSError, ValueError):  # missing, or an impossible name
        if found := kind_of_file(path):
            raise MediaError(f"{path.name}: {found}")


def _opened(path: MediaPath) -> InputContainer:
    # decoders that look at the first pictures obey the limit, too
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": FFMPEG_FORMATS,
        "max_pixels": str(MOST_PIXELS),
    }
    try:
        return av.open(_for_ffmpeg(path), "r", options=options)
    except UnicodeDecodeError:  # tags in another encoding; PyAV 19 needs no metadata_errors
        return av.open(_for_ffmpeg(path), "r", options=options, metadata_errors="replace")


def _for_ffmpeg(path: MediaPath) -> str | BinaryIO:
    """Return what FFmpeg opens: a local file's path, or a file of Python for anything else."""
    return path.open("rb") if isinstance(path, FarFile) else str(path)


def _limit_pictures(path: MediaPath, container: InputContainer) -> None:
    """Refuse pictures that are too large, by the file's headers and in each decoder."""
    for stream in container.streams.video:
        context = stream.codec_context
        if context is not None:
            check_pixels(path.name, context.width, context.height)
            context.options = {**context.options, "max_pixels": str(MOST_PIXELS)}


def declared_seconds(container: InputContainer) -> float | None:
    """Return the length in seconds that the file's headers declare; None: they declare none.

    Declared lengths are often wrong.
    """
    return container.duration / av.time_base if container.duration else None


def pick(streams: Sequence[Any]) -> Any | None:
    """Return the track marked as default, else the first; cover art does not count as video."""
    tracks = [
        stream
        for stream in streams
        if stream.codec_context is not None
        and not stream.disposition & av.stream.Disposition.attached_pic
    ]
    return next(
        (t for t in tracks if t.disposition & av.stream.Disposition.default),
        next(iter(tracks), None),
    )


def discard_others(container: InputContainer, stream: Any) -> None:
    """Let FFmpeg drop the packets of all tracks but one while it reads the file."""
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all


def origin_seconds(container: InputContainer) -> float:
    """Return the file's first timestamp in seconds; all times of emo are relative to it."""
    return (container.start_time or 0) / av.time_base


def always_from_start(container: InputContainer) -> bool:
    """Return whether the file can only be read from its start, because it has no usable index."""
    return bool(_NEVER_SEEK & set(container.format.name.split(",")))


def packets_of(container: InputContainer, streams: Any) -> Iterator[Packet[Any]]:
    """Yield the packets of a track, or of several, from where the file was read to.

    In a damaged FLV FFmpeg finds tracks that do not exist; PyAV breaks at their packets, which are
    left out.
    """
    while True:
        try:
            yield from container.demux(streams)
            return
        except IndexError:
            continue


def packets_from(
    container: InputContainer, stream: Any, start_seconds: float | None
) -> Iterator[Packet[Any]]:
    """Yield the packets of ``stream`` from a keyframe before ``start_seconds`` on.

    Without a start, or when the file cannot seek, all packets are read.

    The last packet is empty; decoding it drains the decoder.
    """
    start = (start_seconds or 0.0) - PREROLL_SECONDS
    if start <= 0 or always_from_start(container):
        yield from packets_of(container, stream)
        return
    target = start + origin_seconds(container)
    for earlier in _EARLIER_SECONDS:
        with contextlib.suppress(av.error.FFmpegError):  # a file that cannot seek stays at 0
            container.seek(int((target - earlier) * av.time_base))
        packets = packets_of(container, stream)
        first = next((packet for packet in packets if packet.is_keyframe), None)
        if first is not None and first.pts is not None and first.pts * first.time_base <= target:
            yield first
            yield from packets
            return
    _rewind(container)  # the index is wrong: read from the beginning
    yield from packets_of(container, stream)


def _rewind(container: InputContainer) -> None:
    """Go back to the first packet, which need not be a keyframe."""
    start = container.start_time or 0
    try:
        container.seek(start)
    except av.error.FFmpegError:  # no keyframe at the start: it was lost
        container.seek(start, any_frame=True)


def reason_of_ffmpeg(error: Exception) -> str:
    """Return the message of an FFmpeg error without its number and path."""
    message = getattr(error, "strerror", None) or str(error)
    return "the decoder gave up" if message.startswith("Error number") else message


def _why_not_opened(path: MediaPath, error: Exception) -> str:
    try:
        return _examined(path, error)
    except (OSError, ValueError) as later:  # an impossible file name, or the file was removed
        return f"{path.name}: the file cannot be opened: {reason_of_ffmpeg(later)}"


def _examined(path: MediaPath, error: Exception) -> str:
    """Return the reason why a file could not be opened, from its state and first bytes."""
    if not path.exists():
        return f"no such file: {path}"
    if path.is_dir():
        return f"{path} is a folder, not a media file"
    if isinstance(error, PermissionError):
        return f"{path.name}: no permission to read the file"
    if path.stat().st_size == 0:
        return f"{path.name}: the file is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"version https://git-lfs.github.com/"):
        return f"{path.name}: a Git LFS pointer: git lfs pull brings the file itself"
    if picture := _unread_picture(head):
        return f"{path.name}: a {picture} picture, which is not read: convert it to PNG or JPEG"
    boxes = mp4_boxes(path)
    if "ftyp" in boxes and "moov" not in boxes:
        return f"{path.name}: the file is cut: its index (moov) is missing"
    if _has_cut_index(boxes):
        return f"{path.name}: the file is cut: its index (moov) is incomplete"
    kind = next((kind for mark, kind in _MARKS.items() if mark in head[:12]), None)
    if kind and isinstance(error, av.error.InvalidDataError | EOFError):
        return f"{path.name}: the file is cut or damaged: it begins like {kind} and ends too early"
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return f"{path.name}: not a media file: no known container starts like this"
    return f"{path.name}: the file cannot be opened: {reason_of_ffmpeg(error)}"


def _unread_picture(head: bytes) -> str | None:
    """Return the name of a kind of still picture that is not read, by the first bytes of a file."""
    if head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    is_heif = head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS
    return "HEIF" if is_heif else None


def mp4_boxes(path: MediaPath) -> dict[str, bool]:
    """Return the top-level boxes of an mp4 file; nonsense for other files.

    Returns:
        Name of a box -> whether the last box of this name lies within the file.
    """
    boxes: dict[str, bool] = {}
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        while len(header := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", header)
            if size == 1:
                size = int.from_bytes(file.read(8), "big") - 8
            after = file.tell() + size - 8
            # size 0: the box reaches to the end of the file
            boxes[name.decode("latin-1")] = size == 0 or (size >= 8 and after <= size_bytes)
            if size < 8 or after > size_bytes:
                break
            file.seek(after)
    return boxes


def _has_cut_index(boxes: Mapping[str, bool]) -> bool:
    return not boxes.get("moov", True)


_MOST_SECONDS, _MOST_SHARE = 1.0, 0.1
"""How much of a stretch's end may be missing, in seconds and as a share; the smaller one counts."""


def expect_whole(
    path: MediaPath,
    container: InputContainer,
    stream: Any,
    reached_seconds: float,
    *,
    start_seconds: float | None,
    end_seconds: float | None,
) -> None:
    """Raise an error when a cut mp4 ended before the end of the stretch.

    An mp4 with its index at the front opens and plays normally up to the cut. Declared lengths are
    often wrong, so that a file counts as cut only when its index lists packets of the track that
    lie behind the last byte.

    Args:
        path: the file, for the message.
        container: the file, read to its end.
        stream: the track that was read.
        reached_seconds: time of the last packet that was read.
        start_seconds: start of the stretch; None: the start of the file.
        end_seconds: end of the stretch; None: the end of the file.

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
        where = f" of {declared:.2f} s"
        if "moof" in mp4_boxes(path):  # what was declared is the end of this fragment
            where = ", within a fragment; nothing says how long the file was"
        raise MediaError(
            f"{path.name}: the file is cut: decoding broke at {reached_seconds:.2f} s{where}"
        )


def _is_cut(container: InputContainer, stream: Any) -> bool:
    if not len(stream.index_entries):
        return False
    last = stream.index_entries[-1]
    return bool(last.pos + last.size > container.size)
