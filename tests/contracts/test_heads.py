"""What every head of the library must keep, tested from the moment its file exists."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from emo import plugins
from emo.heads.head import Head
from emo.heads.options import LoopOptions
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from tests.make_batches import CLASSES, assert_close, in_dialogues, make_batch, make_head

HEADS = plugins.available(plugins.HEADS)
LENGTHS = [3, 5, 1, 0, 70]
THREE = {"s/a": LENGTHS, "s/b": [2, 1, 1, 1, 3], "t/c": [0, 9, 2, 4, 0]}
STREAMS = pytest.mark.parametrize("lengths", [LENGTHS, THREE], ids=["one stream", "three"])
pytestmark = pytest.mark.parametrize("name", HEADS)


def logits(head, batch):
    return head(batch)["emotion"]


@STREAMS
def test_neighbours_never_change_a_clips_logits(name, lengths):
    batch = make_batch(lengths)
    head = make_head(name, batch)
    alone = torch.cat([logits(head, batch.select([row])) for row in range(len(batch))])
    assert_close(logits(head, batch), alone)


@STREAMS
def test_clip_order_permutes_logits(name, lengths):
    batch, order = make_batch(lengths), [4, 2, 0, 3, 1]
    head = make_head(name, batch)
    expected = logits(head, batch)[order]
    assert_close(logits(head, batch.select(order)), expected)


@STREAMS
def test_gradient_reaches_every_weight(name, lengths):
    batch = in_dialogues(make_batch(lengths), name)
    head = make_head(name, batch)
    if not list(head.parameters()):
        assert head.is_solved
        return
    functional.cross_entropy(logits(head, batch), batch.targets["emotion"]).backward()
    for key, weight in head.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.abs().sum() > 0, key


@STREAMS
def test_other_dialogues_never_change_a_dialogues_logits(name, lengths):
    batch = in_dialogues(make_batch(lengths), name)
    head = make_head(name, batch)
    if head.unit == "clip":
        assert batch.turns is None
        return
    together = logits(head, batch)
    for dialogue in ([1], [0], [1, 0]):
        rows, _ = batch.rows_of(dialogue)
        assert_close(logits(head, batch.select_dialogues(dialogue)), together[rows])
    assert_close(logits_of(head, batch)["emotion"], together)


def test_learns_32_clips_by_heart(name):
    batch = make_batch(np.random.default_rng(1).integers(1, 6, 32).tolist(), width=24)
    build = lambda: make_head(name, batch)  # noqa: E731
    options = LoopOptions(epochs=25, batch_size=8, learning_rate=1e-2, patience=25)
    pooled = build().pool(batch)
    trained = build()
    trained.load_state_dict(train_head(build, pooled, pooled, options, seed=0).state)
    found = logits_of(trained, batch)["emotion"].argmax(1)
    assert (found == batch.targets["emotion"]).sum() >= 31


@STREAMS
def test_pooling_before_training_changes_nothing(name, lengths):
    batch = make_batch(lengths)
    head = make_head(name, batch)
    once = head.pool(batch)
    for pooled in (once, head.pool(once)):
        assert_close(logits(head, pooled), logits(head, batch))
    part = [4, 1]
    assert_close(logits(head, once.select(part)), logits(head, batch)[part])


def test_a_head_says_whether_pooling_joins_its_streams(name):
    batch = make_batch(THREE)
    head = make_head(name, batch)
    assert head.joins_streams == (head.pool(batch).streams.keys() != batch.streams.keys())


def test_absent_streams_give_finite_logits_and_gradients(name):
    batch = make_batch({"s/a": [0, 0, 2], "s/b": [0, 3, 0]})
    head = make_head(name, batch)
    found = logits(head, batch)
    assert found.shape == (3, CLASSES["emotion"])
    assert found.isfinite().all()
    if list(head.parameters()):
        found.square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in head.parameters())
    all_absent = make_batch({"s/a": [0, 0], "s/b": [0, 0]})
    assert logits(head, all_absent).isfinite().all()


def test_values_beyond_a_clip_are_never_read(name):
    batch = make_batch([61, 3])
    head = make_head(name, batch)
    expected = logits(head, batch)[0]
    batch.streams["s/a"].values[61:] = 1e6
    assert_close(logits(head, batch)[0], expected)


def test_state_survives_saving(name):
    batch = make_batch(THREE)
    head, other = make_head(name, batch, seed=0), make_head(name, batch, seed=1)
    assert not torch.equal(logits(head, batch), logits(other, batch))
    other.load_state_dict(head.state_dict())
    assert torch.equal(logits(head, batch), logits(other, batch))


def test_serves_several_targets_at_once(name):
    batch = make_batch(LENGTHS)
    kind = plugins.load(plugins.HEADS, name, Head)
    head = kind({"s/a": 6}, {"emotion": 3, "is.cause": 2}, options=kind.Options())
    assert {key: value.shape for key, value in head(batch).items()} == {
        "emotion": (5, 3),
        "is.cause": (5, 2),
    }


def test_options_have_defaults_and_help(name):
    kind = plugins.load(plugins.HEADS, name, Head)
    kind.Options()
    for field in dataclasses.fields(kind.Options):
        assert field.metadata["help"].endswith("."), field.name


def test_the_same_seed_gives_the_same_bits(name):
    batch = make_batch(np.random.default_rng(1).integers(1, 6, 24).tolist())
    kind = plugins.load(plugins.HEADS, name, Head)
    build = lambda: kind({"s/a": 6}, CLASSES, options=kind.Options())  # noqa: E731
    pooled = build().pool(batch)
    options = LoopOptions(epochs=3, batch_size=8)
    first, second, other = (
        train_head(build, pooled, pooled, options, seed=seed) for seed in (3, 3, 4)
    )
    assert first.history == second.history
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)
    is_equal = all(torch.equal(first.state[key], other.state[key]) for key in first.state)
    assert is_equal == first.is_exact


def test_the_part_of_each_stream_can_start_with_the_weights_of_a_head_on_it_alone(name):
    kind = plugins.load(plugins.HEADS, name, Head)
    if not kind.stream_modules:
        return  # it has none: linear solves exactly, perceiver_probe reads all streams at once
    batch = make_batch(THREE)
    both = make_head(name, batch, seed=0)
    assert both.streams == tuple(THREE)
    parts = both.get_submodule(both.stream_modules)
    for place, stream in enumerate(THREE):
        alone = make_head(name, make_batch({stream: THREE[stream]}, width=6 + place), seed=1)
        (part,) = alone.get_submodule(alone.stream_modules)
        parts[place].load_state_dict(part.state_dict())
