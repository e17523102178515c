"""The frames of one clip: each backbone's selection, every frame decoded once, and the faces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from emo.extract.decode.budget import ClipBudget
from emo.extract.decode.faults import picture_notes
from emo.extract.decode.kept_file import KeptFile
from emo.extract.decode.limits import media_limits
from emo.extract.decode.pictures.damage import Damage
from emo.extract.decode.pictures.frame_list import FrameList
from emo.extract.decode.pictures.picture import Picture
from emo.extract.decode.pictures.still import still_shape
from emo.extract.decode.pictures.video import read_pictures
from emo.extract.decode.source import ClipSource
from emo.extract.faces.tracks import Detections, main_face
from emo.extract.media import DetectFaces, Faces, Needs


@dataclass
class View:
    """The frames that one backbone needs, collected while the file is decoded."""

    need: Needs
    """Needs of the backbone."""
    times: tuple[float, ...]
    """Time of each selected frame in seconds, F of them; a time may occur more than once."""
    shown: dict[float, float] = field(default_factory=dict)
    """Time of a selected frame -> time of the frame that was decoded for it."""
    frames: dict[float, np.ndarray] = field(default_factory=dict)
    """Time -> frame, squashed and transformed as ``need`` says: uint8 (H, W, 3) or (…)."""
    rgb: dict[float, np.ndarray] = field(default_factory=dict)
    """Time -> whole frame uint8 (H, W, 3), for face detection."""

    def take(self, time: float, shown: float, picture: Picture, budget: ClipBudget) -> None:
        """Convert and keep a decoded frame if this view selected its time.

        Args:
            time: time of a selected frame of any view.
            shown: time of the frame that was decoded for it.
            picture: that frame.
            budget: counts what is kept.

        Raises:
            MediaError: the clip holds too much.
        """
        if time not in self.wanted:
            return
        need, self.shown[time] = self.need, shown
        media_limits().check_pixels(budget.name, *picture.shape, len(self.times))
        if need.faces is not None or need.squash is None:
            budget.expect(0 if picture.is_converted else picture.bytes)
        if need.faces is not None:
            self.rgb[time] = picture.rgb
            budget.hold(picture.rgb)
        if need.keep_frames:
            budget.expect(3 * (need.squash or 0) ** 2)
            image = picture.rgb if need.squash is None else picture.squashed(need.squash)
            self.frames[time] = image if need.transform is None else need.transform(image)
            budget.hold(self.frames[time])

    @cached_property
    def wanted(self) -> frozenset[float]:
        """The times of the selected frames as a set."""
        return frozenset(self.times)

    def stack(self, images: dict[float, np.ndarray], budget: ClipBudget) -> np.ndarray:
        """Stack the images (…) of the selected times to (F, …).

        Raises:
            MediaError: the clip holds too much.
        """
        budget.expect(sum(images[time].nbytes for time in self.times))
        return np.stack([images[time] for time in self.times])

    @property
    def seconds(self) -> np.ndarray:
        """Times of the decoded frames in seconds, float64 (F,)."""
        return np.array([self.shown[time] for time in self.times])


@dataclass
class Pictures:
    """Decode the frames that any backbone needs of one clip, each once."""

    source: ClipSource
    """Files and stretch of the clip."""
    listed: FrameList | str
    """The frames in and around the clip, or the reason why there are none."""
    detect: DetectFaces | None
    """Finds faces; None: no backbone needs faces."""
    budget: ClipBudget
    """Counts the bytes that the clip holds."""
    damage: Damage = field(default_factory=Damage)
    """Damaged pictures of the file, as far as it was decoded."""
    _detections: dict[tuple[float, ...], Detections] = field(default_factory=dict)
    """Times of the frames -> faces found in them."""

    @cached_property
    def times(self) -> np.ndarray | str:
        """Times of all frames of the clip, float64 (n,), or the reason why there are none."""
        if isinstance(self.listed, str):
            return self.listed
        found = self.listed.within(self.source.start_seconds, self.source.end_seconds)
        if not isinstance(found, str):
            self._expect_within_limits(self.listed, found)
        return found

    def _expect_within_limits(self, listed: FrameList, times: np.ndarray) -> None:
        """Refuse pictures before they are decoded, by their times and by the file's headers."""
        limits, path = media_limits(), self.source.video
        if (limits.clip_pixels is None and limits.clip_seconds is None) or path is None:
            return
        size = still_shape(path) if listed.is_still else listed.size
        limits.check_pixels(path.name, *size, len(times))
        limits.check_seconds(path.name, float(times[-1] - times[0]))

    @property
    def absent(self) -> str | None:
        """Reason why the clip has no frames; None: it has frames."""
        return self.times if isinstance(self.times, str) else None

    @property
    def is_joined(self) -> bool:
        """Whether the file holds further recordings that are not read."""
        return isinstance(self.listed, FrameList) and self.listed.is_joined

    def view(self, need: Needs) -> View:
        """Select the frames of one backbone; nothing is decoded yet."""
        if isinstance(self.times, str) or need.frames is None:
            return View(need, ())
        chosen = need.frames.indices(self.times - (self.source.start_seconds or 0.0))
        return View(need, tuple(self.times[chosen].tolist()))

    def decode(self, views: Sequence[View], kept: KeptFile) -> None:
        """Decode each selected frame once and hand it to all views.

        Args:
            views: the views of all backbones.
            kept: the file as listing its frames left it.
        """
        wanted = np.array(sorted({time for view in views for time in view.times}))
        if not len(wanted) or self.source.video is None or isinstance(self.listed, str):
            return
        pictures = read_pictures(
            self.source.video, wanted, self.listed, self.damage,
            decodes_all=self.source.decodes_all, kept=kept,
        )  # fmt: skip
        for time, (shown, picture) in zip(wanted.tolist(), pictures, strict=True):
            for view in views:
                view.take(time, shown, picture, self.budget)

    def notes(self, view: View) -> dict[str, float]:
        """Return what is wrong with the pictures of a view, from its first to its last frame."""
        if isinstance(self.listed, str) or not view.times:
            return {}
        source = self.source
        lacking = self.listed.lacking_seconds(source.start_seconds, source.end_seconds)
        return picture_notes(self.damage.between(min(view.times), max(view.times)), lacking)

    def faces(self, view: View) -> Faces | str:
        """Return the face crops of a view's frames, or the reason why there are none."""
        assert view.need.faces is not None
        frames = view.stack(view.rgb, self.budget)
        crop_bytes = 3 * view.need.faces.size**2
        self.budget.expect(2 * len(frames) * crop_bytes)  # each crop, and all of them
        if view.need.faces.mode == "centre":
            return main_face(frames, view.seconds, [], view.need.faces)
        if self.detect is None:
            raise ValueError("faces are needed, but no detector was given (detect=None)")
        if view.times not in self._detections:
            self._detections[view.times] = self.detect(frames)
        if view.need.faces.mode == "all":
            boxes = sum(len(found) for found, _ in self._detections[view.times])
            self.budget.expect(2 * boxes * crop_bytes)
        return main_face(frames, view.seconds, self._detections[view.times], view.need.faces)
