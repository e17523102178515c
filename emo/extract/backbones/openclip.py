"""OpenCLIP image and text embeddings, for any model that open_clip knows by name.

Source: Radford et al. 2021 (arXiv:2103.00020), https://github.com/mlfoundations/open_clip.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from PIL import Image
from torch import Tensor, nn

from emo import plugins
from emo.errors import OptionError, WeightsError
from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import Media, Needs, Uniform
from emo.extract.models.model import Model
from emo.extract.models.options import ModelOptions, chosen_streams
from emo.extract.models.rewrite import Changes, changes_by_name, is_same, stored
from emo.extract.models.skeleton import tensor_paths
from emo.extract.models.spaces import calibration_facts, space_of_weights
from emo.extract.models.tensor_files.checkpoint import fill, read_config, read_tensors, why_unread
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.extract.networks.hf.no_code import no_foreign_code
from emo.extract.transforms.words_read import words_lacking
from emo.store.recipe import StreamSpec

STREAMS = ("video", "text")
_TENSORS = WeightFile(
    (
        "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
        "*.safetensors", "*.bin", "*.pt", "*.pth",
    )
)  # fmt: skip
_CONFIG = WeightFile(("open_clip_config.json",), is_optional=True)


@dataclass(frozen=True, kw_only=True)
class OpenClipOptions(ModelOptions):
    """Options of :class:`OpenClip`."""

    weights: str = field(
        default="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        metadata={"help": "checkpoint file, folder, or hub id of the weights", "recipe": False},
    )
    model: str = field(
        default="",
        metadata={
            "help": "open_clip's name of the model, such as ViT-L-14; empty: the name in the "
            "weights' folder"
        },
    )
    frames: int = field(default=8, metadata={"help": "frames per clip, spread evenly over it"})
    streams: str = field(
        default="video,text", metadata={"help": "streams to compute, with commas between"}
    )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: an option is out of its range.
        """
        if self.frames < 1:
            raise ValueError(f"expected frames above 0, got {self.frames}")
        chosen_streams(self.streams, STREAMS)

    @property
    def parts(self) -> tuple[str, ...]:
        """Selected streams."""
        return chosen_streams(self.streams, STREAMS)


