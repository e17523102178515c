"""Read LanguageBind's checkpoints: sizes from config.json, LoRA merged, towers loaded."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from emo.errors import WeightsError
from emo.extract.models.tensor_files.checkpoint import fill, read_config, read_tensor, read_tensors
from emo.extract.models.weights import Found, WeightFile
from emo.extract.networks.languagebind.inputs import Sound
from emo.extract.networks.languagebind.network import PatchGrid, Sizes, TextTower, VisionTower
from emo.extract.networks.languagebind.options import OPTION_OF, LanguageBindOptions

TENSOR_FILES = ("pytorch_model.bin", "model.safetensors", "pytorch_model-*.bin")
"""Possible names of the file, or files, with the tensors."""
TOKENIZER_FILES = ("vocab.json", "merges.txt")
"""Files of the text tower's tokenizer."""
_SOUND = {"sample_rate": "audio_sample_rate", "mean": "audio_mean", "std": "audio_std"}
_LORA = re.compile(r"(.+)\.lora_([AB])(?:\.default)?\.weight")


@dataclass(frozen=True)
class Config:
    """The content of one config.json."""

    path: Path
    """The file, for errors."""
    document: Mapping[str, Any]
    """The content of the file."""

    @classmethod
    def read(cls, path: Path) -> "Config":
        """Read a config.json.

        Raises:
            WeightsError: the file is not JSON.
        """
        return cls(path, read_config(path))

    def get(self, *keys: str, default: Any = None) -> Any:
        """Return a value by its nested keys, or ``default`` if the file lacks it.

        Raises:
            WeightsError: the file lacks it and ``default`` is None.
        """
        value: Any = self.document
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None and default is None:
            raise WeightsError(
                f"{self.path}: no value {'.'.join(keys)}; are these weights of another model?"
            )
        return default if value is None else value

    @property
    def kind(self) -> str:
        """What the vision tower reads: ``audio``, ``video`` or ``image`` (also depth, thermal)."""
        if self.get("vision_config", "num_mel_bins", default=0):
            return "audio"
        frames = self.get("vision_config", "num_frames", default=1)
        has_time = self.get("vision_config", "add_time_attn", default=False)
        return "video" if has_time or frames > 1 else "image"

    @property
    def sound(self) -> Sound:
        """How the tower's spectrograms are made."""
        given = {
            name: self.get("vision_config", key, default=getattr(Sound, name))
            for name, key in _SOUND.items()
        }
        return Sound(self.picture.height, self.picture.width, **given)

    @property
    def picture(self) -> PatchGrid:
        """Size of the vision tower's pictures and patches."""
        side = self.get("vision_config", "image_size", default=224)
        height, width = side, side
        if self.kind == "audio":
            height = int(self.get("vision_config", "num_mel_bins"))
            width = int(self.get("vision_config", "target_length"))
        kind = self.get("vision_config", "clip_type", default="")
        patch = self.get("vision_config", "patch_size")
        return PatchGrid(height, width, patch, has_class_a_frame=kind == "vl_new")

    def sizes(self, part: str) -> Sizes:
        """Return the sizes of one tower; ``part`` is ``vision_config`` or ``text_config``."""
        return Sizes(
            dim=self.get(part, "hidden_size"),
            hidden=self.get(part, "intermediate_size"),
            layers=self.get(part, "num_hidden_layers"),
            heads=self.get(part, "num_attention_heads"),
            activation=self.get(part, "hidden_act"),
            epsilon=self.get(part, "layer_norm_eps", default=1e-5),
            projected=self.get("projection_dim"),
            frames=self.get(part, "num_frames", default=1),
            has_time=self.get(part, "add_time_attn", default=False),
        )


def languagebind_files(stream: str) -> list[tuple[str, ...]]:
    """Return the files that a stream needs of its repository, each with its alternatives."""
    own = TOKENIZER_FILES if stream == "text" else ()
    return [("config.json",), TENSOR_FILES, *((name,) for name in own)]


def checkpoint(found: Found, option: str) -> tuple[Path, ...]:
    """Return the paths of the tensors in the repository that the option ``option`` names."""
    return found.paths[WeightFile(TENSOR_FILES, option=option).label]


