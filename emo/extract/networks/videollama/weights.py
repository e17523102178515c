"""List the weight files of Video-LLaMA and read widths from them, without building a network.

All files are in one folder: those of the two branches under the names of their releases, and the
language model (tokenizer and the shard with its word embeddings) in a sub-folder. A
``config.json`` beside them gives the sizes that shapes do not tell, for models unlike the published
ones.
"""

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from emo.errors import WeightsError
from emo.extract.models.tensor_files.checkpoint import read_config, read_tensor
from emo.extract.models.weights import Found, WeightFile, candidates_of, find

_LAVIS = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2"
_IMAGEBIND = "https://dl.fbaipublicfiles.com/imagebind"
_BLIP2 = "blip2_pretrained_flant5xxl.pth"
FILES = {  # in the order in which the original loads them; the last one holds the projection
    "video": (
        WeightFile(("eva_vit_g.pth",), origin=f"{_LAVIS}/eva_vit_g.pth"),
        WeightFile((_BLIP2,), origin=f"{_LAVIS}/{_BLIP2}"),
        WeightFile(("VL_*.pth", "finetune-vicuna13b-v2.pth", "finetune-vicuna7b-v2.pth")),
    ),
    "audio": (
        WeightFile(("imagebind_huge.pth",), origin=f"{_IMAGEBIND}/imagebind_huge.pth"),
        WeightFile(("AL_*.pth", "finetune_vicuna7b_audiobranch.pth")),
    ),
}
_PROJECTIONS = {"video": "llama_proj.weight", "audio": "audio_llama_proj.weight"}
CONFIG = WeightFile(("config.json",), is_optional=True)
TOKENIZER = WeightFile(("*/tokenizer.json",))
_SHARDS = (  # first shards, which hold the word embeddings
    "*/model.safetensors",
    "*/model-00001-of-*.safetensors",
    "*/pytorch_model.bin",
    "*/pytorch_model-00001-of-*.bin",
)
WORDS = "model.embed_tokens.weight"
"""Name of the word embeddings in the language model's files."""


def videollama_files(stream: str, source: str) -> list[WeightFile]:
    """Return the files of one stream.

    Files that are published on plain web servers may also be in torch's own cache.

    Args:
        stream: ``video``, ``audio`` or ``text``.
        source: folder or hub id of the weights.
    """
    if stream == "text":
        return [TOKENIZER, shard(source)]
    is_local = Path(source).expanduser().exists()
    return [
        replace(file, source=file.names[0])
        if file.origin and not is_local and not find(source, file)
        else file
        for file in FILES[stream]
    ]


def only(found: Found, file: WeightFile) -> Path:
    """Return the path of a file that must match exactly one.

    Raises:
        WeightsError: none or several match.
    """
    paths = found.paths[file.label]
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths)
        raise WeightsError(f"{found.folder}: expected one of {file.label}, found {names}")
    return paths[0]


def shard(source: str) -> WeightFile:
    """Return the language model's file with the word embeddings, found by the model's index."""
    indices = [
        path
        for candidate in candidates_of(source)
        for path in sorted(candidate.glob("*/*.index.json"))
    ]
    named = []
    for path in indices:
        shards = read_config(path).get("weight_map")
        name = shards.get(WORDS) if isinstance(shards, dict) else None
        if isinstance(name, str) and "/" not in name and "\\" not in name:
            named.append(f"{path.parent.name}/{name}")
    return WeightFile((*named, *_SHARDS))


def word_embeddings(source: str, found: Found) -> Tensor:
    """Read the word embeddings of the language model, (words, D) in the stored type."""
    return _expected(only(found, shard(source)), WORDS)


def projection(found: Found, stream: str) -> Tensor:
    """Read the projection of ``video`` or ``audio``, (width of the language model, Q-Former width).

    Raises:
        WeightsError: the checkpoint has no projection.
    """
    return _expected(only(found, FILES[stream][-1]), _PROJECTIONS[stream])


def _expected(path: Path, name: str) -> Tensor:
    tensor = read_tensor(path, name)
    if tensor is None:
        raise WeightsError(
            f"{path}: the tensor {name!r} is missing; are these weights of another model?"
        )
    return tensor
