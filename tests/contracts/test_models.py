"""What every backbone with weights must do when it is trained: gradients, the bits of encode."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emo import plugins
from emo.extract import backbones
from emo.extract.backbone import Backbone
from emo.extract.media import Media
from tests.contracts.test_backbones import BACKBONES, REASON, media, recipe_of

FOLDER = Path(backbones.__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.py") if "(Model):" in file.read_text())
"""Backbones with weights."""


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    return plugins.load(BACKBONES, request.param, Backbone).tiny()


def inputs(model, *seeds):
    return [model.prepare(media(model, seed=seed)).inputs for seed in seeds]


def parameters(model):
    return {
        f"{option}.{name}": parameter
        for option, network in model.networks().items()
        for name, parameter in network.named_parameters()
    }


def test_forward_gives_the_bits_of_encode(model):
    batch = inputs(model, 1, 2)
    with model.training(), torch.no_grad():
        found = model.forward(batch)
    for clip, expected in zip(found, model.encode(batch), strict=True):
        assert list(clip) == list(expected)
        for name, tokens in clip.items():
            assert tokens.dtype == torch.float32
            np.testing.assert_array_equal(tokens.numpy(), expected[name])


def test_gradients_change_no_number_and_reach_parameters(model):
    batch = inputs(model, 1, 2)
    with model.training():
        found = model.forward(batch)
    for clip, expected in zip(found, model.encode(batch), strict=True):
        for name, tokens in clip.items():
            assert tokens.requires_grad
            np.testing.assert_allclose(tokens.detach(), expected[name], rtol=1e-5, atol=1e-5)
    every = parameters(model)
    loss = sum(tokens.square().sum() for clip in found for tokens in clip.values())
    gradients = torch.autograd.grad(loss, list(every.values()), allow_unused=True)
    reached = {name for name, given in zip(every, gradients, strict=True) if given is not None}
    assert len(reached) > len(every) / 2


def test_outside_of_training_there_is_no_gradient(model):
    (clip,) = model.forward(inputs(model, 1))
    assert not any(tokens.requires_grad for tokens in clip.values())
    with model.training():
        encoded = model.encode(inputs(model, 1))
    assert all(isinstance(tokens, np.ndarray) for tokens in encoded[0].values())
    assert not model.is_training


def test_streams_may_be_absent_from_some_or_all_clips(model):
    whole = inputs(model, 1)[0]
    streams = set(recipe_of(model).streams)
    for name in whole:
        less = {key: value for key, value in whole.items() if key != name}
        with model.training():
            some, every, none = model.forward([whole, less, {}])
            lacking = model.forward([less, less])
        assert set(some) == streams
        assert none == {}
        assert set(every) == set(lacking[0]) == set(lacking[1]) < streams
        for stream, tokens in every.items():
            torch.testing.assert_close(tokens, some[stream], rtol=1e-5, atol=1e-5)
    absent = model.prepare(Media(absent=dict.fromkeys(("video", "face", "audio", "text"), REASON)))
    assert model.encode([absent.inputs, absent.inputs]) == [{}, {}]
