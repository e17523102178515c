"""Augmentation, learning rates, accumulation and other options of the training loop."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from emo import plugins
from emo.errors import FitError, OptionError
from emo.heads.fitting.fit import fit_head
from emo.heads.options import FitOptions, LoopOptions
from emo.heads.training.augment import drop_modalities, mix, spec_augment
from emo.heads.training.loop import train_head
from emo.heads.training.losses import make_loss
from emo.heads.training.steps import learning_rates
from tests.make_batches import (
    assert_close,
    learnable,
    make_batch,
    make_head,
    make_manifest,
    make_store,
)

LENGTHS = {"s/a": [3, 0, 2, 5], "s/b": [1, 2, 0, 1]}


def test_a_dropped_stream_is_absent_and_one_always_stays():
    batch = make_batch(LENGTHS)
    for seed in range(20):
        found = drop_modalities(batch.streams, 0.9, np.random.default_rng(seed))
        lengths = torch.stack([found[name].lengths for name in found])
        assert (lengths.sum(0) > 0).all()
        for name, tokens in found.items():
            for ours, before in zip(tokens, batch.streams[name], strict=True):
                assert len(ours) == 0 or torch.equal(ours, before)
    kept = drop_modalities(batch.streams, 0.0, np.random.default_rng(0))
    assert all(torch.equal(kept[name].values, batch.streams[name].values) for name in kept)


def test_masks_are_zeros_and_touch_nothing_else():
    batch = make_batch([40, 0, 1, 30], width=20)
    tokens = batch.streams["s/a"]
    found = spec_augment(tokens, np.random.default_rng(0)).values
    changed = found != tokens.values
    assert (found[changed] == 0).all()
    assert 0.05 < changed.float().mean() < 0.7
    assert not (tokens.values == 0).any()


def test_mixup_of_pooled_streams_is_the_weighted_mean():
    batch = make_batch([1, 1, 1])
    values = batch.streams["s/a"].values
    found = mix(batch, np.array([1, 2, 0]), 0.75).streams["s/a"]
    expected = 0.75 * values + 0.25 * values[[1, 2, 0]]
    assert_close(found.values, expected)


def test_mixup_keeps_lengths_and_adds_nothing_for_absent_clips():
    batch = make_batch([4, 0, 2])
    tokens = batch.streams["s/a"]
    found = mix(batch, np.array([2, 0, 1]), 0.5).streams["s/a"]
    assert found.lengths.tolist() == [4, 0, 2]
    expected = 0.5 * (tokens[0] + tokens[2][[0, 0, 1, 1]])
    assert_close(found[0], expected)
    assert_close(found[2], 0.5 * tokens[2])


def test_rates_rise_then_fall():
    def rates(**options):
        return list(learning_rates(LoopOptions(learning_rate=1.0, **options), 10))

    assert rates() == [1.0] * 10
    assert rates(warmup=0.2)[:4] == [0.5, 1.0, 1.0, 1.0]
    assert rates(decay="linear") == pytest.approx([1 - k / 10 for k in range(10)])
    cosine = rates(decay="cosine", warmup=0.2)
    assert cosine[1] == cosine[2] == 1
    assert cosine[6] == pytest.approx(0.5)


def test_focal_loss_is_that_of_the_paper_and_zero_is_cross_entropy():
    batch = make_batch([1] * 12)
    batch.targets["emotion"][3] = -1
    logits = {"emotion": torch.randn(12, 3, generator=torch.Generator().manual_seed(0))}
    known = batch.targets["emotion"] >= 0
    gold, found = batch.targets["emotion"][known], logits["emotion"][known]
    p = found.softmax(1)[range(11), gold]
    loss = make_loss(batch, LoopOptions(focal=2.0))(logits, batch.targets)
    assert loss.item() == pytest.approx((-((1 - p) ** 2) * p.log()).mean().item(), rel=1e-5)
    plain = make_loss(batch, LoopOptions())(logits, batch.targets)
    assert plain.item() == pytest.approx(functional.cross_entropy(found, gold).item(), rel=1e-5)


def test_a_batch_without_any_label_costs_nothing():
    batch = make_batch([1] * 4)
    batch.targets["emotion"][:] = -1
    logits = {"emotion": torch.randn(4, 3, requires_grad=True)}
    loss = make_loss(batch, LoopOptions())(logits, batch.targets)
    loss.backward()
    assert loss.item() == 0
    assert (logits["emotion"].grad == 0).all()


def test_accumulated_batches_step_as_one():
    batch = make_batch(np.random.default_rng(0).integers(1, 4, 32).tolist())
    build = lambda: make_head("mean_pool", batch, dropout=0.0)  # noqa: E731
    one = LoopOptions(epochs=2, batch_size=16)
    two = LoopOptions(epochs=2, batch_size=8, accumulate=2)
    first, second = (train_head(build, batch, batch, each, seed=0).state for each in (one, two))
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"mixup": 0.4}, {"mixup": 0.4, "mixup_probability": 0.5}, {"modality_dropout": 0.3},
        {"spec_augment": ("s/a",)}, {"focal": 2.0, "class_weights": True},
        {"warmup": 0.1, "decay": "cosine"}, {"accumulate": 3}, {"bf16": True},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_still_learns_and_repeats_its_bits(options):
    batch = make_batch(np.random.default_rng(1).integers(1, 6, 32).tolist(), width=24)
    build = lambda: make_head("attention_pool", batch)  # noqa: E731
    loop = LoopOptions(epochs=25, batch_size=8, learning_rate=5e-3, patience=25, **options)
    first, second = (train_head(build, batch, batch, loop, seed=0) for _ in range(2))
    assert first.history == second.history
    assert first.best.val_score > 0.85


@pytest.mark.parametrize("name", plugins.available(plugins.HEADS))
def test_every_head_trains_in_bfloat16(name):
    batch = make_batch({"s/a": [3, 1, 0, 5] * 4, "s/b": [1, 2, 2, 1] * 4})
    own = {"solver": "adamw"} if name == "linear" else {}
    build = lambda: make_head(name, batch, **own)  # noqa: E731
    pooled = build().pool(batch)
    loop = LoopOptions(epochs=2, batch_size=8, bf16=True)
    outcome = train_head(build, pooled, pooled, loop, seed=0)
    assert all(tensor.isfinite().all() for tensor in outcome.state.values())
    assert {tensor.dtype for tensor in outcome.state.values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("options", [{"decay": "step"}, {"warmup": 1.0}, {"max_samples": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))}: expected"):
        FitOptions.of(**options)


def test_a_quick_look_and_an_unknown_stream(tmp_path):
    labels, tokens = learnable(120)
    manifest = make_manifest(labels, split=["train"] * 60 + ["val"] * 30 + ["test"] * 30)
    store = make_store(tmp_path / "features", tokens)
    options = FitOptions(head="linear", head_options={"solver": "ridge"}, max_samples=20)
    result = fit_head(manifest, [store], None, options)
    assert [result.metrics[split]["clips"] for split in ("train", "val", "test")] == [20] * 3
    wrong = options.replace(spec_augment=("fake/b",))
    with pytest.raises(FitError, match="unknown stream of --spec-augment 'fake/b'; did you mean"):
        fit_head(manifest, [store], None, wrong)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"spec_augment": ("fake/a",)}, "--spec-augment would change nothing"),
        ({"modality_dropout": 0.5}, "--modality-dropout would change nothing"),
    ],
)
@pytest.mark.parametrize("solver", ["adamw", "lbfgs"])
def test_what_a_head_that_joins_its_streams_cannot_do_is_refused(tmp_path, option, said, solver):
    labels, tokens = learnable(30, streams=("a", "b"))
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=["train"] * 20 + ["val"] * 10)
    options = FitOptions.of(head="linear", head_options={"solver": solver}, threads=1, **option)
    with pytest.raises(FitError, match=f"head linear joins its streams once.*{said}"):
        fit_head(manifest, [store], None, options)