def read_configs(options: LanguageBindOptions, found: Found) -> dict[str, Config]:
    """Read the configuration of the tower of each selected stream.

    Raises:
        WeightsError: the towers have different widths, or one reads another kind of input.
    """
    configs = {}
    for stream in options.parts:
        label = WeightFile(("config.json",), option=OPTION_OF[stream]).label
        configs[stream] = Config.read(found.get(label))
        if stream != "text" and configs[stream].kind != stream:
            raise WeightsError(
                f"{configs[stream].path} describes a tower for {configs[stream].kind}, not for "
                f"{stream}; see -o {OPTION_OF[stream]}"
            )
    widths = {stream: config.get("projection_dim") for stream, config in configs.items()}
    if len(set(widths.values())) > 1:
        raise WeightsError(
            f"languagebind: the towers do not share one space, their widths are {widths} (Huge has "
            "1024, its audio 768); leave one out with -o streams=…, or choose other weights"
        )
    return configs


def vision_tower(config: Config, tensors: Mapping[str, Tensor] | None, where: str) -> VisionTower:
    """Build the tower of video, audio or image with its weights, in eval mode.

    Args:
        config: configuration of the tower.
        tensors: tensors of the checkpoint; None: the tower is built without weights.
        where: name of the file, for error messages.
    """
    tower = VisionTower(config.sizes("vision_config"), config.picture)
    alpha = config.get("vision_config", "lora_alpha", default=16)
    if tensors is not None:
        fill(tower, _flat_patches(merge_lora(tensors, alpha), where), where=where)
    return tower.eval()


def text_tower(config: Config, tensors: Mapping[str, Tensor] | None, where: str) -> TextTower:
    """Build the text tower with its weights, in eval mode.

    Args:
        config: configuration of the tower.
        tensors: tensors of the checkpoint; None: the tower is built without weights.
        where: name of the file, for error messages.
    """
    words = config.get("text_config", "vocab_size")
    length = config.get("text_config", "max_position_embeddings")
    tower = TextTower(config.sizes("text_config"), words, length)
    if tensors is not None:
        fill(tower, tensors, where=where)
    return tower.eval()


def read_all(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Read all tensors of a checkpoint, which may have several files."""
    return {name: value for path in paths for name, value in read_tensors(path).items()}


def read_one(paths: Sequence[Path], name: str) -> Tensor:
    """Read one tensor as float32, without reading the whole file where the format allows that.

    Raises:
        WeightsError: no file has it.
    """
    for path in paths:
        tensor = read_tensor(path, name)
        if tensor is not None:
            return tensor.float()
    raise WeightsError(f"{', '.join(map(str, paths))}: the tensor {name!r} is missing")


def merge_lora(tensors: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Merge LoRA adapters into their weights: ``W + alpha / r * B @ A``.

    Args:
        tensors: tensors by name, of weights and of adapters ("lora_A", "lora_B").
        alpha: the adapters' scale; r is their rank.

    Returns:
        The weights by their names without the additions of the peft library.

    Source: Hu et al. 2021 (arXiv:2106.09685), equation 3.
    """
    plain, adapters = {}, {}
    for name, value in tensors.items():
        name = name_without_peft(name)
        match = _LORA.fullmatch(name)
        if match:
            adapters[match.groups()] = value.float()
        else:
            plain[name] = value
    for (module, side), down in adapters.items():
        if side == "A":
            added = (alpha / len(down)) * (adapters[module, "B"] @ down)
            plain[f"{module}.weight"] = plain[f"{module}.weight"].float() + added
    return plain


def name_without_peft(name: str) -> str:
    """Return the name of a tensor without the additions of the peft library."""
    return name.replace("base_model.model.", "").replace(".base_layer.", ".")


def is_adapter(name: str) -> bool:
    """Return whether a tensor is half of a LoRA adapter."""
    return _LORA.fullmatch(name_without_peft(name)) is not None


def _flat_patches(tensors: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """Turn the patch embedding of V1.5, a Conv3d over one frame, into a Conv2d."""
    name = "vision_model.embeddings.patch_embedding.weight"
    weight = tensors.get(name)
    if weight is None or weight.ndim != 5:
        return tensors
    if weight.shape[2] != 1:
        raise WeightsError(f"{where}: patches of {weight.shape[2]} frames; expected 1")
    return {**tensors, name: weight[:, :, 0]}
