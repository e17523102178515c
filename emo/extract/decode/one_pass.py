"""Decode several clips of one file in one pass: 200 segments of an hour cost about one decode.

Each clip gets exactly what it would get if it were decoded alone. When the pass fails, the clips
that are left are decoded one by one, so that each has its own media or its own error.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from emo.extract.decode.decode import (
    NO_VIDEO,
    budget_of,
    check_file_size,
    load_each,
    media_of,
    sound_of,
)
from emo.extract.decode.kept_file import KeptFile
from emo.extract.decode.pictures.clip_pictures import Pictures, View
from emo.extract.decode.pictures.damage import Damage
from emo.extract.decode.pictures.display import StoredFrame
from emo.extract.decode.pictures.frame_list import FrameList, list_frames
from emo.extract.decode.pictures.picture import Picture
from emo.extract.decode.pictures.video import shown_frames
from emo.extract.decode.sound.audio import AudioPass, ClipSound
from emo.extract.decode.source import ClipSource
from emo.extract.media import DetectFaces, Media, Needs

FARTHEST_SECONDS = 10.0
"""Largest gap between two clips of one pass; beyond a larger gap a seek is cheaper."""


def continues(before: ClipSource, after: ClipSource) -> bool:
    """Return whether ``after`` starts in the same file, near enough for one pass to read both."""
    same = ("video", "audio", "audio_channel", "audio_track")
    if any(getattr(before, name) != getattr(after, name) for name in same):
        return False
    if before.end_seconds is None or after.start_seconds is None:
        return False
    low = before.start_seconds or 0.0
    return low <= after.start_seconds <= before.end_seconds + FARTHEST_SECONDS


def load_segments(
    sources: Sequence[ClipSource], needs: Sequence[Needs], *, detect: DetectFaces | None = None
) -> Iterator[list[Media | Exception]]:
    """Decode several clips of one file in a single pass, in the order of ``sources``.

    Args:
        sources: the clips; each :func:`continues` the one before it.
        needs: the needs of each backbone.
        detect: finds faces; required when any of ``needs`` has a face rule.

    Yields:
        For each clip what :func:`emo.extract.decode.decode.load_each` returns.
    """
    done = 0
    try:
        for views in _one_pass(sources, needs, detect) if len(sources) > 1 else ():
            yield list(views)
            done += 1
    except Exception:
        pass
    for source in sources[done:]:
        yield load_each(source, needs, detect=detect)


def _one_pass(
    sources: Sequence[ClipSource], needs: Sequence[Needs], detect: DetectFaces | None
) -> Iterator[list[Media]]:
    check_file_size(sources[0].video)
    check_file_size(sources[0].audio)
    with ExitStack() as stack:
        kept = stack.enter_context(KeptFile())
        has_frames = any(need.frames for need in needs)
        clips = _clips(sources, needs, detect, kept) if has_frames else None
        frames = _Frames(sources[0], clips, kept) if clips else None
        audio = _Audio(sources[0], stack) if any(need.audio for need in needs) else None
        for index, source in enumerate(sources):
            pictures = views = None
            if clips and frames:
                pictures, views = clips[index]
                times = [time for view in views for time in view.times]
                frames.read_until(max(times, default=-np.inf))
            sound = audio.read(source) if audio else None
            yield [
                media_of(source, views[k] if views else None, need, pictures, sound)
                for k, need in enumerate(needs)
            ]
            if clips:
                clips[index] = (clips[index][0], [])  # frees the memory of its frames


_Clip = tuple[Pictures, list[View]]


def _clips(
    sources: Sequence[ClipSource], needs: Sequence[Needs], detect: DetectFaces | None,
    kept: KeptFile,
) -> list[_Clip]:  # fmt: skip
    """Select the frames of each clip for each backbone; the file's packets are read once."""
    path, ends = sources[0].video, [source.end_seconds for source in sources]
    listed: FrameList | str = NO_VIDEO
    if path is not None:
        last = None if None in ends else max(end for end in ends if end is not None)
        first = sources[0].start_seconds
        listed = list_frames(path, start_seconds=first, end_seconds=last, kept=kept)
    found, damage = [], Damage()
    for source in sources:
        pictures = Pictures(source, listed, detect, budget_of(source), damage)
        found.append((pictures, [pictures.view(need) for need in needs]))
    return found


class _Frames:
    """Decode the selected frames of all clips in time order and hand each to its clips."""

    def __init__(self, first: ClipSource, clips: Sequence[_Clip], kept: KeptFile) -> None:
        self._clips = clips
        every = {time for _, views in clips for view in views for time in view.times}
        self._wanted = np.array(sorted(every))
        self._shapes: dict[int, tuple[int, int]] = {}
        """Index of a clip -> (H, W) of its first picture, to which the others are scaled."""
        self._read = 0
        listed, damage = clips[0][0].listed, clips[0][0].damage
        self._frames: Iterator[tuple[float, StoredFrame]] = iter(())
        if first.video and every and not isinstance(listed, str):
            self._frames = shown_frames(
                first.video, self._wanted, listed, damage, decodes_all=first.decodes_all,
                kept=kept,
            )  # fmt: skip

    def read_until(self, seconds: float) -> None:
        while self._read < len(self._wanted) and self._wanted[self._read] <= seconds:
            shown, stored = next(self._frames)
            time = float(self._wanted[self._read])
            for index, (pictures, views) in enumerate(self._clips):
                if any(time in view.wanted for view in views):
                    picture = Picture(stored, self._shapes.get(index))
                    self._shapes.setdefault(index, picture.shape)
                    for view in views:
                        view.take(time, shown, picture, pictures.budget)
            self._read += 1


class _Audio:
    """Decode the audio of one clip after the other.

    Some decoders (AAC) fill in random noise that depends on where decoding began. So one pass
    serves only MP3, whose bits do not depend on that, and files of which every stretch is decoded
    from the start anyway; in other files each clip seeks, which costs little.
    """

    def __init__(self, first: ClipSource, stack: ExitStack) -> None:
        path = first.audio or first.video
        self._pass = None
        if path is not None:
            one = stack.enter_context(
                AudioPass(
                    path,
                    channel=first.audio_channel,
                    track=first.audio_track,
                    start_seconds=first.start_seconds,
                    budget=budget_of(first),
                )
            )
            self._pass = one if one.serves_all else None

    def read(self, source: ClipSource) -> ClipSound:
        if self._pass is None:
            return sound_of(source, budget_of(source))
        return self._pass.read(source.start_seconds, source.end_seconds)
