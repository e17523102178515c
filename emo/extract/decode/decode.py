"""Decode a clip once for several backbones: a ClipSource and their Needs in, Media out."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from emo.errors import MediaError
from emo.extract.decode.array_file import read_array
from emo.extract.decode.budget import ClipBudget
from emo.extract.decode.container import declared_seconds, open_media
from emo.extract.decode.faults import join_track_notes, picture_faults
from emo.extract.decode.kept_file import KeptFile
from emo.extract.decode.limits import media_limits
from emo.extract.decode.pictures.clip_pictures import Pictures, View
from emo.extract.decode.pictures.frame_list import FrameList, list_frames
from emo.extract.decode.pictures.still import NO_SOUND, is_still
from emo.extract.decode.sound.audio import ClipSound, read_sound
from emo.extract.decode.source import ClipSource
from emo.extract.decode.sources.bodies import counted_later
from emo.extract.decode.sources.media_file import MediaPath
from emo.extract.media import DetectFaces, Media, Needs
from emo.machine.libraries import MissingLibraryError

NO_VIDEO, NO_AUDIO = "the clip has no video file", "the clip has no audio or video file"
"""Reasons for an absent modality."""
_UNHEARD = ClipSound(None, None, None)
_T = TypeVar("_T")


def load_media(
    source: ClipSource, needs: Sequence[Needs], *, detect: DetectFaces | None = None
) -> list[Media]:
    """Decode a clip once and return what each backbone needs of it.

    Args:
        source: the files, the stretch and the text of the clip.
        needs: the needs of each backbone; equal frames are searched for faces only once.
        detect: finds faces; required when any of ``needs`` has a face rule.

    Returns:
        One Media for each of ``needs``. ``Media.absent`` says what the clip lacks.

    Raises:
        MediaError: a file is missing, damaged, or breaks while it is decoded.
    """
    found: list[Media] = []
    for media in load_each(source, needs, detect=detect):
        if isinstance(media, Exception):
            raise media
        found.append(media)
    return found


def load_each(
    source: ClipSource, needs: Sequence[Needs], *, detect: DetectFaces | None = None
) -> list[Media | Exception]:
    """Decode a clip once; each backbone fails only for what it needs.

    Args:
        source: the files, the stretch and the text of the clip.
        needs: the needs of each backbone.
        detect: finds faces; required when any of ``needs`` has a face rule.

    Returns:
        For each of ``needs`` its Media, or why it cannot have them: a backbone that reads text is
        not affected by a broken file, one that reads pictures not by damaged sound.
    """
    budget = budget_of(source)
    seen = _attempt(lambda: _pictures_of(source, needs, detect, budget))
    is_heard = any(need.audio for need in needs)
    heard = _attempt(lambda: sound_of(source, budget) if is_heard else None)
    found: list[Media | Exception] = []
    for index, need in enumerate(needs):
        if need.frames and isinstance(seen, Exception):
            found.append(seen)
        elif need.audio and isinstance(heard, Exception):
            found.append(heard)
        else:
            pictures, views = (None, None) if isinstance(seen, Exception) else seen
            sound = None if isinstance(heard, Exception) else heard
            view = views[index] if views else None
            found.append(_attempt(partial(media_of, source, view, need, pictures, sound)))
    return found


def _attempt(call: Callable[[], _T]) -> _T | Exception:
    try:
        return call()
    except MissingLibraryError:
        raise  # no clip of the job can be decoded here
    except Exception as error:  # recorded as the failure of the backbones that need it
        return error


def _pictures_of(
    source: ClipSource, needs: Sequence[Needs], detect: DetectFaces | None, budget: ClipBudget
) -> tuple[Pictures, list[View]] | tuple[None, None]:
    """Decode the frames that any backbone needs."""
    if not any(need.frames for need in needs):
        return None, None
    with KeptFile() as kept:
        pictures = Pictures(source, _list_of(source, kept), detect, budget)
        views = [pictures.view(need) for need in needs]
        pictures.decode(views, kept)
    return pictures, views


@counted_later()
def probe_seconds(source: ClipSource) -> float | None:
    """Return the clip's length in seconds as its file's headers declare it; None: unknown.

    Declared lengths are often wrong. A clip whose video is a still picture is as long as its audio.
    """
    path = source.video
    try:
        if path is None or is_still(path):
            path = source.audio
        if path is None:
            return None
        with open_media(path) as container:
            declared = declared_seconds(container)
    except MediaError:
        return None
    end = declared if source.end_seconds is None else source.end_seconds
    return None if end is None else max(0.0, end - (source.start_seconds or 0.0))


def check_file_size(path: MediaPath | None) -> None:
    """Refuse a media file that has more bytes than the user allows.

    Raises:
        MediaError: it has, or it is elsewhere and cannot be read.
    """
    if path is None or media_limits().file_bytes is None:
        return
    try:
        size_bytes = path.stat().st_size
    except (OSError, ValueError):  # missing, or an impossible name: opening it says so
        return
    media_limits().check_bytes(path.name, size_bytes)


def _list_of(source: ClipSource, kept: KeptFile) -> FrameList | str:
    if source.video is None:
        return NO_VIDEO
    check_file_size(source.video)
    return list_frames(
        source.video, start_seconds=source.start_seconds, end_seconds=source.end_seconds,
        kept=kept,
    )  # fmt: skip


def budget_of(source: ClipSource) -> ClipBudget:
    """Return the budget of a clip's decoded pictures and sound."""
    path = source.video or source.audio
    return ClipBudget(path.name if path else "the clip", source.most_bytes)


