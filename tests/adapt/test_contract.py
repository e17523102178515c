"""What holds for every backbone with weights: absent streams, and extraction after training."""

import dataclasses

import pytest
import torch

from emo import plugins
from emo.adapt.method.method import apply_method, named_parameters
from emo.adapt.module import AdaptModule, ragged_of
from emo.adapt.options import AdaptOptions
from emo.adapt.training.clips import ClipBatch
from emo.extract.models.sample import sample_media
from emo.heads.data.scaling import Scaling
from emo.heads.head import Batch, Head
from emo.heads.options import LoopOptions
from tests.adapt.conftest import NAMES, tiny

WIDTHS = {"label": 3}
PARTS = ("frames", "faces", "samples", "text")


def pieces_of(model):
    """Clips with every input, without each of several inputs in turn, and with none."""
    media = sample_media(type(model).needs(model.options), 2.0)
    there = [name for name in PARTS if getattr(media, name) is not None]
    clips = [media]
    if len(there) > 1:
        clips += [dataclasses.replace(media, **{name: None}) for name in there]
    return [*([model.prepare(each).inputs] for each in clips), [{}]]


def module_of(model):
    specs = type(model).recipe(model.options).streams
    dims = {f"m/{name}": spec.dim for name, spec in specs.items()}
    kind = plugins.load(plugins.HEADS, "mean_pool", Head)
    head = kind(dims, WIDTHS, options=plugins.parse_options(kind.Options, {}, "mean_pool"))
    scalings = {name: Scaling(torch.full((dim,), 0.1), torch.full((dim,), 2.0)) for name, dim in
                dims.items()}  # fmt: skip
    return AdaptModule({"m": model}, scalings, head, WIDTHS, loop=LoopOptions())


@pytest.mark.parametrize("name", NAMES)
def test_absent_streams_train_and_eval_equals_extraction(name):
    model = tiny(name)
    pieces = pieces_of(model)
    module = module_of(model).train()
    samples = [piece for clip in pieces for piece in clip if piece]
    apply_method({"m": model}, AdaptOptions.of(method="full"), {"m": samples})
    ids = tuple(f"c{k}" for k in range(len(pieces)))
    clips = ClipBatch(ids, {"m": pieces}, Batch({}))
    before = {key: each.detach().clone() for key, each in named_parameters({"m": model}).items()}
    step = torch.optim.SGD([each for each in module.parameters() if each.requires_grad], lr=0.1)
    for _ in range(2):
        step.zero_grad()
        module(clips, (0, 0))[0]["label"].square().sum().backward()
        step.step()
    after = named_parameters({"m": model})
    assert any(not torch.equal(after[key], each) for key, each in before.items())
    assert all(bool(each.isfinite().all()) for each in after.values())
    assert {key for key in after if not after[key].requires_grad} >= {
        key for key, each in before.items()
        if torch.equal(after[key], each) and after[key].grad is None
    }  # fmt: skip
    module.eval()
    with torch.no_grad():
        found = module.batch_of(clips).streams
        logits = module(clips)[0]["label"]
    encoded = model.encode(samples)
    streams = {}
    for stream, scale in module._scalings.items():
        every = iter(encoded)
        own = [next(every).get(stream[2:]) if clip[0] else None for clip in pieces]
        tensors = [None if each is None else torch.from_numpy(each) for each in own]
        tokens = ragged_of(tensors, scale.centre, torch.device("cpu"))
        streams[stream] = scale(tokens)
        assert torch.equal(found[stream].values, streams[stream].values), stream
        assert found[stream].offsets.tolist() == streams[stream].offsets.tolist()
    assert logits.shape == (len(pieces), 3)
