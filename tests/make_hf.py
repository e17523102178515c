"""Tiny random models of transformers with their processors, as folders of weights."""

import json

import torch
import transformers as hf

from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.media import Media

SMALL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
WORDS = {**SMALL, "vocab_size": 99, "max_position_embeddings": 64, "pad_token_id": 0,
         "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
PICTURES = {**SMALL, "image_size": 32, "patch_size": 8}
SQUARE = {"height": 32, "width": 32}


def write(folder, config, *processors, names=None, spread=0.3):
    """Write a model of random weights; return it.

    Args:
        folder: an existing folder.
        config: transformers' configuration.
        processors: tokenizer, feature extractor or image processor; none: letters become ids.
        names: what the tokenizer returns (``model_input_names``); None: its own choice.
        spread: standard deviation of the weights, large enough that inputs matter.
    """
    torch.manual_seed(0)
    model = hf.AutoModel.from_config(config).eval()
    for weights in model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=spread)
    if not processors:
        HF.write_tiny(folder)  # its tokenizer: [CLS], letters, [SEP]
    model.save_pretrained(folder)
    for processor in processors:
        processor.save_pretrained(folder)
    if names:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model_input_names": names}))
    return model


def load(folder, **options):
    """Build the backbone of a folder."""
    return HF.load(HFOptions(model="tiny", weights=str(folder), **options), device="cpu")


def tokens_of(backbone, **media):
    """Return the tokens (T, D) of one clip."""
    (found,) = backbone.encode([backbone.prepare(Media(**media)).inputs])
    (tokens,) = found.values()
    (spec,) = HF.recipe(backbone.options).streams.values()
    assert tokens.shape[1] == spec.dim
    return tokens
