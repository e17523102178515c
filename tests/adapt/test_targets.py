"""Layers that LoRA can adapt in models of transformers, and the advice where it cannot."""

import warnings

import pytest
import torch
import transformers as hf

from emo.adapt.folder import write_adapters
from emo.adapt.method.method import apply_method, named_parameters
from emo.adapt.options import AdaptOptions
from emo.errors import OptionError
from tests.adapt.conftest import inputs
from tests.extract.backbones.test_hf import MODELS
from tests.make_hf import load, write

TYPES = {
    "wavlm": "intermediate_dense,output_dense", "wav2vec2": "q_proj,v_proj",
    "hubert": "q_proj,v_proj", "whisper": "q_proj,v_proj", "vit": "q_proj,v_proj",
    "siglip": "q_proj,v_proj,out_proj", "clip": "q_proj,v_proj",
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folder of a tiny model by its type, written when it is first asked for."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            _, config, (processor, arguments) = MODELS[name]()
            write(made[name], config, getattr(hf, processor)(**arguments))
        return made[name]

    return of


def adapt(model, targets):
    options = AdaptOptions.of(target_modules=tuple(targets.split(",")))
    return apply_method({"m": model}, options, {"m": inputs(model)})


def adapted(model):
    return {
        key.partition(".lora_")[0].rpartition(".")[2]
        for key in named_parameters({"m": model})
        if ".lora_" in key
    }


@pytest.mark.parametrize("name", TYPES)
def test_the_named_layers_of_each_type_can_be_adapted(name, folders):
    model = load(folders(name))
    adapt(model, TYPES[name])
    assert adapted(model) == set(TYPES[name].split(","))


def test_layers_that_attention_reads_without_calling_are_refused_with_what_works(folders):
    with pytest.raises(OptionError, match="reads their weights without calling them") as caught:
        adapt(load(folders("wavlm")), "q_proj,v_proj")
    said = str(caught.value)
    words = said.partition("are called ")[2].partition(". ")[0].split(", ")
    assert {"intermediate_dense", "output_dense"} <= set(words)
    for word in words:
        adapt(load(folders("wavlm")), word)
    pattern = said.partition("--method '")[2].rstrip("'")
    model = load(folders("wavlm"))
    apply_method({"m": model}, AdaptOptions.of(method=pattern), {"m": inputs(model)})
    trained = {k for k, each in named_parameters({"m": model}).items() if each.requires_grad}
    assert len(trained) == 8  # weight and bias of two projections in two layers


def test_all_linear_leaves_out_what_gets_no_gradient(folders):
    model = load(folders("wavlm"))
    adapt(model, "all-linear")
    assert adapted(model) == {
        "gru_rel_pos_linear", "intermediate_dense", "output_dense", "projection",
    }  # fmt: skip


def test_the_linear_layers_of_gpt2_are_adapted_and_merged(tmp_path):
    config = hf.GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=99, n_positions=64)
    write(tmp_path, config)
    model = load(tmp_path)
    given = inputs(model)
    method = adapt(model, "all-linear")
    assert adapted(model) == {"c_attn", "c_proj", "c_fc"}
    with torch.no_grad():
        for key, each in named_parameters({"m": model}).items():
            if ".lora_" in key:
                each.add_(torch.randn_like(each) * 0.02)
    ((unmerged,),) = (each.values() for each in model.encode(given))
    method.merge()
    ((merged,),) = (each.values() for each in model.encode(given))
    assert abs(merged - unmerged).max() <= 2e-5 * max(1.0, float(abs(merged).max()))


@pytest.mark.parametrize(("name", "targets"), [
    ("whisper", "q_proj,v_proj"), ("whisper", r"layers\.\d\.fc1"), ("siglip", "out_proj"),
])  # fmt: skip
def test_peft_loads_the_adapter_on_the_model_that_it_names(folders, tmp_path, name, targets):
    from peft import AutoPeftModel

    model = load(folders(name))
    method = adapt(model, targets)
    with torch.no_grad():
        for key, each in named_parameters({"m": model}).items():
            if ".lora_" in key:
                each.add_(torch.randn_like(each))
    write_adapters(tmp_path, method, {"m": model})
    method.merge()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing")  # peft calls it
        theirs = AutoPeftModel.from_pretrained(tmp_path / "m" / "weights")
    merged = theirs.merge_and_unload(safe_merge=True)
    assert type(merged) is MODELS[name]()[0]
    own = (merged.encoder if name == "whisper" else merged).state_dict()
    base = load(folders(name)).network.state_dict()
    assert any(not torch.equal(each, own[key]) for key, each in base.items())
    for key, each in model.network.state_dict().items():
        assert torch.equal(each, own[key]), key
