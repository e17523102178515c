"""The linear head: its inputs, the scaling of columns, and the optimum."""

import numpy as np
import pytest
import torch

from emo.heads.fitting.missing_streams import without_streams
from emo.heads.head import Batch
from emo.heads.layers.clip_statistics import FUSED
from emo.heads.library.linear import LinearHead, LinearOptions
from emo.heads.options import LoopOptions
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from emo.ragged import Ragged
from tests.make_batches import assert_close, make_batch, make_tokens


def pooled_columns(batch, **options):
    dims = {name: tokens.width for name, tokens in batch.streams.items()}
    head = LinearHead(dims, {"emotion": 3}, options=LinearOptions(**options))
    return head.pool(batch).streams[FUSED].values


def test_reads_mean_and_standard_deviation_of_each_stream():
    batch = make_batch({"s/a": [3, 1], "s/b": [0, 4]})
    clips = [[tokens[row].numpy() for tokens in batch.streams.values()] for row in range(2)]
    expected = [
        np.concatenate([x for clip in row for x in ((clip.mean(0), clip.std(0)) if len(clip)
                        else (np.zeros(clip.shape[1]),) * 2)])
        for row in clips
    ]  # fmt: skip
    np.testing.assert_allclose(pooled_columns(batch), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        pooled_columns(batch, std=False)[:, :6], np.stack(expected)[:, :6], rtol=1e-4, atol=1e-5
    )


def reference(columns, labels, penalty):
    """The optimum on columns that are standardised one by one, each stream to total variance 1."""
    from sklearn.linear_model import LogisticRegression

    scaled = columns / columns.std(0) / np.sqrt(columns.shape[1])
    model = LogisticRegression(C=1 / (len(labels) * penalty), tol=1e-8, max_iter=5000)
    return model.fit(scaled, labels).predict_proba(scaled)


def test_dense_columns_are_solved_to_scikit_learns_optimum():
    batch = make_batch([1] * 120)
    batch.streams["s/a"].values[:, 2] *= 50
    options = LinearOptions(penalties=1)  # 1 alone
    build = lambda: LinearHead({"s/a": 6}, {"emotion": 3}, options=options)  # noqa: E731
    outcome = train_head(build, batch, batch, LoopOptions(), seed=0)
    head = build()
    head.load_state_dict(outcome.state)
    found = logits_of(head, batch)["emotion"].softmax(1).numpy()
    columns = batch.streams["s/a"].values.double().numpy()
    expected = reference(columns, batch.targets["emotion"].numpy(), 1.0)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_hashed_columns_keep_their_proportions():
    counts = np.zeros((90, 40), np.float32)
    counts[np.arange(90), np.arange(90) % 30] = 1
    counts[0, 35] = 1  # one clip alone has it: by itself it would be blown up
    tokens = Ragged(torch.from_numpy(counts), torch.arange(91))
    labels = torch.arange(90) % 3
    batch = Batch({"s/t": tokens}, targets={"emotion": labels})
    options = LinearOptions(penalties=1)
    build = lambda: LinearHead({"s/t": 40}, {"emotion": 3}, options=options)  # noqa: E731
    weight = train_head(build, batch, batch, LoopOptions(), seed=0).state["linears.0.weight"]
    assert weight[:, 35].abs().max() < weight[:, :30].abs().max(0).values.min()
    assert (weight[:, 36:] == 0).all()


def test_gradient_steps_come_near_the_optimum():
    batch = make_batch([2] * 120)
    losses = {}
    for solver in ("lbfgs", "adamw"):
        head = LinearHead({"s/a": 6}, {"emotion": 3}, options=LinearOptions(solver=solver))
        loop = LoopOptions(epochs=60, learning_rate=3e-2, patience=60)
        outcome = train_head(lambda head=head: head, batch, batch, loop, seed=0)
        losses[solver] = min(row.val_loss for row in outcome.history)
        assert outcome.is_exact == (solver == "lbfgs")
    assert losses["lbfgs"] < losses["adamw"] + 1e-3
    assert losses["adamw"] < losses["lbfgs"] + 0.1