class OpenClip(Model):
    """CLIP embeddings of frames and text. Frames are evenly spread, and nothing is normalised.

    Streams: ``video`` (frames, D), ``text`` (1, D).
    """

    Options: ClassVar[type] = OpenClipOptions
    options: OpenClipOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="https://github.com/mlfoundations/open_clip",
        licence="code MIT; weights: see their card (LAION's: MIT)",
        parameters="151 M (ViT-B-32)",
        streams="video (T, 512), text (1, 512)",
    )

    def __init__(
        self, net: Any, transform: Any, tokenizer: Any, options: OpenClipOptions, *, device: str
    ) -> None:
        """Keep the model and its processors.

        Args:
            net: the model in eval mode, on ``device``.
            transform: turns a Pillow image into float32 (3, H, W).
            tokenizer: turns a list of texts into int64 (texts, L).
            options: instance of ``Options``.
            device: device of the model.
        """
        super().__init__(options, device=device)
        self.net, self.transform, self.tokenizer = net, transform, tokenizer

    @classmethod
    def weights(cls, options: OpenClipOptions) -> Weights:
        """Return the tensors and open_clip's configuration, which is optional."""
        return Weights("openclip", options.weights, (_TENSORS, _CONFIG))

    @classmethod
    def needs(cls, options: OpenClipOptions) -> Needs:
        """Require evenly spread frames, text or both, whichever streams are selected."""
        has_video = "video" in options.parts
        return Needs(
            frames=Uniform(options.frames) if has_video else None,
            keep_frames=has_video,
            text="text" in options.parts,
        )

    @classmethod
    def streams(cls, options: OpenClipOptions, found: Found) -> dict[str, StreamSpec]:
        """Return the selected streams; both have the width of the joint space."""
        dim = int(architecture(options, found)["embed_dim"])
        levels = {"video": "frame", "text": "clip"}
        return {name: StreamSpec(dim, options.stored, levels[name]) for name in options.parts}

    @classmethod
    def text_options(cls, options: OpenClipOptions) -> OpenClipOptions:
        """Return the options with the stream ``text`` alone, which has the space of ``video``."""
        return replace(options, streams="text")

    @classmethod
    def facts(cls, options: OpenClipOptions, found: Found) -> dict[str, Any]:
        """Return the space that both streams share, the logit scale, and SigLIP's bias."""
        space = space_of_weights("openclip", found.digest, *filter(None, [options.model]))
        known = calibration_facts([found.get(_TENSORS.names[0])], options.parts)
        return {"space": dict.fromkeys(options.parts, space), **known}

    @classmethod
    def tokens(cls, options: OpenClipOptions, seconds: float) -> dict[str, float]:
        """Return T of each stream: one token per frame, one per text."""
        counts = {"video": float(options.frames), "text": 1.0}
        return {name: counts[name] for name in options.parts}

    @classmethod
    def build(cls, options: OpenClipOptions, found: Found, *, device: str) -> Self:
        """Build the named model, load its tensors, transform and tokenizer."""
        import open_clip
        from open_clip.convert import convert_state_dict
        from open_clip.transform import PreprocessCfg, image_transform_v2

        architecture(options, found)
        name = options.model or f"local-dir:{found.folder}"
        try:
            with no_foreign_code(found.folder):  # open_clip gives its arguments to transformers
                net = _untrained(name, "cpu" if found.has_tensors else "meta")
                tokenizer = open_clip.get_tokenizer(name)
        except WeightsError:
            raise
        except Exception as error:  # open_clip and transformers raise many kinds
            raise WeightsError(
                f"{found.folder}: open_clip cannot build the model that its files describe: "
                f"{why_unread(found.folder, error)}"
            ) from error
        if found.has_tensors:
            path = found.get(_TENSORS.names[0])
            tensors = {k.removeprefix("module."): v for k, v in read_tensors(path).items()}
            fill(net, convert_state_dict(net, tensors), where=str(path))
        chosen = dict(net.visual.preprocess_cfg)
        if config := found.path(_CONFIG.names[0]):
            chosen |= _part(config, "preprocess_cfg")
        transform = image_transform_v2(PreprocessCfg(**chosen), is_train=False)
        return cls(net.eval().to(device), transform, tokenizer, options, device=device)

    @classmethod
    def write_tiny(cls, folder: Path) -> OpenClipOptions:
        """Write a model with towers of one layer in the hub's format; return its options."""
        document = {
            "model_cfg": {
                "embed_dim": 16,
                "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
                "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 1,
                             "layers": 1},
            },
            "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        }  # fmt: skip
        (folder / _CONFIG.names[0]).write_text(json.dumps(document))
        net = _untrained(f"local-dir:{folder}")
        torch.save(net.state_dict(), folder / "open_clip_pytorch_model.bin")
        return OpenClipOptions(weights=str(folder), frames=2)

    def prepare(self, media: Media) -> Prepared:
        """Apply open_clip's transform and tokenizer: ``video`` (F, 3, H, W), ``text`` (1, L).

        The note ``words_lacking`` counts the words of a text that is longer than the model reads.
        """
        inputs: dict[str, Any] = {}
        notes: dict[str, float] = {}
        absent = {name: reason for name, reason in media.absent.items() if name in STREAMS}
        if media.frames is not None:
            images = [self.transform(Image.fromarray(frame)) for frame in media.frames]
            inputs["video"] = torch.stack(images)
        if media.text is not None:
            inputs["text"] = self.tokenizer([media.text])
            lacking = words_lacking(lambda text: self.tokenizer([text])[0].tolist(), media.text)
            notes |= {"words_lacking": float(lacking)} if lacking else {}
        return Prepared(inputs, absent, notes)

    def networks(self) -> dict[str, nn.Module]:
        """Return the only network, which holds both towers."""
        return {"weights": self.net}

    def changes(self, weights: Weights, found: Found) -> dict[Path, Changes]:
        """Return what changed; a file under other names than open_clip's gets open_clip's."""
        (path,) = tensor_paths(weights, found)
        own, table = self.net.state_dict(), read_tensors(path)
        names = {name.removeprefix("module."): name for name in table}
        if own.keys() <= names.keys():
            return changes_by_name({names[name]: own[name] for name in own}, {path: table})
        converted = self._converted(table)
        if all(is_same(tensor, converted[name]) for name, tensor in own.items()):
            return {}
        return {path: {**dict.fromkeys(table), **{name: stored(own[name]) for name in own}}}

    def _converted(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file under open_clip's names."""
        from open_clip.convert import convert_state_dict

        own = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
        converted: dict[str, Tensor] = convert_state_dict(self.net, own)
        return converted

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Embed the frames and texts of all clips: float32 (F, D) and (1, D) for each clip."""
        found: list[dict[str, Tensor]] = [{} for _ in batch]
        calls = {"video": self._encode_images, "text": self._encode_texts}
        for name in self.options.parts:
            for index, tokens in self.run_having(calls[name], batch, name):
                found[index][name] = tokens
        return found

    def _encode_images(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self.net.encode_image(pixels)
        return embedded

    def _encode_texts(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.net.encode_text(ids)
        return embedded


def architecture(options: OpenClipOptions, found: Found) -> dict[str, Any]:
    """Return the architecture of the model: of the named one, or the one in the weights' folder.

    Raises:
        OptionError: there is no such model, or neither an option nor a file names one.
    """
    if not options.model:
        config = found.path(_CONFIG.names[0])
        if config is None:
            raise OptionError(
                f"openclip: no {_CONFIG.names[0]} beside {found.get(_TENSORS.names[0])}, so the "
                "model is unknown: name it with -o openclip.model=ViT-B-32 (for example)"
            )
        return _part(config, "model_cfg")
    spec = find_spec("open_clip")
    folder = Path(spec.origin or "").parent / "model_configs" if spec else Path()
    path = folder / f"{options.model}.json"
    if path.parent != folder or not path.is_file():
        names = sorted(file.stem for file in folder.glob("*.json"))
        raise OptionError(plugins.unknown("open_clip model", options.model, names))
    return read_config(path)


def _untrained(name: str, device: str = "cpu") -> Any:
    import open_clip

    logging.disable(logging.WARNING)  # open_clip warns of random weights; they are loaded later
    try:
        with torch.device(device):
            return open_clip.create_model(
                name, load_weights=False, pretrained_text=False, device=device
            )
    finally:
        logging.disable(logging.NOTSET)


def _part(config: Path, name: str) -> dict[str, Any]:
    part = read_config(config).get(name)
    return dict(part) if isinstance(part, dict) else {}
