"""The models of one worker; each is loaded when the first part needs it, and kept."""

from collections.abc import Iterable, Mapping, Sequence

from emo import plugins
from emo.extract.backbone import Backbone
from emo.extract.job.request import Job, Request
from emo.extract.media import Needs
from emo.extract.models.model import Model
from emo.extract.worker.decoding.face_stage import FaceStage
from emo.extract.worker.decoding.prefetch import BatchLimits
from emo.extract.worker.meter import StageMeter
from emo.manifest import Clip

MORE_ROWS_ON_A_GPU = 8
"""Factor of ``Model.row_count`` on a GPU, unless ``--batch-size`` is given."""
BATCH_CLIPS = 16
"""Default number of clips in a batch on a CPU. It is also the most clips of one file that one pass
decodes, so that several threads share a long film."""
MORE_CLIPS_ON_A_GPU = 4
"""Factor of :data:`BATCH_CLIPS` on a GPU."""
TEXTS = BatchLimits(256, 2**18)
"""Default limits of a batch when only texts are read. Among many texts, more have equal length and
share a forward pass. The limit of bytes cuts batches of long texts (a few hundred words each), so
that a stop request need not wait for 256 of them."""


class LoadedModels:
    """Backbones of a job, their needs, and the face detector if a backbone needs it."""

    def __init__(self, job: Job, meter: StageMeter) -> None:
        """Keep the job; nothing is loaded yet."""
        self._job, self._meter = job, meter
        self.backbones: dict[str, Backbone] = {}
        """Recipe name -> loaded backbone."""
        self.codes: dict[str, str] = {}
        """Recipe name -> hash of the code of the recipe's backbone, if it is no part of emo."""
        self.needs: dict[str, Needs] = {}
        """Recipe name -> what the recipe's backbone needs of the decoder."""
        self.stretch_seconds: dict[str, float | None] = {}
        """Recipe name -> length of the stretches of long clips in seconds; None: clips are not cut.
        """
        self.detect: FaceStage | None = None
        """Face detector; None: not loaded."""

    def load(self, names: Mapping[str, object], clips: Sequence[Clip]) -> None:
        """Load the backbones, and the face detector, that some recipes need and that are not loaded
        yet.

        Args:
            names: recipe names of the backbones to load (the values are ignored).
            clips: clips to do; the face detector is loaded only if one has a video.
        """
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
                # imported here, because it takes seconds that texts do not need
                from emo.extract.faces.detector import FaceDetector

                detector = FaceDetector(device=self._job.device)
            self.detect = FaceStage(detector, self._meter, is_on_gpu=self.is_on_gpu)

    @property
    def is_on_gpu(self) -> bool:
        """Whether the models and the face detector run on a GPU."""
        return self._job.device.startswith("cuda")

    def limits(self, names: Iterable[str]) -> BatchLimits:
        """Return the limits of a part's batches, which depend on the job alone, not on timing.

        Args:
            names: names of the recipes that lack clips of the part.
        """
        needs = [self.needs[name] for name in names]
        if self._job.batch_clips is None and not any(each.frames or each.audio for each in needs):
            return TEXTS
        return BatchLimits(self.batch_clips)

    @property
    def batch_clips(self) -> int:
        """Clips in a batch: the option ``--batch-clips``, or the default of the device."""
        usual = BATCH_CLIPS * (MORE_CLIPS_ON_A_GPU if self.is_on_gpu else 1)
        return self._job.batch_clips or usual

    def _built(self, request: Request) -> Backbone:
        backbone = request.load(self._job.device)
        if code := plugins.code_files_hash(type(backbone)):
            self.codes[request.name] = code
        if isinstance(backbone, Model):
            more = MORE_ROWS_ON_A_GPU if self.is_on_gpu else 1
            backbone.row_count = self._job.batch_size or backbone.row_count * more
        return backbone
