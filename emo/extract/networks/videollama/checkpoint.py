"""Read the weight files of Video-LLaMA and load them into our modules.

The tensors of all files are merged under the names of the original whole model, in the order in
which it loads the files. :func:`original` maps our names to those.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emo.errors import WeightsError
from emo.extract.models.rewrite import Changes, is_same, stored
from emo.extract.models.tensor_files.checkpoint import fill, read_tensors
from emo.extract.networks.imagebind.network import TowerSizes
from emo.extract.networks.videollama.network import AudioBranch, VideoBranch, VisionSizes
from emo.extract.networks.videollama.qformer import QFormerSizes

PREFIXES = {"eva_vit_g.pth": "visual_encoder.", "imagebind_huge.pth": "audio_encoder."}
"""File -> prefix of its tensors in the whole model."""
_AUDIO = "audio_encoder.modality_"
_NAMES = (  # parts of our names and of the original ones, replaced in this order
    ("visual_encoder.embeddings.class_embedding", "visual_encoder.cls_token"),
    ("visual_encoder.embeddings.position_embedding", "visual_encoder.pos_embed"),
    ("visual_encoder.embeddings.patch_embedding.", "visual_encoder.patch_embed.proj."),
    ("visual_encoder.encoder.layers.", "visual_encoder.blocks."),
    ("visual_encoder.post_layernorm.", "ln_vision."),
    (".layer_norm", ".norm"),
    (".self_attn.projection.", ".attn.proj."),
    (".self_attn.", ".attn."),
    ("Qformer.queries", "query_tokens"),
    (".bert.layernorm.", ".bert.embeddings.LayerNorm."),
    ("attention.attention.", "attention.self."),
    ("audio_encoder.stem.", f"{_AUDIO}preprocessors.audio.rgbt_stem.proj."),
    ("audio_encoder.stem_norm.", f"{_AUDIO}preprocessors.audio.rgbt_stem.norm_layer."),
    ("audio_encoder.cls_token", f"{_AUDIO}preprocessors.audio.cls_token"),
    ("audio_encoder.positions", f"{_AUDIO}preprocessors.audio.pos_embedding_helper.pos_embed"),
    ("audio_encoder.blocks.", f"{_AUDIO}trunks.audio.blocks."),
    ("audio_encoder.head_norm.", f"{_AUDIO}heads.audio.0."),
    ("audio_encoder.head.", f"{_AUDIO}heads.audio.2."),
    ("audio_encoder.log_logit_scale", f"{_AUDIO}postprocessors.audio.1.log_logit_scale"),
)


def original(name: str) -> str:
    """Return the original name of one of our tensors.

    >>> original("video_Qformer.bert.encoder.layer.0.attention.attention.key.bias")
    'video_Qformer.bert.encoder.layer.0.attention.self.key.bias'
    """
    for ours, theirs in _NAMES:
        name = name.replace(ours, theirs)
    return name


def read_merged(paths: Iterable[Path]) -> dict[str, Tensor]:
    """Read several files into one table under the names of the whole model.

    A later file replaces tensors of an earlier one. Of ``imagebind_huge.pth`` only the audio tower
    is kept.
    """
    merged = {}
    for path in paths:
        prefix = PREFIXES.get(path.name, "")
        for name, tensor in read_tensors(path).items():
            if prefix != "audio_encoder." or ".audio." in name:
                merged[prefix + name] = tensor
    return merged


def load_branch(
    stream: str, paths: Sequence[Path], config: Mapping[str, Any]
) -> VideoBranch | AudioBranch:
    """Build a branch with its weights, in the sizes that the shapes of the weights tell.

    Args:
        stream: ``video`` or ``audio``.
        paths: files in the order of loading; tensors of other modules are ignored.
        config: sizes that shapes do not tell, for models unlike the published ones, such as
            ``{"qformer": {"num_attention_heads": 4}}``.

    Raises:
        WeightsError: a tensor is missing.
    """
    names = ", ".join(path.name for path in paths)
    known = _Known(read_merged(paths), where=f"{paths[0].parent} ({names})")
    with torch.device("meta"):  # initialising 1e9 parameters would take a minute
        branch = empty_branch(stream, known, config)
    branch.to_empty(device="cpu")
    tensors = {name: checkpoint_tensor(known, original(name)) for name in branch.state_dict()}
    fill(branch, tensors, where=known.where)
    return branch.eval()


def empty_branch(
    stream: str, known: Mapping[str, Tensor], config: Mapping[str, Any]
) -> VideoBranch | AudioBranch:
    """Build a branch in the sizes of the checkpoint's tensors, with random weights.

    Args:
        stream: ``video`` or ``audio``.
        known: tensors by their original names.
        config: sizes that shapes do not tell.
    """
    if stream == "video":
        return VideoBranch(
            VisionSizes.of(known, config.get("vit", {})),
            QFormerSizes.of(known, "", 2, config.get("qformer", {})),
            QFormerSizes.of(known, "video_", 1, config.get("video_qformer", {})),
            positions=len(known["video_frame_position_embedding.weight"]),
            llama_width=len(known["llama_proj.weight"]),
        )
    return AudioBranch(
        TowerSizes.of(known, "audio_encoder.", config.get("imagebind_audio", {})),
        QFormerSizes.of(known, "audio_", 1, config.get("audio_qformer", {})),
        positions=len(known["audio_position_embedding.weight"]),
        llama_width=len(known["audio_llama_proj.weight"]),
    )


def checkpoint_tensor(known: Mapping[str, Tensor], name: str) -> Tensor:
    """Return a tensor by its original name; the bias of queries, keys and values is assembled.

    A file that was written after training has that bias whole, because its keys may have one.
    """
    if name in known or not name.endswith(".attn.qkv.bias"):
        return known[name]
    query, value = (known[name.replace("qkv.bias", f"{kind}_bias")] for kind in "qv")
    return torch.cat([query, torch.zeros_like(query), value])  # keys have no bias


def changed_branch(branch: nn.Module, paths: Sequence[Path]) -> dict[Path, Changes]:
    """Return the tensors of a branch that changed since it was loaded, by the names in its files.

    Args:
        branch: the branch.
        paths: its files, in the order of loading.
    """
    tables = {path: read_tensors(path) for path in paths}
    prefixes = {path: PREFIXES.get(path.name, "") for path in paths}
    last = {prefixes[path] + name: path for path, table in tables.items() for name in table}
    known = {name: tables[path][name.removeprefix(prefixes[path])] for name, path in last.items()}
    changes: dict[Path, dict[str, Tensor | None]] = {path: {} for path in paths}
    for ours, tensor in branch.state_dict().items():
        name = original(ours)
        if not is_same(tensor, checkpoint_tensor(known, name)):
            path = last.get(name) or last[name.replace("qkv.bias", "q_bias")]
            changes[path][name.removeprefix(prefixes[path])] = stored(tensor)
    return dict(changes)


class _Known(dict[str, Tensor]):
    """Tensors by name; reading a missing one raises a WeightsError that names it."""

    def __init__(self, tensors: Mapping[str, Tensor], where: str) -> None:
        super().__init__(tensors)
        self.where = where

    def __missing__(self, name: str) -> Tensor:
        raise WeightsError(
            f"{self.where}: the tensor {name!r} is missing; are these weights of another model?"
        )
