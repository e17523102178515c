"""LanguageBind's towers against the original code, from its own checkpoints on."""

import dataclasses

import numpy as np
import pytest
import torch

from emo.errors import WeightsError
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.models.tensor_files.checkpoint import read_tensors
from emo.extract.networks.languagebind.checkpoint import (
    Config,
    text_tower,
    vision_tower,
)
from emo.extract.networks.languagebind.options import OPTION_OF, LanguageBindOptions
from tests.parity.conftest import fixtures, present
from tests.parity.tolerances import TOLERANCES

KEYS = {
    "hidden_states": "hidden_states",
    "last_hidden_state": "last_hidden_state",
    "frame_cls_post_layernorm": "pooled",
    "pooler_output": "pooled",
    "projected": "projected",
    "embeds_l2": "l2",
    "languagebind_forward": "scaled",
    "text_last_hidden_state": "last_hidden_state",
    "text_pooler_output": "pooled",
    "text_projected": "projected",
    "text_embeds_l2": "l2",
    "languagebind_forward_language": "l2",
    "logits_per_image": "scaled",
    "logit_scale": "l2",
}
SKIPPED = {}  # stage: reason
PERTURBED = 24  # tensors of a checkpoint
TOWERS = [
    folder for folder in fixtures("languagebind_") if folder.id != "languagebind_preprocess"
] or [pytest.param(None, id="missing")]


def pictures(inputs):
    """(B, 3, T, H, W), or (B, 3, H, W) without time -> (B, T, 3, H, W)."""
    pixels = torch.from_numpy(inputs["pixel_values"])
    return pixels.transpose(1, 2) if pixels.ndim == 5 else pixels[:, None]


@torch.inference_mode()
def stages(config, tensors, inputs):
    """All that the original gives out, by its names."""
    vision, text = load_both(config, tensors)
    pixels, ids = pictures(inputs), torch.from_numpy(inputs["input_ids"])
    states = torch.stack(list(vision.states(pixels)))
    frames = vision.frames(vision.tokens(pixels))
    words = text.tokens(ids)
    last = text.last(words, ids)
    projected, text_projected = vision.pooled(frames), text.pooled(last)
    unit, text_unit = (x / x.norm(dim=-1, keepdim=True) for x in (projected, text_projected))
    scale = tensors["logit_scale"]
    return {
        "hidden_states": states,
        "last_hidden_state": states[-1],
        "frame_cls_post_layernorm": frames,
        "pooler_output": frames.mean(1),
        "projected": projected,
        "embeds_l2": unit,
        "languagebind_forward": unit * scale.exp(),
        "text_last_hidden_state": words,
        "text_pooler_output": last,
        "text_projected": text_projected,
        "text_embeds_l2": text_unit,
        "languagebind_forward_language": text_unit,
        "logits_per_image": scale.exp() * unit @ text_unit.T,
        "logit_scale": scale,
    }


def load_both(config, tensors):
    return [make(config, tensors, "fixture") for make in (vision_tower, text_tower)]


def read(folder, name="pytorch_model.bin"):
    inputs, outputs = (dict(np.load(folder / f"{kind}puts.npz")) for kind in ("in", "out"))
    return Config.read(folder / "config.json"), read_tensors(folder / name), inputs, outputs


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("folder", TOWERS)
def test_every_stage_equals_the_originals(folder, name, compare):
    folder = present(folder)
    if not (folder / name).is_file():
        pytest.skip(f"this set has no {name}")
    config, tensors, inputs, outputs = read(folder, name)
    ours = stages(config, tensors, inputs)
    unknown = set(outputs) - set(KEYS) - set(SKIPPED)
    assert not unknown, "compare these, or say why not in SKIPPED"
    for stage in set(outputs) - set(SKIPPED):
        key = f"languagebind.{KEYS[stage]}"
        compare(folder.name, stage, key, ours[stage], outputs[stage])


@pytest.mark.parametrize("folder", TOWERS)
def test_one_wrong_weight_is_seen(folder):
    config, tensors, inputs, outputs = read(present(folder))
    # a bias of the keys adds the same number to all scores of a query: softmax does not see it
    seen = [n for n, t in tensors.items() if t.is_floating_point() and "k_proj.bias" not in n]
    chosen = [seen[k] for k in np.linspace(0, len(seen) - 1, PERTURBED, dtype=int)]
    for name in chosen:
        ours = stages(config, {**tensors, name: tensors[name] * 1.01}, inputs)
        errors = {
            stage: float(np.abs(ours[stage].numpy() - outputs[stage]).max())
            / TOLERANCES[f"languagebind.{KEYS[stage]}"]
            for stage in set(outputs) - set(SKIPPED)
        }
        assert max(errors.values()) > 1, f"{name} may be 1 % wrong unseen"


@pytest.mark.parametrize("level", ["pooled", "frames", "tokens"])
@pytest.mark.parametrize("folder", TOWERS)
def test_the_backbone_gives_each_level(folder, level, compare):
    folder = present(folder)
    config, _, inputs, outputs = read(folder)
    options = LanguageBindOptions(streams=config.kind, level=level)
    options = dataclasses.replace(options, **{OPTION_OF[config.kind]: str(folder)})
    backbone = LanguageBind.load(options, device="cpu")
    clips = [{config.kind: pixels} for pixels in pictures(inputs)[:, None]]
    ours = np.stack([tokens[config.kind] for tokens in backbone.encode(clips)])
    stage = {"frames": "frame_cls_post_layernorm", "tokens": "last_hidden_state"}.get(
        level, "projected"
    )
    theirs = outputs[stage].reshape(len(clips), -1, outputs[stage].shape[-1])
    compare(folder.name, f"encode {level}", f"languagebind.{KEYS[stage]}", ours, theirs)
    assert LanguageBind.recipe(options).streams[config.kind].dim == ours.shape[-1]


@pytest.mark.parametrize("folder", TOWERS)
def test_the_temperature_is_in_the_recipe_and_read_alone(folder, compare):
    folder = present(folder)
    config, _, _, outputs = read(folder)
    options = LanguageBindOptions(streams=config.kind)
    options = dataclasses.replace(options, **{OPTION_OF[config.kind]: str(folder)})
    ours = LanguageBind.recipe(options).facts["logit_scale"][config.kind]
    compare(folder.name, "facts logit_scale", "languagebind.l2", ours, outputs["logit_scale"])


@pytest.mark.parametrize("folder", TOWERS)
def test_a_missing_tensor_is_named(folder):
    config, tensors, _, _ = read(present(folder))
    name = next(name for name in tensors if name.endswith("layers.1.mlp.fc1.weight"))
    del tensors[name]
    with pytest.raises(WeightsError, match=r"layers\.1\.mlp\.fc1\.weight"):
        load_both(config, tensors)
