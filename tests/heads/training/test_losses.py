"""``--loss``: what solvers minimise for numbers, and where the option is refused."""

import dataclasses

import pytest
import torch

from emo.errors import OptionError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.options import LoopOptions
from emo.heads.solvers.path import solve_path
from emo.heads.solvers.ridge import ridge_path
from emo.heads.training.losses import make_loss, number_loss
from tests.heads.conftest import SPLITS
from tests.make_batches import learnable, make_batch, make_manifest, make_store

ROWS = torch.randn(80, 5, generator=torch.Generator().manual_seed(0))
NUMBERS = ROWS @ torch.tensor([1.0, -0.5, 0.2, 0.0, 0.0]) + 0.3


def solved(loss, rows=ROWS, numbers=NUMBERS, penalty=0.1):
    (found,) = solve_path(
        rows,
        lambda found: number_loss(found[..., 0], numbers, loss),
        outputs=1,
        penalties=[penalty],
    )
    return found


def test_mse_is_ridge():
    (expected,) = ridge_path(ROWS, NUMBERS[:, None], [0.05])  # its penalty has no factor of 1/2
    found = solved("mse")
    torch.testing.assert_close(found.weight, expected.weight, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.bias, expected.bias, atol=1e-3, rtol=1e-3)


def test_mae_alone_is_not_moved_by_a_far_number():
    numbers = torch.cat([torch.linspace(-1, 1, 79), torch.tensor([1000.0])])
    rows = 1e-6 * ROWS
    assert solved("mae", rows, numbers).bias.item() == pytest.approx(0.0, abs=0.1)  # the median
    assert solved("mse", rows, numbers).bias.item() > 10


def test_huber_is_a_parabola_to_1_345_and_smooth_l1_to_1():
    zero, error = torch.zeros(1), torch.tensor([1.2])
    assert number_loss(error, zero, "huber").item() == pytest.approx(1.2**2 / 2)
    assert number_loss(error, zero, "smooth_l1").item() == pytest.approx(1.2 - 0.5)
    assert number_loss(error, zero, "mae").item() == pytest.approx(1.2, abs=0.03)


def test_the_default_of_a_fit_is_smooth_l1():
    batch = make_batch([1] * 20)
    targets = {"y": torch.randn(20)}
    loss = make_loss(dataclasses.replace(batch, targets=targets), LoopOptions())
    found = 3 * torch.randn(20, 1)
    expected = torch.nn.functional.smooth_l1_loss(found[:, 0], targets["y"])
    torch.testing.assert_close(loss({"y": found}, targets), expected)


def test_a_loss_of_numbers_and_a_refit_of_steps_are_refused(tmp_path):
    labels, tokens = learnable(120, streams=("a",))
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=SPLITS)
    with pytest.raises(OptionError, match="--loss mae: it is the loss of numbers"):
        fit_head(manifest, [store], None, FitOptions.of(head="linear", loss="mae"))
    with pytest.raises(OptionError, match="--refit: head mean_pool is trained by steps"):
        fit_head(manifest, [store], None, FitOptions.of(head="mean_pool", refit=True))
    with pytest.raises(OptionError, match="loss: expected one of smooth_l1, mae, huber, mse"):
        LoopOptions(loss="l1")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("classes", {}), ("classes", {"class_weights": True, "label_smoothing": 0.1}),
        ("classes", {"focal": 2.0, "class_weights": True}), ("numbers", {"loss": "huber"}),
        ("numbers", {"loss": "mae"}), ("several", {}),
    ],
)  # fmt: skip
def test_models_together_have_the_losses_and_gradients_of_each_alone(kind, options):
    random = torch.Generator().manual_seed(3)
    labels = torch.randint(-1, 3, (40,), generator=random)  # some unlabelled
    if kind == "numbers":
        labels = torch.where(labels < 0, torch.nan, torch.randn(40, generator=random))
    elif kind == "several":
        labels = torch.randint(0, 2, (40, 3), generator=random)
    batch = dataclasses.replace(make_batch({"s/a": [1] * 40}), targets={"t": labels})
    loss = make_loss(batch, LoopOptions(**options))
    width = 1 if kind == "numbers" else 3
    models = torch.randn(5, 40, width, generator=random, requires_grad=True)
    together = loss({"t": models}, batch.targets)
    alone = torch.stack([loss({"t": each}, batch.targets) for each in models])
    torch.testing.assert_close(together, alone)
    (ours,), (theirs,) = (torch.autograd.grad(each.sum(), models) for each in (together, alone))
    torch.testing.assert_close(ours, theirs)
