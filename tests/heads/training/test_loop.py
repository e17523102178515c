"""The training loop: the kept round, early stopping, and global state that is not changed."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from emo.heads.head import Head
from emo.heads.options import LoopOptions
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from tests.make_batches import make_batch, make_head

OPTIONS = LoopOptions(epochs=30, batch_size=8, patience=4)


class Scripted(Head):
    """A head whose path yields given biases, so that the scores on val are known."""

    def __init__(self, biases, yielded):
        nn.Module.__init__(self)
        self.bias = nn.Parameter(torch.zeros(3))
        self.biases, self.yielded = biases, yielded

    def forward(self, batch):
        return {"emotion": self.bias.expand(len(batch), 3)}

    def path(self, train, val, loss):
        for number, bias in enumerate(self.biases):
            with torch.no_grad():
                self.bias.copy_(torch.tensor(bias))
            self.yielded.append(number)
            yield 0.0


@pytest.fixture
def batch():
    return make_batch(np.random.default_rng(0).integers(1, 4, 40).tolist())


@pytest.fixture
def val():
    batch = make_batch([1] * 10)
    batch.targets["emotion"][:] = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    return batch


GOOD, FAIR, POOR = [3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0]


def run_scripted(biases, val, patience=3):
    yielded = []
    options = LoopOptions(patience=patience)
    outcome = train_head(lambda: Scripted(biases, yielded), val, val, options, seed=0)
    return outcome, yielded


def test_the_best_round_on_val_is_kept(val):
    outcome, yielded = run_scripted([POOR, FAIR, GOOD, FAIR, POOR], val)
    assert yielded == [0, 1, 2, 3, 4]
    assert outcome.best.round == 3
    assert outcome.state["bias"].tolist() == GOOD
    assert outcome.is_exact


def test_every_candidate_of_a_path_is_judged_whatever_the_patience(val):
    outcome, yielded = run_scripted([FAIR, POOR, POOR, POOR, GOOD], val, patience=1)
    assert yielded == [0, 1, 2, 3, 4]
    assert outcome.state["bias"].tolist() == GOOD


def test_steps_stop_after_patience_rounds_without_a_better_one(batch):
    build = lambda: make_head("mean_pool", batch)  # noqa: E731
    still = LoopOptions(epochs=9, batch_size=8, patience=4, learning_rate=1e-12, weight_decay=0)
    assert len(train_head(build, batch, batch, still, seed=0).history) == 5


def test_of_several_labels_those_more_probable_than_not_count(val):
    val.targets["emotion"] = torch.tensor([[1, 0, 0]] * 10)
    outcome, _ = run_scripted([[0.3, -0.3, -0.3]], val)
    assert outcome.best.val_score == 1


def test_equal_scores_are_decided_by_the_lower_loss(val):
    surer, wrong = [1.0, 0.5, 0.3], [9.0, 0, 0]
    outcome, _ = run_scripted([wrong, surer, wrong, surer], val)
    assert len({row.val_score for row in outcome.history}) == 1
    assert outcome.best.round == 2


def test_losses_and_scores_on_val_are_those_of_the_formulas(val):
    outcome, _ = run_scripted([GOOD], val)
    logits = torch.tensor(GOOD).expand(10, 3)
    expected = functional.cross_entropy(logits, val.targets["emotion"]).item()
    assert outcome.best.val_loss == pytest.approx(expected)
    assert outcome.best.val_score == pytest.approx(0.5 * 2 * 0.5 / 1.5)


def first_loss(batch, **options):
    """The training loss of an untrained head."""
    loop = LoopOptions(epochs=1, batch_size=40, learning_rate=1e-12, **options)
    build = lambda: make_head("linear", batch, solver="adamw", std=False)  # noqa: E731
    return train_head(build, batch, batch, loop, seed=0).history[0].train_loss


def test_smoothing_and_class_weights_change_the_loss_as_torch_defines(batch):
    logits = make_head("linear", batch, std=False)(batch)["emotion"]
    labels = batch.targets["emotion"]
    weights = 40 / (3 * labels.bincount())
    plain = functional.cross_entropy
    assert first_loss(batch) == pytest.approx(plain(logits, labels).item(), rel=1e-5)
    expected = plain(logits, labels, label_smoothing=0.2).item()
    assert first_loss(batch, label_smoothing=0.2) == pytest.approx(expected, rel=1e-5)
    expected = plain(logits, labels, weight=weights).item()
    assert first_loss(batch, class_weights=True) == pytest.approx(expected, rel=1e-5)


def test_unlabelled_clips_are_ignored(batch):
    batch.targets["emotion"][::2] = -1
    labelled = batch.select(np.arange(1, 40, 2))
    assert first_loss(batch) == pytest.approx(first_loss(labelled), rel=1e-5)


def test_training_lowers_the_loss_and_leaves_the_global_seed_alone(batch):
    build = lambda: make_head("mean_pool", batch)  # noqa: E731
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    history = train_head(build, batch, batch, OPTIONS, seed=0).history
    assert torch.equal(torch.rand(1), expected)
    assert history[-1].train_loss < history[0].train_loss


def test_logits_of_many_clips_are_those_of_few():
    batch = make_batch(np.random.default_rng(0).integers(0, 4, 600).tolist())
    head = make_head("attention_pool", batch).train()
    found = logits_of(head, batch)["emotion"]
    assert not head.training
    np.testing.assert_allclose(found, head(batch)["emotion"].detach(), rtol=1e-5, atol=1e-5)
