"""Weights as they are written: wrappers, half precision, adapters and what was not loaded stay."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from emo.errors import WeightsError
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.models.rewrite import changes_of, check_merged, write_layout
from emo.extract.models.weights import WeightFile, Weights, locate_weights
from emo.extract.networks.languagebind.options import LanguageBindOptions
from emo.extract.networks.languagebind.tiny import write_repository

FILE = WeightFile(("model.safetensors", "net.pth"))


@pytest.fixture
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(2, 2)


def written(net, base, tmp_path):
    weights = Weights("toy", str(base), (FILE,))
    found = locate_weights(weights)
    changes = changes_of(net.state_dict(), found.paths[FILE.label])
    return write_layout(weights, found, tmp_path / "new", changes)["weights"]


def test_only_changed_tensors_of_a_nested_pickle_in_half_precision_are_replaced(net, tmp_path):
    net.weight.data = net.weight.data.half().float()
    table = {f"module.{name}": tensor.half() for name, tensor in net.state_dict().items()}
    saved = {"epoch": 3, "model": {**table, "classifier.weight": torch.ones(2)}}
    torch.save(saved, tmp_path / "mine.pth")
    found = torch.load(written(net, tmp_path / "mine.pth", tmp_path) / "net.pth")
    assert found["epoch"] == 3
    assert found["model"]["module.weight"].dtype == torch.float16
    assert found["model"]["module.bias"].dtype == torch.float32
    assert found["model"]["module.bias"].equal(net.bias)
    assert found["model"]["classifier.weight"].equal(torch.ones(2))


def test_an_unchanged_file_is_copied_and_a_changed_one_keeps_its_metadata(net, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    save_file(net.state_dict(), base / "model.safetensors", {"format": "pt"})
    (base / "vocab.json").write_text("{}")
    folder = written(net, base, tmp_path / "a")
    assert (folder / "vocab.json").read_text() == "{}"
    copied = (folder / "model.safetensors").read_bytes()
    assert copied == (base / "model.safetensors").read_bytes()
    net.weight.data += 1
    path = written(net, base, tmp_path / "b") / "model.safetensors"
    assert load_file(path)["weight"].equal(net.weight)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_adapters_of_languagebind_are_merged_only_if_something_changed(tmp_path):
    write_repository(tmp_path / "base", "video", vision={"lora_r": 2})
    options = LanguageBindOptions(weights=str(tmp_path / "base"), streams="video,text")
    model = LanguageBind.load(options, device="cpu")
    same = model.write(tmp_path / "same")["weights"]
    names = torch.load(same / "pytorch_model.bin").keys()
    assert any("lora_A" in name for name in names)
    assert json.loads((same / "config.json").read_text())["vision_config"]["lora_r"] == 2
    model.text.text_projection.weight.data += 1
    new = model.write(tmp_path / "new")["weights"]
    names = torch.load(new / "pytorch_model.bin").keys()
    assert not any("lora" in name or "base_model" in name for name in names)
    assert "logit_scale" in names
    assert json.loads((new / "config.json").read_text())["vision_config"]["lora_r"] == 0


def test_a_file_of_another_format_under_a_name_of_its_own_is_found_again(net, tmp_path):
    save_file(net.state_dict(), tmp_path / "mine.safetensors")
    weights = Weights("toy", str(tmp_path / "mine.safetensors"), (WeightFile(("net.pth",)),))
    found = locate_weights(weights)
    folder = write_layout(weights, found, tmp_path / "new", {})["weights"]
    assert torch.load(folder / "net.pth")["bias"].equal(net.bias)


def test_adapters_that_are_not_merged_and_unknown_tensors_are_refused(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"merge_and_unload\(\)"):
        check_merged(["fc.base_layer.weight", "fc.lora_A.default.weight"])
    check_merged(["flora_.weight", "base_layer_norm.weight"])
    with pytest.raises(WeightsError, match="'more' is not there"):
        changes_of({**net.state_dict(), "more": torch.ones(1)}, [tmp_path / "net.pth"])
    model = LanguageBind.load(LanguageBind.tiny().options, device="cpu")
    model.text.text_projection.base_layer = nn.Linear(1, 1)
    with pytest.raises(WeightsError, match="is not merged"):
        model.write(tmp_path / "new")
    assert not (tmp_path / "new").exists()
