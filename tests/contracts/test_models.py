"""What every backbone with weights must do when it is trained: gradients, the bits of encode."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from emo import plugins
from emo.errors import WeightsError
from emo.extract import backbones
from emo.extract.backbone import Backbone
from emo.extract.media import Media
from emo.extract.models.skeleton import holds_tensors
from emo.extract.models.weights import locate_weights
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
    batch = inputs(model, 1)
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


def shift(model):
    """Change every parameter a little, as training does."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in parameters(model).values():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)


def loaded_from(model, written):
    return type(model).load(
        dataclasses.replace(model.options, **{k: str(v) for k, v in written.items()}), device="cpu"
    )


def equal(found, expected):
    for clip, other in zip(found, expected, strict=True):
        assert clip.keys() == other.keys()
        for name in clip:
            np.testing.assert_array_equal(clip[name], other[name])


def test_written_weights_load_by_the_same_options_with_the_same_bits(model, tmp_path):
    trained, batch = type(model).load(model.options, device="cpu"), inputs(model, 1)
    before = trained.encode(batch)
    same = trained.write(tmp_path / "same")
    assert set(same) == set(trained.networks())
    again = loaded_from(model, same)
    equal(again.encode(batch), before)
    assert recipe_of(again).fingerprint == recipe_of(model).fingerprint, "files differ"
    shift(trained)
    after = trained.encode(batch)
    assert any((after[0][name] != before[0][name]).any() for name in after[0])
    again = loaded_from(model, trained.write(tmp_path / "trained"))
    equal(again.encode(batch), after)
    assert inputs(again, 1)[0].keys() == batch[0].keys()
    assert recipe_of(again).fingerprint != recipe_of(model).fingerprint
    assert recipe_of(again).streams == recipe_of(model).streams
    with pytest.raises(WeightsError, match="is there already"):
        again.write(tmp_path / "trained")


def without_tensors(model, folder):
    """The options with a copy of the weights' folders that lacks the files of tensors."""
    found = locate_weights(type(model).weights(model.options))
    for file in type(model).weights(model.options).files:
        source = Path(type(model).weights(model.options).source_of(file))
        (folder / file.option).mkdir(exist_ok=True)
        for path in () if holds_tensors(file) else found.paths[file.label]:
            target = folder / file.option / path.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    return dataclasses.replace(
        model.options, **{option: str(folder / option) for option in model.networks()}
    )


def test_a_skeleton_has_the_networks_of_the_model_without_its_tensors(model, tmp_path):
    skeleton = type(model).skeleton(without_tensors(model, tmp_path))
    found, expected = parameters(skeleton), parameters(model)
    assert {name: each.shape for name, each in found.items()} == {
        name: each.shape for name, each in expected.items()
    }
    assert all(each.is_meta for each in found.values())
    clip = skeleton.prepare(media(model, seed=1)).inputs
    with skeleton.training():
        (tokens,) = skeleton.forward([clip])
    (real,) = model.encode([clip])
    assert {name: each.shape for name, each in tokens.items()} == {
        name: each.shape for name, each in real.items()
    }
    equal(model.encode([clip]), model.encode(inputs(model, 1)))


def test_parameters_that_no_token_depends_on_are_named(model):
    batch = inputs(model, 1)
    unreached = model.unreached(batch)
    assert type(model).skeleton(model.options).unreached(batch) == unreached
    if not unreached:
        return
    before = model.encode(batch)
    changed = type(model).load(model.options, device="cpu")
    with torch.no_grad():
        for name, parameter in parameters(changed).items():
            if name in unreached:
                parameter += 1.0
    equal(changed.encode(batch), before)
