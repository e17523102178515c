"""The exact solver and AdamW, against the sources that they cite."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from emo.heads.solvers.lbfgs import Objective, lbfgs
from emo.heads.solvers.path import solve_path
from emo.heads.solvers.preconditioner import CovarianceFactors, WhitenedCoordinates, bias_hessian
from emo.heads.training.adamw import AdamW

PENALTIES = [1e-1, 1e-2, 1e-3]


def cross_entropy(labels):
    """torch's own loss of logits (N, C), and that of p models, (p, N, C) -> (p,)."""

    def loss(logits):
        return functional.cross_entropy(logits, labels)

    return loss, lambda logits: torch.stack([loss(each) for each in logits])


@pytest.fixture(params=["dense", "sparse"])
def rows(request):
    random = np.random.default_rng(0)
    values = random.standard_normal((200, 40)).astype(np.float32)
    if request.param == "sparse":
        values *= random.random((200, 40)) < 0.04
    values[:, 7] = 0
    return torch.from_numpy(values)


@pytest.fixture
def labels():
    return torch.from_numpy(np.random.default_rng(1).integers(0, 3, 200))


def test_solutions_are_scikit_learns_optima(rows, labels):
    from sklearn.linear_model import LogisticRegression

    loss, losses = cross_entropy(labels)
    found = list(solve_path(rows, losses, outputs=3, penalties=PENALTIES))
    assert [solution.penalty for solution in found] == PENALTIES
    for solution in found:
        reference = LogisticRegression(C=1 / (200 * solution.penalty), tol=1e-8, max_iter=5000)
        reference.fit(rows.numpy(), labels.numpy())
        logits = rows @ solution.weight.T + solution.bias
        np.testing.assert_allclose(
            logits.softmax(1), reference.predict_proba(rows.numpy()), atol=2e-3
        )
        assert solution.loss == pytest.approx(loss(logits).item(), abs=1e-5)
        assert (solution.weight[:, 7] == 0).all()


def test_rare_classes_and_weak_penalties_are_solved_as_far(rows):
    from sklearn.linear_model import LogisticRegression

    labels = torch.from_numpy(np.random.default_rng(2).choice(3, 200, p=[0.9, 0.07, 0.03]))
    loss, losses = cross_entropy(labels)
    for solution in solve_path(rows, losses, outputs=3, penalties=[10.0, 1e-4]):
        reference = LogisticRegression(C=1 / (200 * solution.penalty), tol=1e-10, max_iter=20000)
        reference.fit(rows.double().numpy(), labels.numpy())
        found = loss(rows @ solution.weight.T + solution.bias)
        logits = torch.from_numpy(reference.decision_function(rows.double().numpy()))
        squares = [solution.weight.square().sum(), np.square(reference.coef_).sum()]
        ours, theirs = (
            value + solution.penalty / 2 * square
            for value, square in zip((found, loss(logits)), squares, strict=True)
        )
        assert ours <= theirs + 2e-6  # the same least value, as well as float32 sees it


def test_more_columns_than_clips_are_solved_to_the_same_optimum():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(4)
    rows = torch.from_numpy(random.standard_normal((30, 80)).astype(np.float32))
    labels = torch.from_numpy(random.integers(0, 3, 30))
    _, losses = cross_entropy(labels)
    for solution in solve_path(rows, losses, outputs=3, penalties=[1.0, 0.1]):
        reference = LogisticRegression(C=1 / (30 * solution.penalty), tol=1e-9, max_iter=9999)
        reference.fit(rows.double().numpy(), labels.numpy())
        np.testing.assert_allclose(solution.weight, reference.coef_, atol=5e-4)


def test_the_loss_is_round_in_its_coordinates():
    random = np.random.default_rng(3)
    spread = np.geomspace(1, 1e-2, 12)
    rows = torch.from_numpy((random.standard_normal((300, 12)) * spread).astype(np.float32))
    rows -= rows.mean(0)
    labels = torch.from_numpy(random.choice(3, 300, p=[0.8, 0.15, 0.05]))
    loss, losses = cross_entropy(labels)
    penalties = torch.tensor([1.0, 1e-2, 1e-4])
    bias = (torch.bincount(labels) / 300).log()  # the best with weights of 0
    bends = bias_hessian(losses, bias[:, None].expand(3, 300))
    coordinates = WhitenedCoordinates(bends, CovarianceFactors(rows.T @ rows / 300), penalties)

    def value(flat, which):
        weight, shift = coordinates.weights(flat[None], torch.tensor([which]))
        logits = rows @ weight[0].T + bias + shift[0]
        return loss(logits) + penalties[which] / 2 * weight.square().sum()

    for which in range(3):
        hessian = torch.autograd.functional.hessian(
            lambda flat: value(flat, which),  # noqa: B023
            torch.zeros(39),
        )
        bends = torch.linalg.eigvalsh(hessian)[3:]  # logits may all rise together: those bend less
        assert 0.2 < bends.min() <= bends.max() < 5


