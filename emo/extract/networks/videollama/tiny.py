"""Write a small random Video-LLaMA with the files and names of the original, for tests."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor, nn

from emo.extract.networks.imagebind.network import TowerSizes
from emo.extract.networks.videollama.checkpoint import original
from emo.extract.networks.videollama.network import AudioBranch, VideoBranch, VisionSizes
from emo.extract.networks.videollama.qformer import QFormerSizes

IMAGE = 32
_WORDS = ["<unk>", "What", "is", "this", ",", "number", "0", "1", "2", "?!"]
_SIZES = {
    "vision": {"image": IMAGE, "patch": 16, "width": 16, "layers": 2, "heads": 2, "hidden": 24},
    "frame": {"queries": 4, "width": 16, "layers": 3, "heads": 2, "hidden": 24, "memory": 16},
    "window": {"width": 16, "heads": 2, "hidden": 24, "memory": 16},
    "tower": {"width": 16, "layers": 1, "heads": 2, "hidden": 24, "dim": 12},
    "heard": {"width": 16, "heads": 2, "hidden": 24, "memory": 12},
    "frames": 8, "llama_width": 24, "words": len(_WORDS),
}  # fmt: skip
"""What differs from the published sizes; only a model without weights reads it."""
_HEADS = {
    "sizes": _SIZES,
    "vit": {"num_heads": 2},
    "qformer": {"num_attention_heads": 2},
    "video_qformer": {"num_attention_heads": 2},
    "audio_qformer": {"num_attention_heads": 2},
    "imagebind_audio": {"audio_num_heads": 2},
}


def write_branches(folder: Path) -> None:
    """Write the weights of both branches and a config.json."""
    video = _originals(_video())
    audio = _originals(_audio())
    vision = _taken(video, "visual_encoder.")
    blip2 = _taken(video, "query_tokens", "Qformer.", "ln_vision.", cut=False)
    tower = _taken(audio, "audio_encoder.")
    torch.save(vision, folder / "eva_vit_g.pth")
    torch.save({"model": blip2}, folder / "blip2_pretrained_flant5xxl.pth")
    torch.save({"model": video}, folder / "VL_tiny.pth")
    torch.save(tower, folder / "imagebind_huge.pth")
    torch.save({"model": audio}, folder / "AL_tiny.pth")
    (folder / "config.json").write_text(json.dumps(_HEADS))


def write_llama(folder: Path, width: int = 24) -> None:
    """Write a language model: word embeddings and a tokenizer that splits at spaces."""
    folder.mkdir()
    table = torch.randn(len(_WORDS), width)
    save_file({"model.embed_tokens.weight": table}, folder / "model.safetensors")
    tokenizer = Tokenizer(WordLevel({word: k for k, word in enumerate(_WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def _video() -> VideoBranch:
    vision = VisionSizes(image=IMAGE, patch=16, width=16, layers=2, heads=2, hidden=24)
    frame = QFormerSizes(queries=4, width=16, layers=3, heads=2, hidden=24, memory=16, frequency=2)
    window = QFormerSizes(
        queries=32, width=16, layers=2, heads=2, hidden=24, memory=16, frequency=1
    )
    return VideoBranch(vision, frame, window, positions=8, llama_width=24)


def _audio() -> AudioBranch:
    tower = TowerSizes(width=16, layers=1, heads=2, hidden=24, positions=229, patch=16, dim=12)
    window = QFormerSizes(queries=8, width=16, layers=2, heads=2, hidden=24, memory=12, frequency=1)
    return AudioBranch(tower, window, positions=8, llama_width=24)


def _originals(branch: nn.Module) -> dict[str, Tensor]:
    """Make random tensors for a branch, by their original names."""
    tensors = {}
    for name, tensor in branch.state_dict().items():
        values = torch.randn(tensor.shape) / 5
        theirs = original(name)
        if theirs.endswith(".attn.qkv.bias"):
            query, _, value = values.chunk(3)
            tensors[theirs.replace("qkv.bias", "q_bias")] = query.clone()
            tensors[theirs.replace("qkv.bias", "v_bias")] = value.clone()
        else:
            tensors[theirs] = values
    return tensors


def _taken(tensors: dict[str, Tensor], *prefixes: str, cut: bool = True) -> dict[str, Tensor]:
    """Move the tensors with these prefixes into a new table; ``cut`` removes the prefix."""
    names = [name for name in tensors if name.startswith(prefixes)]
    return {name[len(prefixes[0]) if cut else 0 :]: tensors.pop(name) for name in names}
