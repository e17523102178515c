"""Which parameters are trained, for every backbone with weights."""

import pytest
import torch

from emo.adapt.method.method import apply_method, named_parameters
from emo.adapt.options import AdaptOptions
from emo.errors import OptionError
from tests.adapt.conftest import NAMES, inputs, tiny

TARGETS = {
    "hf": "query,value,dense", "languagebind": "q_proj,k_proj,v_proj,out_proj,fc1,fc2",
    "openclip": "attn,c_fc,c_proj", "perceiver": "query,value,dense1", "timm": "conv_pw,conv_pwl",
    "vggface": "conv2d,last_linear", "videollama": "query,value,qkv,attn,words",
}  # fmt: skip


def lora(name, **options):
    targets = tuple(TARGETS[name].split(","))
    return AdaptOptions.of(method="lora", lora_r=4, target_modules=targets, **options)


def gradients(model, given):
    with model.training(), torch.enable_grad():
        tokens = [each for clip in model.forward(given) for each in clip.values()]
    torch.stack([each.square().sum() for each in tokens]).sum().backward()
    return {name for name, each in named_parameters({"m": model}).items() if each.grad is not None}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_merged_is_unmerged_and_gradient_reaches_what_is_trained(name):
    model = tiny(name)
    given = inputs(model)
    before = model.encode(given)[0]
    method = apply_method({"m": model}, lora(name, lora_bias="all"), {"m": given})
    trained = {key for key, each in named_parameters({"m": model}).items() if each.requires_grad}
    assert gradients(model, given) == trained
    assert all("lora_" in key or key.endswith("bias") for key in trained)
    with torch.no_grad():
        for key, each in named_parameters({"m": model}).items():
            if key in trained:
                each.add_(torch.randn_like(each) * 0.02)
    unmerged = model.encode(given)[0]
    method.merge()
    merged = model.encode(given)[0]
    for stream, tokens in merged.items():
        scale = max(1.0, float(abs(tokens).max()))
        assert abs(tokens - unmerged[stream]).max() <= 2e-5 * scale
    assert any((before[stream] != tokens).any() for stream, tokens in merged.items())


@pytest.mark.parametrize("name", NAMES)
def test_full_reaches_all_that_it_trains(name):
    model = tiny(name)
    given = inputs(model)
    method = apply_method({"m": model}, AdaptOptions.of(method="full"), {"m": given})
    every = named_parameters({"m": model})
    trained = {key for key, each in every.items() if each.requires_grad}
    assert gradients(model, given) == trained == every.keys() - set(method.unreached)


@pytest.mark.parametrize(
    ("name", "targets", "said"),
    [
        ("resnet3d", "layer1.0.conv1.0", "which is no plain Conv3d"),
        ("timm", "conv_dw", "groups, into which LoRA cannot be merged"),
        ("openclip", "out_proj", "get no gradient"),
        ("languagebind", "q_proj,oddity", "no layer is named oddity"),
        ("hf", "pooler.dense", "no layer is named pooler.dense"),
        ("hf", "", "name the layers that are adapted"),
    ],
)
def test_layers_that_cannot_be_adapted_are_refused(name, targets, said):
    model = tiny(name)
    options = AdaptOptions.of(target_modules=tuple(filter(None, targets.split(","))))
    with pytest.raises(OptionError, match=said):
        apply_method({"m": model}, options, {"m": inputs(model)})


def test_a_pattern_trains_the_parameters_that_it_names():
    model = tiny("hf")
    options = AdaptOptions.of(method=r"layer\.1\..*bias")
    apply_method({"m": model}, options, {"m": inputs(model)})
    every = named_parameters({"m": model})
    trained = [name for name, each in every.items() if each.requires_grad]
    assert trained
    assert all("layer.1." in name and name.endswith("bias") for name in trained)
    with pytest.raises(OptionError, match="no parameter of the backbones has such a name"):
        apply_method({"m": model}, AdaptOptions.of(method="pooler"), {"m": inputs(model)})


def test_all_linear_layers_that_tokens_depend_on():
    model = tiny("hf")
    apply_method(
        {"m": model}, AdaptOptions.of(target_modules=("all-linear",)), {"m": inputs(model)}
    )
    names = {name.partition(".lora_")[0] for name in named_parameters({"m": model})}
    assert "m.weights.encoder.layer.0.attention.self.query" in names
    assert not any("pooler" in n and "lora" in n for n in named_parameters({"m": model}))