def sound_of(source: ClipSource, budget: ClipBudget) -> ClipSound:
    """Decode the samples of a clip, or tell why there are none.

    Raises:
        MediaError: the file cannot be decoded, or the clip holds more than ``budget`` allows.
    """
    path = source.audio or source.video
    if path is None:
        return ClipSound(None, None, None, NO_AUDIO)
    check_file_size(path)
    if path == source.video and is_still(path):
        return ClipSound(None, None, None, NO_SOUND)
    return read_sound(
        path,
        channel=source.audio_channel,
        track=source.audio_track,
        start_seconds=source.start_seconds,
        end_seconds=source.end_seconds,
        budget=budget,
    )


def media_of(
    source: ClipSource, view: View | None, need: Needs, pictures: Pictures | None,
    sound: ClipSound | None,
) -> Media:  # fmt: skip
    """Assemble the Media of one backbone from the decoded parts of a clip.

    Args:
        source: the clip, for its text and array.
        view: the backbone's frames; None: no backbone needs frames.
        need: the needs of the backbone.
        pictures: the decoded frames of the clip; None: no backbone needs frames.
        sound: samples and sample rate, or why there are none; None: no backbone needs audio.
    """
    absent: dict[str, str] = {}
    notes: dict[str, float] = {}
    frames = seconds = faces = None
    if pictures is not None and pictures.absent:
        absent |= {"video": pictures.absent} if need.frames and need.keep_frames else {}
        absent |= {"face": pictures.absent} if need.faces else {}
    elif pictures is not None and view is not None and view.times:
        frames, seconds = (
            (view.stack(view.frames, pictures.budget), view.seconds)
            if need.keep_frames
            else (None,) * 2
        )
        faces = pictures.faces(view) if need.faces else None
        notes = pictures.notes(view)
    is_joined = pictures is not None and pictures.is_joined
    if isinstance(faces, str):
        absent["face"], faces = faces, None
    heard = sound if need.audio and sound else _UNHEARD
    if heard.absent is not None:
        absent["audio"] = heard.absent
    text = source.text if need.text and source.text and source.text.strip() else None
    if need.text and text is None:
        absent["text"] = "the clip has no text" if source.text is None else "the text is empty"
    array = read_array(source.cells, source.root, need, source.most_bytes) if need.array else None
    if isinstance(array, str):
        absent["array"], array = array, None
    return Media(
        frames, seconds, faces, heard.samples, heard.sample_rate, text, array, absent,
        notes=join_track_notes(notes, heard.faults.notes),
        faults=(*picture_faults(source.video, notes, is_joined=is_joined), *heard.faults.reasons),
        sound_start_seconds=heard.start_seconds,
    )  # fmt: skip
