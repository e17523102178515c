"""Configurations beside weights of others: sizes are bounded by the tensors, no code is fetched."""

import json
import os
import time

import pytest

from emo.errors import WeightsError
from emo.extract.backbones.hf import HF
from emo.extract.models.bounded_build import bounded_build
from emo.extract.models.weights import Found
from tests.hostile.build import refused


@pytest.fixture
def model(tmp_path):
    """A small model of transformers, and a function that changes its config.json."""
    options = HF.write_tiny(tmp_path)

    def change(**entries):
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
        return options

    return change


def test_the_model_as_it_is_loads(model):
    HF.load(model(), device="cpu")


@pytest.mark.parametrize(
    "entries",
    [
        {"hidden_size": 16_384, "intermediate_size": 65_536}, {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 999_999}, {"vocab_size": 10**9}, {"vocab_size": 10**18},
        {"max_position_embeddings": 10**10}, {"num_labels": 10**9}, {"hidden_size": 10**30},
        {"layers": [[10**9]]},
    ],
)  # fmt: skip
def test_a_model_larger_than_its_tensors_is_refused(model, entries):
    options = model(**entries)
    started = time.monotonic()
    refused(lambda: HF.load(options, device="cpu"), "number up to|weights of that size|Overflow")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "entries",
    [
        {"_attn_implementation": "evil/kern"}, {"attn_implementation": "evil/kern"},
        {"attn_implementation": {"": "evil/kern"}}, {"attn_implementation": "flash_attention_2"},
        {"text_config": {"_attn_implementation_internal": "paged|evil/kern:f"}},
        {"_experts_implementation": "evil/kern"}, {"quantization_config": {"quant_method": "x"}},
    ],
)  # fmt: skip
def test_code_of_a_hub_is_refused(model, entries):
    options = model(**entries)
    for ask in (HF.recipe, lambda options: HF.load(options, device="cpu")):
        refused(lambda ask=ask: ask(options), "config.json: .*(emo|remove)")


@pytest.mark.parametrize("name", ["eager", "sdpa", None])
def test_usual_attention_is_kept(model, name):
    HF.load(model(_attn_implementation=name, attn_implementation=name), device="cpu")


@pytest.mark.parametrize(
    "entries",
    [{"sampling_rate": 10**9}, {"size": {"height": 10**6, "width": 10}}, {"chunk_length": 1e9}],
)
def test_sizes_of_a_processor_are_bounded(model, tmp_path, entries):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(entries))
    refused(lambda: HF.load(model(), device="cpu"), "expected a number up to")


def test_a_pipe_beside_the_weights_is_refused(model, tmp_path):
    os.mkfifo(tmp_path / "generation_config.json")
    refused(lambda: HF.load(model(), device="cpu"), "it is a pipe")


@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "full", "arange", "eye", "repeat"])
def test_each_way_to_make_a_tensor_is_counted(tmp_path, name):
    import torch

    calls = {
        "full": lambda: torch.full((2**15, 2**15), 0.5), "arange": lambda: torch.arange(2**40),
        "eye": lambda: torch.eye(2**15), "repeat": lambda: torch.ones(2, 1).repeat(1, 2**30),
    }  # fmt: skip
    call = calls.get(name, lambda: getattr(torch, name)(2**15, 2**15))
    with (
        pytest.raises(WeightsError, match="weights of that size"),
        bounded_build(Found(tmp_path, {})),
    ):
        call()
    with bounded_build(Found(tmp_path, {})):
        assert (
            torch.full((2, 2), -1e30).shape
            == torch.arange(0, 10**9, 10**9 // 4)[:2].repeat(2, 1).shape
        )