@pytest.mark.parametrize("width", [12, 300])
def test_gradients_go_back_to_round_coordinates_by_the_transpose(width):
    random = np.random.default_rng(5)
    draw = lambda *shape: torch.from_numpy(random.standard_normal(shape)).float()  # noqa: E731
    columns = draw(2 * width, width)
    spread = draw(3, 3)
    coordinates = WhitenedCoordinates(
        spread @ spread.T,
        CovarianceFactors(columns.T @ columns / len(columns)),
        torch.tensor([10.0, 1e-3]),
    )
    which = torch.tensor([1, 0])
    flat, weight, bias = draw(2, 3 * (width + 1)), draw(2, 3, width), draw(2, 3)
    weights, biases = coordinates.weights(flat, which)
    there = (weights * weight).sum((1, 2)) + (biases * bias).sum(1)
    back = (flat * coordinates.adjoint(weight, bias, which)).sum(1)
    np.testing.assert_allclose(there, back, rtol=1e-3)


def passes_of(centres, strengths, power):
    """Minimise functions of (row - centre) ** power; return the minima and the number of passes."""
    imaged = []

    def outer(image, which):
        apart = image - centres[which]
        values = (strengths[which] * apart.abs() ** power).sum(1)
        return values, power * strengths[which] * apart.abs() ** (power - 1) * apart.sign()

    objective = Objective(
        linear=lambda rows, _: imaged.append(len(rows)) or rows,
        adjoint=lambda images, _: images,
        outer=outer,
    )
    return lbfgs(objective, torch.zeros_like(centres), tolerance=1e-5), imaged


def test_functions_of_very_different_scale_are_minimised_together():
    centres = torch.tensor([[1.0, -2.0], [30.0, 4.0], [0.0, 0.0]])
    strengths = torch.tensor([[1.0, 100.0], [1e-3, 1e-2], [1.0, 1.0]])
    found, imaged = passes_of(centres, strengths, 2)
    np.testing.assert_allclose(found.row, centres, atol=1e-2)
    np.testing.assert_allclose(found.image, centres, atol=1e-2)
    np.testing.assert_allclose(found.value, 0, atol=1e-4)
    assert imaged[-1] < 3  # what is solved is left alone


@pytest.mark.parametrize(("power", "strength"), [(2, 1e-4), (2, 1e4), (4, 1.0)])
def test_the_length_of_a_step_costs_no_pass(power, strength):
    centres = torch.tensor([[3.0, 4.0]])
    found, imaged = passes_of(centres, torch.full((1, 2), strength), power)
    np.testing.assert_allclose(found.image, centres, atol=0.2)
    assert len(imaged) < 15


def reference_adamw(start, gradients, *, rate, decay, longest):
    """Loshchilov and Hutter 2019, algorithm 2, in float64."""
    value, mean, square = start.astype(np.float64), 0.0, 0.0
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient * min(1, longest / np.linalg.norm(gradient))
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        moved = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        value = value * (1 - rate * decay) - rate * moved
    return value


def test_adamw_is_the_published_algorithm():
    random = np.random.default_rng(0)
    start = random.standard_normal(10).astype(np.float32)
    gradients = 3 * random.standard_normal((5, 10))
    layers = [torch.nn.Parameter(torch.from_numpy(part.copy())) for part in np.split(start, [4])]
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = AdamW([*layers, frozen], weight_decay=0.1, gradient_norm=2.0)
    for gradient in gradients:
        slope = torch.from_numpy(gradient).float()
        loss = (torch.cat([layer.reshape(-1) for layer in layers]) * slope).sum()
        optimizer.step(loss, 0.05)
    expected = reference_adamw(start, gradients, rate=0.05, decay=0.1, longest=2.0)
    np.testing.assert_allclose(torch.cat(list(layers)).detach(), expected, rtol=1e-4, atol=1e-5)
    assert frozen.tolist() == [1, 1]


@pytest.mark.slow
def test_adamw_is_torchs():
    torch.manual_seed(0)
    ours, theirs = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    mine = AdamW(ours.parameters(), weight_decay=0.05, gradient_norm=1.0)
    other = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.05)
    for inputs in torch.randn(20, 8, 4):
        mine.step(ours(inputs).square().sum(), 0.01)
        other.zero_grad()
        theirs(inputs).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        other.step()
    np.testing.assert_allclose(ours.weight.detach(), theirs.weight.detach(), atol=1e-5)
