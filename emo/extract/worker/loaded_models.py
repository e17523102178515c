"""The models of one worker, each built when the first part needs it, then kept."""

from collections.abc import Iterable, Mapping, Sequence

from emo.extract.backbone import Backbone
from emo.extract.job.request import Job, Request
from emo.extract.media import Needs
from emo.extract.models.model import Model
from emo.extract.worker.face_stage import FaceStage
from emo.extract.worker.meter import StageMeter
from emo.extract.worker.prefetch import BatchLimits
from emo.manifest import Clip

MORE_ROWS_ON_A_GPU = 8
"""Times the rows that a model sees at once on a CPU, when nobody says; halved until they fit."""
BATCH_CLIPS = 16
"""Handed to the models together, when nobody says; and clips of one file that one pass decodes at
most, so that a long film is shared by several threads."""
MORE_CLIPS_ON_A_GPU = 4
TEXTS = BatchLimits(256, 2**18)
"""Where texts alone are read: rows of equal length find each other among many. A few hundred words
each, and a stop request need not wait for all 256."""


class LoadedModels:
    """Backbones by recipe, what they need, and the face detector if any of them does."""

    def __init__(self, job: Job, meter: StageMeter) -> None:
        """Build nothing yet."""
        self._job, self._meter = job, meter
        self.backbones: dict[str, Backbone] = {}
        self.needs: dict[str, Needs] = {}
        self.stretch_seconds: dict[str, float | None] = {}
        self.detect: FaceStage | None = None

    def load(self, names: Mapping[str, object], clips: Sequence[Clip]) -> None:
        """Build what these recipes and clips need and what is not built yet."""
        for request in self._job.requests:
            if request.name in names and request.name not in self.backbones:
                with self._meter.busy("load", 1):
                    self.backbones[request.name] = self._built(request)
                kind, options = (
                    type(self.backbones[request.name]),
                    self.backbones[request.name].options,
                )
                self.needs[request.name] = kind.needs(options)
                self.stretch_seconds[request.name] = kind.stretch_seconds(options)
        rules = [
            self.needs[request.name].faces
            for request in self._job.requests
            if request.name in names
        ]
        is_face_wanted = any(rule is not None and rule.mode != "centre" for rule in rules)
        if self.detect is None and is_face_wanted and any(clip.video for clip in clips):
            with self._meter.busy("load", 1):
                from emo.extract.faces.detector import (
                    FaceDetector,  # seconds that texts do not need
                )

                detector = FaceDetector(device=self._job.device)
            self.detect = FaceStage(detector, self._meter, is_on_gpu=self.is_on_gpu)

    @property
    def is_on_gpu(self) -> bool:
        """The models, and the finding of faces, run there."""
        return self._job.device.startswith("cuda")

    def limits(self, names: Iterable[str]) -> BatchLimits:
        """Of the batches of a part for these recipes; told by the job alone, never by timing."""
        needs = [self.needs[name] for name in names]
        if self._job.batch_clips is None and not any(each.frames or each.audio for each in needs):
            return TEXTS
        return BatchLimits(self.batch_clips)

    @property
    def batch_clips(self) -> int:
        """What was asked for, or the usual number for the device."""
        usual = BATCH_CLIPS * (MORE_CLIPS_ON_A_GPU if self.is_on_gpu else 1)
        return self._job.batch_clips or usual

    def _built(self, request: Request) -> Backbone:
        backbone = request.load(self._job.device)
        if isinstance(backbone, Model):
            more = MORE_ROWS_ON_A_GPU if self.is_on_gpu else 1
            backbone.row_count = self._job.batch_size or backbone.row_count * more
        return backbone
