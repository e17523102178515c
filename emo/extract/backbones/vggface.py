"""VGGFace2 face embeddings: one token for the main face of each selected frame.

Source: facenet-pytorch's InceptionResnetV1 (Cao et al. 2018, arXiv:1710.08092).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import Media, Needs, Uniform
from emo.extract.models.model import Model
from emo.extract.models.options import FaceModelOptions
from emo.extract.models.tensor_files.checkpoint import fill, read_tensors
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.store.recipe import StreamSpec

CHECKPOINT = "20180402-114759-vggface2.pt"
ORIGIN = f"https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/{CHECKPOINT}"
SIZE_PIXELS = 160
WIDTH = 512


@dataclass(frozen=True, kw_only=True)
class VggFaceOptions(FaceModelOptions):
    """Options of :class:`VggFace`."""

    weights: str = field(
        default=CHECKPOINT,
        metadata={"help": "the weight file, or the folder with it", "recipe": False},
    )
    frames: int = field(default=8, metadata={"help": "frames per clip, spread evenly over it"})
    normalise: bool = field(
        default=True,
        metadata={"help": "scale embeddings to length 1; false: the raw output of last_bn"},
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        self.check_faces()
        if self.frames < 1:
            raise ValueError(f"expected frames above 0, got {self.frames}")


class VggFace(Model):
    """VGGFace2 vectors of the main face. InceptionResnetV1 makes them; their L2 norm is 1.

    Streams: ``face`` (frames, 512).
    """

    Options: ClassVar[type] = VggFaceOptions
    options: VggFaceOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="facenet-pytorch 2.5.3 (InceptionResnetV1, VGGFace2)",
        licence="MIT; trained on VGGFace2: check before commercial use",
        parameters="23.5 M",
        streams="face (T, 512)",
    )

    def __init__(self, net: nn.Module, options: VggFaceOptions, *, device: str) -> None:
        """Keep the network.

        Args:
            net: the network with raw embeddings as output, in eval mode, on ``device``.
            options: instance of ``Options``.
            device: device of the network.
        """
        Model.__init__(self, options, device=device)
        self.net = net

    @classmethod
    def weights(cls, options: VggFaceOptions) -> Weights:
        """Return the one file of weights that facenet-pytorch publishes."""
        return Weights("vggface", options.weights, (WeightFile((CHECKPOINT,), origin=ORIGIN),))

    @classmethod
    def needs(cls, options: VggFaceOptions) -> Needs:
        """Require faces on evenly spread frames."""
        return Needs(frames=Uniform(options.frames), faces=options.rule(SIZE_PIXELS))

    @classmethod
    def streams(cls, options: VggFaceOptions, found: Found) -> dict[str, StreamSpec]:
        """Return one stream of width 512."""
        return {"face": StreamSpec(WIDTH, options.stored, "frame")}

    @classmethod
    def tokens(cls, options: VggFaceOptions, seconds: float) -> dict[str, float]:
        """Return T: one token per frame, for a clip of any length."""
        return {"face": float(options.frames)}

    @classmethod
    def build(cls, options: VggFaceOptions, found: Found, *, device: str) -> Self:
        """Build the network and load its weights, without the classifier's ``logits.*``."""
        with found.building():
            net = raw_network()
        if found.has_tensors:
            path = found.get(CHECKPOINT)
            fill(net, read_tensors(path), where=str(path), may_lack=_is_count)
        return cls(net.eval().to(device), options, device=device)

    @classmethod
    def write_tiny(cls, folder: Path) -> VggFaceOptions:
        """Write random weights in half precision, in full size; return the options.

        They are scaled so that the variance of the activations stays near 1.
        """
        net = raw_network()
        for weight in net.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=1.2 / weight[0].numel() ** 0.5)
        torch.save({name: value.half() for name, value in net.state_dict().items()},
                   folder / CHECKPOINT)  # fmt: skip
        return VggFaceOptions(weights=str(folder), frames=2)

    def prepare(self, media: Media) -> Prepared:
        """Return the crops, uint8 (F, 3, 160, 160).

        The note ``face_share`` is the share of frames in which the face was found.
        """
        if media.faces is None:
            return Prepared({}, {"face": media.absent.get("face", "no faces were decoded")})
        crops = torch.from_numpy(media.faces.crops).permute(0, 3, 1, 2)  # (F, 3, 160, 160)
        return Prepared({"face": crops}, notes={"face_share": float(media.faces.found.mean())})

    def networks(self) -> dict[str, nn.Module]:
        """Return the only network."""
        return {"weights": self.net}

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Encode each crop by itself: float32 (F, 512) for each clip."""
        found: list[dict[str, Tensor]] = [{} for _ in batch]
        for index, tokens in self.run_having(self._forward, batch, "face"):
            found[index]["face"] = tokens
        return found

    def _forward(self, crops: Tensor) -> Tensor:
        """Normalise and encode crops: uint8 (n, 3, 160, 160) -> (n, 512)."""
        raw: Tensor = self.net((crops.float() - 127.5) / 128)
        return normalize(raw.float(), dim=1) if self.options.normalise else raw


def raw_network() -> nn.Module:
    """Build an InceptionResnetV1 with the output of ``last_bn``, (n, 512), not normalised."""
    from facenet_pytorch import InceptionResnetV1

    net = InceptionResnetV1(pretrained=None)
    net.classify, net.logits = True, nn.Identity()  # this branch of forward does not normalise
    module: nn.Module = net
    return module


def _is_count(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # unused in eval mode
