"""LanguageBind's checkpoints: sizes from config.json, LoRA merged, towers filled."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from emo.errors import WeightsError
from emo.extract.models.checkpoint import fill, read_config, read_tensor, read_tensors
from emo.extract.models.weights import Found, WeightFile
from emo.extract.networks.languagebind.inputs import Sound
from emo.extract.networks.languagebind.network import PatchGrid, Sizes, TextTower, VisionTower
from emo.extract.networks.languagebind.options import OPTION_OF, LanguageBindOptions

CHECKPOINT = ("pytorch_model.bin", "model.safetensors", "pytorch_model-*.bin")
TOKENIZER = ("vocab.json", "merges.txt")
_SOUND = {"sample_rate": "audio_sample_rate", "mean": "audio_mean", "std": "audio_std"}
_LORA = re.compile(r"(.+)\.lora_([AB])(?:\.default)?\.weight")


@dataclass(frozen=True)
class Config:
    """One config.json."""

    path: Path
    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Config":
        """From a file."""
        return cls(path, read_config(path))

    def get(self, *keys: str, default: Any = None) -> Any:
        """A value by its keys; without a default it must be there.

        Raises:
            WeightsError: it is not.
        """
        value: Any = self.document
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None and default is None:
            raise WeightsError(f"{self.path}: no value {'.'.join(keys)}; other weights?")
        return default if value is None else value

    @property
    def kind(self) -> str:
        """``audio``, ``video`` or ``image`` (also depth and thermal)."""
        if self.get("vision_config", "num_mel_bins", default=0):
            return "audio"
        frames = self.get("vision_config", "num_frames", default=1)
        has_time = self.get("vision_config", "add_time_attn", default=False)
        return "video" if has_time or frames > 1 else "image"

    @property
    def sound(self) -> Sound:
        """How its spectrograms are made."""
        given = {
            name: self.get("vision_config", key, default=getattr(Sound, name))
            for name, key in _SOUND.items()
        }
        return Sound(self.picture.height, self.picture.width, **given)

    @property
    def picture(self) -> PatchGrid:
        """What the vision tower looks at."""
        side = self.get("vision_config", "image_size", default=224)
        height, width = side, side
        if self.kind == "audio":
            height = int(self.get("vision_config", "num_mel_bins"))
            width = int(self.get("vision_config", "target_length"))
        kind = self.get("vision_config", "clip_type", default="")
        patch = self.get("vision_config", "patch_size")
        return PatchGrid(height, width, patch, has_class_a_frame=kind == "vl_new")

    def sizes(self, part: str) -> Sizes:
        """Of ``vision_config`` or ``text_config``."""
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
    """The files of a stream's repository, each with its alternatives."""
    own = TOKENIZER if stream == "text" else ()
    return [("config.json",), CHECKPOINT, *((name,) for name in own)]


def checkpoint(found: Found, option: str) -> tuple[Path, ...]:
    """The files with the tensors of the repository that ``option`` names."""
    return found.paths[WeightFile(CHECKPOINT, option=option).label]


def read_configs(options: LanguageBindOptions, found: Found) -> dict[str, Config]:
    """The configuration of each wanted stream.

    Raises:
        WeightsError: the towers do not share one space, or one is of another kind.
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


def vision_tower(config: Config, tensors: Mapping[str, Tensor], where: str) -> VisionTower:
    """The tower of video, audio or image, in eval mode."""
    tower = VisionTower(config.sizes("vision_config"), config.picture)
    alpha = config.get("vision_config", "lora_alpha", default=16)
    fill(tower, _flat_patches(merge_lora(tensors, alpha), where), where=where)
    return tower.eval()


def text_tower(config: Config, tensors: Mapping[str, Tensor], where: str) -> TextTower:
    """The tower of text, in eval mode."""
    words = config.get("text_config", "vocab_size")
    length = config.get("text_config", "max_position_embeddings")
    tower = TextTower(config.sizes("text_config"), words, length)
    fill(tower, tensors, where=where)
    return tower.eval()


def read_all(paths: Sequence[Path]) -> dict[str, Tensor]:
    """All tensors of a checkpoint, which may have several files."""
    return {name: value for path in paths for name, value in read_tensors(path).items()}


def read_one(paths: Sequence[Path], name: str) -> Tensor:
    """One tensor, without reading the gigabytes around it where the format allows.

    Raises:
        WeightsError: no file has it.
    """
    for path in paths:
        tensor = read_tensor(path, name)
        if tensor is not None:
            return tensor.float()
    raise WeightsError(f"{', '.join(map(str, paths))}: the tensor {name!r} is missing")


def merge_lora(tensors: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """``W + alpha / r * B @ A`` for each weight with an adapter, under the names without peft.

    Source: Hu et al. 2021 (arXiv:2106.09685), equation 3.
    """
    plain, adapters = {}, {}
    for name, value in tensors.items():
        name = name.replace("base_model.model.", "").replace(".base_layer.", ".")
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


def _flat_patches(tensors: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    name = "vision_model.embeddings.patch_embedding.weight"
    weight = tensors.get(name)
    if weight is None or weight.ndim != 5:
        return tensors
    if weight.shape[2] != 1:
        raise WeightsError(f"{where}: patches of {weight.shape[2]} frames; only 1 is known")
    return {**tensors, name: weight[:, :, 0]}  # V1.5: a Conv3d that looks at one frame