def test_a_wide_useless_stream_does_not_drown_a_narrow_one():
    random = np.random.default_rng(0)
    labels = torch.from_numpy(random.integers(0, 3, 240))
    narrow = make_tokens([1] * 240, 2, seed=1)
    narrow.values[:] = 0.8 * narrow.values + torch.tensor([[1, 0], [0, 1], [-1, -1.0]])[labels]
    wide = make_tokens([1] * 240, 400, seed=2)
    batch = Batch({"s/n": narrow, "s/w": wide}, targets={"emotion": labels})
    train, val = batch.select(np.arange(120)), batch.select(np.arange(120, 240))
    build = lambda: LinearHead(  # noqa: E731
        {"s/n": 2, "s/w": 400}, {"emotion": 3}, options=LinearOptions(penalties=3)
    )
    assert train_head(build, train, val, LoopOptions(), seed=0).best.val_score > 0.6


def test_late_fusion_averages_the_probabilities_of_the_streams():
    batch = make_batch({"s/a": [3, 1, 2, 4], "s/b": [2, 4, 1, 1]})
    head = LinearHead({"s/a": 6, "s/b": 7}, {"emotion": 3}, options=LinearOptions(fusion="late"))
    torch.manual_seed(0)
    for weight in head.parameters():
        weight.data.normal_(std=3.0)
    columns = torch.split(head.pool(batch).streams[FUSED].values, [12, 14], dim=1)
    alone = [linear(part).softmax(1) for linear, part in zip(head.linears, columns, strict=True)]
    found = head(batch)["emotion"].softmax(1)
    np.testing.assert_allclose(found.detach(), torch.stack(alone).mean(0).detach(), atol=1e-6)


@pytest.fixture(scope="module")
def steady():
    """Two streams that tell the class by their means; the spread of the second tells nothing."""
    random = np.random.default_rng(0)
    labels = torch.from_numpy(random.integers(0, 2, 240))
    made = {}
    for name, length, weight in (("s/a", 1, 1.5), ("s/b", 20, 0.5)):
        noise = torch.from_numpy(random.standard_normal((240, length, 8)).astype(np.float32))
        values = (noise + weight * (labels[:, None, None] - 0.5)).flatten(0, 1)  # as if scaled
        made[name] = Ragged(values, length * torch.arange(241))
    return Batch(made, targets={"emotion": labels})


@pytest.mark.parametrize("fusion", ["late", "early"])
@pytest.mark.parametrize("absent", ["s/a", "s/b"])
def test_a_stream_that_is_absent_casts_no_vote(steady, fusion, absent):
    dims, options = {"s/a": 8, "s/b": 8}, LinearOptions(fusion=fusion)
    build = lambda: LinearHead(dims, {"emotion": 2}, options=options)  # noqa: E731
    head = build()
    head.load_state_dict(train_head(build, steady, steady, LoopOptions(), seed=0).state)
    labels = steady.targets["emotion"]
    whole = (logits_of(head, steady)["emotion"].argmax(1) == labels).float().mean()
    without = logits_of(head, without_streams(steady, frozenset([absent])))["emotion"]
    accuracy = (without.argmax(1) == labels).float().mean()
    assert accuracy > (0.9 if absent == "s/b" else 0.75)
    assert whole > 0.95
    if fusion == "late":  # what is left decides alone
        place = 1 - list(dims).index(absent)
        rows = torch.split(head._rows(steady), head.widths, dim=1)[place]
        alone = head.linears[place](rows).log_softmax(1)
        assert_close(without.log_softmax(1), alone, tolerance=1e-4)


def test_one_token_among_longer_clips_has_a_typical_spread(steady):
    options = LinearOptions(fusion="early")
    head = LinearHead({"s/a": 8, "s/b": 8}, {"emotion": 2}, options=options)
    head.path(steady, steady, lambda logits, targets: logits["emotion"].sum())
    lengths = torch.where(torch.arange(240) == 0, 1, 20)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    tokens = steady.streams["s/b"]
    shorter = Ragged(torch.cat([tokens.values[:1], tokens.values[20:]]), offsets)
    rows = head._rows(Batch({**steady.streams, "s/b": shorter}))
    whole = head._rows(steady)
    assert_close(rows[0, 24:], whole[:, 24:].mean(0), tolerance=1e-3)
    assert (rows[1:] == whole[1:]).all()
    assert (rows[:, 8:16] == 0).all()  # a stream of single tokens has no spread anywhere
