"""``fusion=auto``: the choice equals a loop by hand; inner folds keep speakers whole; refit."""

import dataclasses

import numpy as np
import pytest
import torch

from emo.errors import OptionError
from emo.heads.head import Batch
from emo.heads.inner_folds import fold_numbers, inner_folds, join_batches
from emo.heads.library.linear import LinearHead, LinearOptions
from emo.heads.options import LoopOptions
from emo.heads.training import solve
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from emo.heads.training.rounds import score_logits
from emo.ragged import Ragged

DIMS = {"s/a": 4, "s/b": 4}


def streams(kind, count, seed):
    """Clips that show one of two classes: in each stream alone, only together, or in one."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    sign = 2.0 * labels - 1
    first, second = random.standard_normal((2, count, 4))
    if kind == "apart":
        first += 0.5 * sign[:, None]
        second += 0.5 * sign[:, None]
    elif kind == "together":
        first[:, 0] *= 3
        second[:, 0] = first[:, 0] + 0.8 * sign  # the difference shows it
    else:
        second += 0.9 * sign[:, None]
    made = {
        name: Ragged(torch.from_numpy(part.astype(np.float32)), torch.arange(count + 1))
        for name, part in zip(DIMS, (first, second), strict=True)
    }
    return Batch(made, targets={"emotion": torch.from_numpy(labels)})


def build(fusion="auto", **options):
    options = LinearOptions(fusion=fusion, penalties=5, **options)
    return LinearHead(DIMS, {"emotion": 2}, options=options)


def _loaded(outcome):
    head = build("early")
    head.load_state_dict(outcome.state)
    return head


def fitted(fusion, train, val, **options):
    return train_head(lambda: build(fusion), train, val, LoopOptions(**options), seed=0)


@pytest.mark.parametrize("kind", ["apart", "together", "one"])
def test_the_choice_is_that_of_a_loop_over_all_on_val(kind, monkeypatch):
    monkeypatch.setattr(solve, "SMALL_VAL", 0)
    train, val = streams(kind, 150, 0), streams(kind, 100, 1)
    found = fitted("auto", train, val)
    alone = {name: fitted(name, train, val) for name in (*DIMS, "late", "early")}
    scores = {name: one.best.val_score for name, one in alone.items()}
    assert found.choice.scores == pytest.approx(scores)
    assert found.choice.chosen == max(scores, key=scores.get)  # the first of equal ones
    kept = alone[found.choice.chosen]
    assert [row.round for row in found.history] == [row.round for row in kept.history]
    ours, theirs = build(), build(found.choice.chosen)
    ours.load_state_dict(found.state)
    theirs.load_state_dict(kept.state)
    torch.testing.assert_close(
        logits_of(ours, val)["emotion"].softmax(1), logits_of(theirs, val)["emotion"].softmax(1),
        atol=2e-3, rtol=0,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["together", "one"])
def test_a_small_val_is_helped_by_inner_folds_that_a_loop_by_hand_repeats(kind):
    train, val = streams(kind, 150, 0), streams(kind, 20, 1)
    speakers = torch.arange(170) % 10
    train, val = (
        dataclasses.replace(batch, groups=groups, group_kind="speakers")
        for batch, groups in ((train, speakers[:150]), (val, speakers[150:]))
    )
    found = fitted("auto", train, val)
    scores = found.choice.scores
    assert found.choice.chosen == max(scores, key=scores.get)
    assert kind == "one" or found.choice.chosen == "early"
    assert found.choice.over == "5 inner folds of train and val, by whole speakers"
    every = join_batches(train, val)
    folds = [*inner_folds(every)]
    outer = every.select(torch.cat([held for _, held in folds]))
    for fusion in ("early", "s/a"):
        logits = []
        for learnt, held in folds:
            head = build(fusion)
            rows = every.select(held)
            loss = lambda found, gold: torch.stack(  # noqa: E731
                [
                    torch.nn.functional.cross_entropy(each, gold["emotion"])
                    for each in found["emotion"]
                ]
            )
            path = head.path(every.select(learnt), rows, loss)
            logits.append([logits_of(head, rows)["emotion"] for _ in path])
        by_penalty = [torch.cat(parts) for parts in zip(*logits, strict=True)]
        score = max(score_logits({"emotion": each}, outer)[1] for each in by_penalty)
        assert found.choice.scores[fusion] == pytest.approx(score, abs=0.02)


def test_a_speaker_is_in_one_inner_fold_and_classes_are_spread():
    batch = dataclasses.replace(streams("apart", 120, 0), groups=torch.arange(120) // 10)
    folds = fold_numbers(batch)
    assert all(len(set(folds[k * 10 : (k + 1) * 10].tolist())) == 1 for k in range(12))
    assert sorted(torch.bincount(folds).tolist()) == [20, 20, 20, 30, 30]
    single = fold_numbers(dataclasses.replace(batch, groups=None))
    labels = batch.targets["emotion"]
    shares = [labels[single == k].float().mean() for k in range(5)]
    assert max(shares) - min(shares) < 0.1
    every = torch.cat([held for _, held in inner_folds(batch)])
    assert sorted(every.tolist()) == list(range(120))


@pytest.mark.parametrize("fusion", ["auto", "late", "early", "s/b"])
def test_refit_solves_train_and_val_at_the_penalty_that_val_chose(fusion):
    train, val = streams("apart", 90, 0), streams("apart", 40, 1)
    found = fitted(fusion, train, val, refit=True)
    plain = fitted(fusion, train, val)
    for name, weight in plain.state.items():
        torch.testing.assert_close(found.state[name], weight)
    assert found.best == plain.best
    torch.testing.assert_close(found.refit["penalties"], plain.state["penalties"])
    assert (found.refit["linears.0.weight"] != plain.state["linears.0.weight"]).any() or (
        found.choice is not None and found.choice.chosen == "s/b"
    )
    if fusion == "early":
        from sklearn.linear_model import LogisticRegression

        every = join_batches(train, val)
        head = build("early")
        head.load_state_dict(found.refit)
        rows = head._rows(head.pool(every)) * head.column_factors(every)
        gold = every.targets["emotion"].numpy()
        penalty = float(head.penalties)
        model = LogisticRegression(C=1 / (penalty * 130), tol=1e-8, max_iter=5000)
        expected = model.fit(rows.numpy(), gold).predict_proba(rows.numpy())
        ours = logits_of(head, every)["emotion"].softmax(1)
        np.testing.assert_allclose(ours, expected, atol=0.02)  # as far as it is solved
        alone = logits_of(_loaded(plain), every)["emotion"].softmax(1)
        assert (ours - alone).abs().max() > 0.05


def test_a_stream_that_is_not_there_is_named():
    with pytest.raises(OptionError, match=r"auto, late, early or one of the streams s/a, s/b"):
        build("s/c")


def test_steps_do_not_choose():
    assert build(solver="adamw").variants == ()
