"""Models of many types in training: gradients, written weights, and skeletons without weights."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from emo.extract.backbones.hf import HF, HFOptions
from tests.contracts.test_models import equal, parameters, shift
from tests.extract.backbones import test_hf
from tests.extract.backbones.test_hf import MODELS, SMALL, clip, load, save

LOOK_AT_VALUES = {"deberta-v2", "siglip2"}
"""Types whose code of transformers asks for values, so that no pass is possible without them."""
_tokenizer = test_hf._tokenizer


def inputs(model):
    media = clip(1, frames=model._frames if model.kind == "video" else 3)
    return [model.prepare(media).inputs]


def written(model, folder):
    model.write(folder)
    options = dataclasses.replace(model.options, weights=str(folder / "weights"))
    return HF.load(options, device="cpu")


@pytest.mark.parametrize("name", MODELS)
def test_each_type_is_trained_written_and_has_a_skeleton(name, tmp_path):
    (tmp_path / "base").mkdir()
    save(tmp_path / "base", name)
    model = load(tmp_path / "base", name)
    batch = inputs(model)
    encoded = model.encode(batch)
    with model.training():
        ((stream, tokens),) = model.forward(batch)[0].items()
    np.testing.assert_allclose(tokens.detach(), encoded[0][stream], rtol=1e-4, atol=1e-5)
    found = torch.autograd.grad(
        tokens.square().sum(), list(model.network.parameters()), allow_unused=True
    )
    assert sum(each is not None for each in found) > 5
    shift(model)
    changed = model.encode(batch)
    assert (changed[0][stream] != encoded[0][stream]).any()
    equal(written(model, tmp_path / "new").encode(batch), changed)
    skeleton = HF.skeleton(model.options)
    assert {n: p.shape for n, p in parameters(skeleton).items()} == {
        n: p.shape for n, p in parameters(model).items()
    }
    if name in LOOK_AT_VALUES:
        return
    with skeleton.training():
        assert skeleton.forward(inputs(skeleton))[0][stream].shape == tokens.shape


def test_a_checkpoint_with_a_head_and_without_a_pooler_stays_so(tmp_path):
    base = tmp_path / "base"
    config = hf.RobertaConfig(**SMALL, vocab_size=99, max_position_embeddings=66)
    whole = hf.RobertaForMaskedLM(config)
    base.mkdir()
    HF.write_tiny(base)
    (base / "model.safetensors").unlink()
    whole.config.save_pretrained(base)
    torch.save(whole.state_dict(), base / "pytorch_model.bin")
    model = HF.load(HFOptions(model="tiny", weights=str(base)), device="cpu")
    batch = inputs(model)
    same = written(model, tmp_path / "same")
    assert HF.recipe(same.options).fingerprint == HF.recipe(model.options).fingerprint
    shift(model)
    expected = model.encode(batch)
    again = written(model, tmp_path / "new")
    equal(again.encode(batch), expected)
    names = set(again.network.state_dict())
    stored = torch.load(tmp_path / "new" / "weights" / "pytorch_model.bin", weights_only=True)
    assert not any("pooler" in name for name in stored)
    assert any("pooler" in name for name in names)
    before = whole.state_dict()
    assert stored.keys() == before.keys()
    for name, tensor in stored.items():
        changed = name.startswith("roberta.") and tensor.is_floating_point()
        assert torch.equal(tensor, before[name]) != changed, name
    same_class = hf.RobertaForMaskedLM.from_pretrained(tmp_path / "new" / "weights")
    assert torch.equal(same_class.lm_head.dense.weight, before["lm_head.dense.weight"])


@pytest.mark.parametrize("old", [False, True])
def test_shards_and_names_of_the_base_are_kept(tmp_path, old):
    base = tmp_path / "base"
    base.mkdir()
    HF.write_tiny(base)
    (base / "model.safetensors").unlink()
    config = hf.BertConfig(**SMALL, vocab_size=99)
    whole = hf.BertForMaskedLM(config)
    whole.save_pretrained(base, max_shard_size="20KB")
    for path in base.glob("*.safetensors") if old else ():
        names = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): each
                 for name, each in load_file(path).items()}  # fmt: skip
        save_file(names, path, {"format": "pt"})
    shards = {path.name: load_file(path) for path in base.glob("*.safetensors")}
    assert len(shards) > 1
    model = HF.load(HFOptions(model="tiny", weights=str(base)), device="cpu")
    batch = inputs(model)
    shift(model)
    expected = model.encode(batch)
    equal(written(model, tmp_path / "new").encode(batch), expected)
    new = tmp_path / "new" / "weights"
    assert {path.name for path in new.iterdir()} == {path.name for path in base.iterdir()}
    for name, tensors in shards.items():
        again = load_file(new / name)
        assert again.keys() == tensors.keys()
        assert all(torch.equal(again[k], each) for k, each in tensors.items() if "cls." in k)
