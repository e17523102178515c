"""Typed options that a solver does not use are refused, and no others."""

import dataclasses

import pytest
import torch

from emo.errors import OptionError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.options_from_cli import fit_options
from emo.heads.library.linear import LinearHead, LinearOptions
from emo.heads.options import LOSS_OPTIONS, STEP_OPTIONS, LoopOptions
from emo.heads.training.loop import train_head
from tests.heads.conftest import SPLITS
from tests.make_batches import learnable, make_batch, make_head, make_manifest, make_store

OTHERS = {
    "epochs": 2, "batch_size": 5, "learning_rate": 0.05, "weight_decay": 0.5, "patience": 1,
    "gradient_norm": 0.1, "warmup": 0.5, "decay": "cosine", "mixup": 0.4, "mixup_probability": 0.5,
    "accumulate": 3, "bf16": True, "label_smoothing": 0.2, "class_weights": True, "focal": 3.0,
    "target_weights": {"emotion": 0.1},
}  # fmt: skip
"""A value other than the default's of every option that some head reads."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120, streams=("a", "b"))
    store = make_store(tmp_path_factory.mktemp("unread") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def fitted(made, **words):
    manifest, store = made
    return fit_head(manifest, [store], None, FitOptions.of(head="linear", threads=1, **words))


@pytest.fixture(scope="module")
def uneven():
    """Clips of which one class is rare, so that class weights have an effect."""
    random, batches = torch.Generator().manual_seed(0), []
    for seed in (0, 1):
        batch = make_batch({"s/a": [2] * 90, "s/b": [1] * 90}, seed=seed)
        labels = batch.targets["emotion"]
        labels[torch.rand(90, generator=random) < 0.6] = 0
        batches.append(batch)
    return batches


def solved(uneven, own, **asked):
    """Train with these options, even if a command would refuse them; return the weights."""
    return train_head(
        lambda: make_head("linear", uneven[0], **own), *uneven, LoopOptions(**asked), seed=0
    ).state


def is_same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_every_option_of_the_loop_is_looked_at():
    known = {item.name for item in dataclasses.fields(LoopOptions)}
    known -= {"spec_augment", "modality_dropout", "choose_by"}  # a solver's candidates are chosen
    known -= {"refit"}  # solvers alone can
    assert known == {*STEP_OPTIONS, *LOSS_OPTIONS} == {*OTHERS, "loss"}  # test_losses.py


@pytest.mark.parametrize(
    "own",
    [{"penalties": 2, "fusion": "late"}, {"solver": "ridge", "fusion": "early"}],
    ids=lambda own: own.get("solver", "lbfgs"),
)
def test_what_is_not_read_changes_nothing_and_all_else_something(uneven, own):
    unread = LinearHead.unused_options(LinearOptions(**own), streams=2)
    usual = solved(uneven, own)
    for name, value in OTHERS.items():
        assert is_same(solved(uneven, own, **{name: value}), usual) == (name in unread), name


def test_of_streams_fused_late_the_loss_chooses_ridges_penalties(uneven):
    own = {"solver": "ridge", "penalties": 60, "fusion": "late"}
    usual = solved(uneven, own)
    assert not is_same(solved(uneven, own, class_weights=True), usual)
    assert LinearHead.unused_options(LinearOptions(**own), streams=2) == STEP_OPTIONS
    assert LinearHead.unused_options(LinearOptions(**own), streams=1) == STEP_OPTIONS + LOSS_OPTIONS
    assert LinearHead.unused_options(LinearOptions(solver="adamw"), streams=2) == ()


def test_the_error_names_what_was_typed_and_what_to_do(made):
    said = (
        r"head linear with solver=lbfgs is solved, not trained by steps: --mixup 0.4 and --bf16 "
        r"would change nothing. Leave them out, or train with -o solver=adamw"
    )
    with pytest.raises(OptionError, match=said):
        fitted(made, mixup=0.4, bf16=True)
    ridge = {"solver": "ridge", "fusion": "early"}
    with pytest.raises(OptionError, match=r"--target-weight label=0\.1 would change nothing"):
        fitted(made, head_options=ridge, target_weights={"label": 0.1})
    fitted(made, mixup=0.4, epochs=1, head_options={"solver": "adamw"})


def test_what_a_preset_asks_of_its_own_head_is_not_typed(made):
    words = {"targets": [], "tasks": [], "weights": [], "option": []}
    given = {"head": "linear", "streams": ("fake/a",)}
    manifest, store = made
    quiet = fit_options(given, preset="qia-text", **words)
    assert quiet.loop.warmup > 0
    fit_head(manifest, [store], None, quiet)
    typed = fit_options({**given, "warmup": 0.2}, preset="qia-text", **words)
    with pytest.raises(OptionError, match=r"--warmup 0\.2 would change nothing\. Leave it out"):
        fit_head(manifest, [store], None, typed)
