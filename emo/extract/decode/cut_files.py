"""Tell from a file's headers where its tracks should have ended, if the file was cut.

Declared lengths are often wrong. So they count only where the format counts samples (FLAC, WAV …),
or where the file is shorter in bytes than its own header says: for most containers
:func:`emo.extract.decode.structure.truncated.is_truncated` tells that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.extract.decode.container import mp4_boxes, open_media, origin_seconds, packets_of
from emo.extract.decode.sound.ogg_pages import has_open_end, read_pages
from emo.extract.decode.sound.sound_sizes import aiff_end, au_end, caf_end, riff_end, w64_end
from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.decode.structure.file_end import FileEnd, OpenFile
from emo.extract.decode.structure.joined import unread_seconds
from emo.extract.decode.structure.truncated import asf_header, is_truncated

if TYPE_CHECKING:
    from av.container import InputContainer

_EARLY_SECONDS, _EARLY_SHARE = 0.5, 0.05
"""How much earlier than declared all tracks may end; the larger one counts."""


def file_end(
    path: MediaPath, container: InputContainer, stream: Any, reached_seconds: float
) -> FileEnd:
    """Return where a track should end, when the file's headers can be believed.

    Args:
        path: the file.
        container: the file, read to its end.
        stream: the track.
        reached_seconds: where the track ended when it was read.
    """
    found = FileEnd()
    for names, look in _FORMATS.items():
        if names & set(container.format.name.split(",")):
            with suppress(OSError, struct.error, IndexError, ValueError), path.open("rb") as file:
                found = look(OpenFile(path, file, container, stream, reached_seconds))
            break
    if found.seconds is None and not found.is_cut:
        unread = unread_seconds(path, container.format.name)
        if unread:
            return FileEnd(reached_seconds + unread if unread < np.inf else None, is_cut=True)
    return found


def _counted(file: OpenFile) -> FileEnd:
    """FLAC, WavPack, TTA: the header counts the samples."""
    return FileEnd(file.track_seconds)


def _mov(file: OpenFile) -> FileEnd:
    """MP4: the index names the bytes of each packet, of a fragmented file those of a fragment."""
    entries, boxes = file.stream.index_entries, mp4_boxes(file.path)
    is_cut = bool(len(entries)) and entries[-1].pos + entries[-1].size > file.size
    if "moof" in boxes:  # fragments: the index knows of those alone that are there
        return FileEnd(is_cut=is_cut or not boxes["moof"])
    return FileEnd(file.track_seconds if is_cut else None, is_cut)


def _mp3(file: OpenFile) -> FileEnd:
    """MP3: a header of the encoder counts the frames, if there is one.

    FFmpeg replaces its count by a guess where the file is longer than that.
    """
    start, head = 0, file.at(0, 10)
    if head[:3] == b"ID3":
        start = 10 + sum((byte & 127) << 7 * (3 - k) for k, byte in enumerate(head[6:10]))
    head, seconds = file.at(start, 4096), file.track_seconds
    for mark, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        at = head.find(mark)
        if at >= 0 and seconds is not None:
            frames = int.from_bytes(head[at + offset : at + offset + 4], "big")
            if mark == b"VBRI" or head[at + 7] & 1:
                codec = file.stream.codec_context
                # at most four frames are silence that encoders put before and after the sound
                counted = max(0, frames - 4) * codec.frame_size / codec.sample_rate
                slack = 5 * codec.frame_size / codec.sample_rate
                return FileEnd(seconds if seconds < counted + slack else counted)
    return FileEnd()


def _ogg(file: OpenFile) -> FileEnd:
    """Ogg: the last page carries a mark and the number of samples."""
    pages = read_pages(file.path)
    seconds, duration = file.track_seconds, file.stream.duration
    if duration and any(page.granule == duration for page in pages.values()):
        seconds = float(duration * file.stream.time_base) - origin_seconds(file.container)
    return FileEnd(seconds, has_open_end(pages))


def _avi(file: OpenFile) -> FileEnd:
    """AVI: the header counts the blocks of each track."""
    is_cut, ends = _is_truncated(file), float(file.stream.frames * file.stream.time_base)
    return FileEnd(ends if is_cut and ends else None, is_cut)


def _matroska(file: OpenFile) -> FileEnd:
    """Matroska and WebM: the header declares the length, unless it was recorded live."""
    return _declared(file, is_cut=_is_truncated(file))


def _declared(file: OpenFile, *, is_cut: bool) -> FileEnd:
    """Return the end that the headers declare, if the file is cut or all of its tracks end early.

    All of them end early where damage keeps FFmpeg from reading on.
    """
    declared = file.file_seconds
    if declared is None or is_cut:
        return FileEnd(declared, is_cut)
    most = declared - max(_EARLY_SECONDS, _EARLY_SHARE * declared)
    if file.reached_seconds >= most or _last_seconds(file.path) >= most:
        return FileEnd()
    return FileEnd(declared)


def _last_seconds(path: MediaPath) -> float:
    """Return where the last packet of any track ends, from the start of the file."""
    last = 0.0
    with open_media(path) as container:
        streams = [stream for stream in container.streams if stream.type in ("audio", "video")]
        for packet in packets_of(container, streams):
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                last = max(last, end - origin_seconds(container))
    return last


def _flv(file: OpenFile) -> FileEnd:
    """FLV: the first tag may hold the size of the file and its length."""
    head = file.at(0, 2**14)
    at = head.find(b"filesize\0")
    declared = struct.unpack(">d", head[at + 9 : at + 17])[0] if at >= 0 else 0.0
    return _declared(file, is_cut=declared > file.size or _is_truncated(file))


def _asf(file: OpenFile) -> FileEnd:
    """WMA and WMV: the header holds the size of the file and its length."""
    header = asf_header(file.at(0, 2**16))
    is_cut = header is not None and header[0] > file.size
    return FileEnd(header[1] if header and is_cut else None, is_cut)


def _unsized(file: OpenFile) -> FileEnd:
    """MPEG program and transport streams, NUT and DV: no header declares a length."""
    return FileEnd(is_cut=_is_truncated(file))


def _is_truncated(file: OpenFile) -> bool:
    return is_truncated(file.path, file.container.format.name)


def _mxf(file: OpenFile) -> FileEnd:
    """MXF: the header says where the footer is, and how long the tracks are."""
    is_cut = _is_truncated(file)
    return FileEnd(file.file_seconds if is_cut else None, is_cut)


_FORMATS: dict[frozenset[str], Callable[[OpenFile], FileEnd]] = {
    frozenset({"flac", "wv", "tta"}): _counted,
    frozenset({"mov"}): _mov,
    frozenset({"mp3"}): _mp3,
    frozenset({"ogg"}): _ogg,
    frozenset({"avi"}): _avi,
    frozenset({"matroska"}): _matroska,
    frozenset({"flv"}): _flv,
    frozenset({"asf"}): _asf,
    frozenset({"wav"}): riff_end,
    frozenset({"aiff"}): aiff_end,
    frozenset({"caf"}): caf_end,
    frozenset({"w64"}): w64_end,
    frozenset({"au"}): au_end,
    frozenset({"mpeg", "vob", "mpegts", "nut", "dv"}): _unsized,
    frozenset({"mxf"}): _mxf,
}
