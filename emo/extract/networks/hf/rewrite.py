"""Write a transformers model whose weights changed, with the files that were beside them."""

from pathlib import Path

from torch import nn

from emo.extract.models.checkpoint import read_config
from emo.extract.models.rewrite import is_same
from emo.extract.networks.hf.models import encoder_of, read_network


def write_network(network: nn.Module, base: Path, folder: Path) -> None:
    """Replace the tensors in a copy of a model's folder; if none changed, nothing is done.

    transformers writes the names that the files had. Tensors that the base lacked, such as an
    unused pooler, are left out again. A pickle becomes ``model.safetensors``.

    Args:
        network: the model, or its encoder.
        base: folder that it was loaded from.
        folder: copy of the base's files.
    """
    whole, info = read_network(base, read_config(base / "config.json"))
    part, own = encoder_of(whole), network.state_dict()
    before = part.state_dict()
    missing = set(info["missing_keys"])
    prefix = next((name for name, each in whole.named_modules() if each is part), "")
    lacking = {name for name in own if f"{prefix}.{name}".lstrip(".") in missing}
    if all(is_same(own[name], before[name]) for name in own.keys() - lacking):
        return
    part.load_state_dict(own)
    for pattern in ("*.safetensors", "pytorch_model*.bin", "*.index.json"):
        for old in folder.glob(pattern):
            old.unlink()
    documents = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    kept = {name: tensor for name, tensor in whole.state_dict().items() if name not in missing}
    whole.save_pretrained(folder, state_dict=kept)
    for path, data in documents.items():
        path.write_bytes(data)  # config.json as it was: it names the class with the heads
    if folder / "generation_config.json" not in documents:
        (folder / "generation_config.json").unlink(missing_ok=True)
