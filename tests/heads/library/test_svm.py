"""The svm head: scikit-learn's decision values and probabilities that are shares of right ones."""

import numpy as np
import pytest
import torch

from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.library.svm import SvmHead, SvmOptions
from emo.heads.options import LoopOptions
from emo.heads.runs.run import Run, stored_tokens
from emo.heads.runs.show import show_run
from emo.heads.solvers.kernel_machine import (
    gaussian_kernel,
    solve_classes,
    solve_landmarks,
    solve_numbers,
    vote,
)
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from emo.manifest import Clip
from emo.store.store import Store
from tests.make_batches import make_batch, make_manifest, make_store


def blobs(count=90, classes=3, width=5, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    rows = random.standard_normal((count, width)) + 1.5 * np.eye(classes, width)[labels]
    return torch.from_numpy(rows.astype(np.float32)), torch.from_numpy(labels)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_decision_values_and_classes_are_scikit_learns(classes):
    from sklearn.svm import SVC

    rows, labels = blobs(classes=classes)
    theirs = SVC(C=3.0, gamma=0.2, decision_function_shape="ovo").fit(rows.numpy(), labels.numpy())
    found = solve_classes(rows, labels, classes, cost=3.0, gamma=0.2)
    new, _ = blobs(classes=classes, seed=1)
    kernel = gaussian_kernel(new, rows[found.rows], 0.2)
    decisions = kernel @ found.coefficients.T + found.intercepts
    expected = theirs.decision_function(new.numpy())
    expected = -expected[:, None] if classes == 2 else expected  # above 0: the second class
    np.testing.assert_allclose(decisions, expected, atol=1e-4)
    scores = vote(decisions, classes)
    theirs.set_params(decision_function_shape="ovr", break_ties=classes > 2)
    np.testing.assert_array_equal(scores.argmax(1), theirs.predict(new.numpy()))
    if classes > 2:
        np.testing.assert_allclose(scores, theirs.decision_function(new.numpy()), atol=1e-4)


def test_numbers_are_those_of_svr_and_absent_classes_lose():
    from sklearn.svm import SVR

    rows, labels = blobs()
    numbers = rows[:, 0] - rows[:, 1].square()
    theirs = SVR(C=2.0, gamma=0.3).fit(rows.numpy(), numbers.numpy())
    found = solve_numbers(rows, numbers, cost=2.0, gamma=0.3)
    kernel = gaussian_kernel(rows, rows[found.rows], 0.3)
    ours = (kernel @ found.coefficients.T + found.intercepts)[:, 0]
    np.testing.assert_allclose(ours, theirs.predict(rows.numpy()), atol=1e-4)
    spread = labels * 2  # of five classes, 1 and 3 have no clip
    model = solve_classes(rows, spread, 5, cost=3.0, gamma=0.2)
    decisions = gaussian_kernel(rows, rows[model.rows], 0.2) @ model.coefficients.T
    assert set(vote(decisions + model.intercepts, 5).argmax(1).tolist()) <= {0, 2, 4}


def test_landmarks_equal_scikit_learns_nystroem_where_every_clip_is_one():
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression

    rows, labels = blobs(60)
    features = Nystroem(gamma=0.2, n_components=60, random_state=0).fit_transform(rows.numpy())
    theirs = LogisticRegression(C=2.0, tol=1e-8, max_iter=5000).fit(features, labels.numpy())
    found = solve_landmarks(
        rows, lambda logits: torch.nn.functional.cross_entropy(logits[0], labels)[None],
        outputs=3, landmarks=60, cost=2.0, gamma=0.2,
    )  # fmt: skip
    logits = gaussian_kernel(rows, rows[found.rows], 0.2) @ found.coefficients.T + found.intercepts
    expected = theirs.predict_proba(features)
    np.testing.assert_allclose(logits.softmax(1).detach(), expected, atol=5e-3)


def fitted_head(batch, val, **options):
    build = lambda: SvmHead({"s/a": 6}, {"emotion": 3}, options=SvmOptions(**options))  # noqa: E731
    outcome = train_head(build, batch, val, LoopOptions(), seed=0)
    head = build()
    head.load_state_dict(outcome.state)
    return head, outcome


def test_the_temperature_of_inner_folds_changes_no_class():
    batch = make_batch([2] * 90)
    head, outcome = fitted_head(batch, make_batch([2] * 30, seed=1), cost=3.0, gamma=1.0)
    assert len(outcome.history) == 1
    assert outcome.is_exact
    calibrated = logits_of(head, batch)["emotion"]
    assert float(head.calibration) != 1
    head.calibration.fill_(1)
    votes = logits_of(head, batch)["emotion"]
    np.testing.assert_array_equal(votes.argmax(1), calibrated.argmax(1))


def test_twenty_settings_are_tried_and_the_best_on_val_is_kept():
    _, outcome = fitted_head(make_batch([1] * 60), make_batch([1] * 30, seed=1))
    assert len(outcome.history) == 20
    best = outcome.best
    assert best.val_score == max(row.val_score for row in outcome.history)


def test_gamma_is_in_units_of_scale_where_deviations_are_constant():
    from sklearn.svm import SVC

    train, new = make_batch([1] * 90), make_batch([1] * 40, seed=1)
    head, _ = fitted_head(train, new, cost=3.0, gamma=0.5)
    rows = train.streams["s/a"].values.numpy()
    mean, deviation = rows.mean(0), rows.std(0)
    scaled, others = ((b.streams["s/a"].values.numpy() - mean) / deviation for b in (train, new))
    theirs = SVC(C=3.0, gamma=0.5 / (6 * scaled.var()), break_ties=True)
    theirs.fit(scaled, train.targets["emotion"].numpy())
    ours = logits_of(head, new)["emotion"] * head.calibration
    np.testing.assert_allclose(ours, theirs.decision_function(others), atol=1e-3)
    assert head.chosen_settings == {}  # both were given


def test_clips_of_one_class_are_an_error_that_says_so():
    batch = make_batch([1] * 20)
    batch.targets["emotion"].fill_(1)
    with pytest.raises(FitError, match="expected at least two classes of emotion"):
        fitted_head(batch, batch)


def test_a_run_keeps_its_vectors_and_predicts_the_same(tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(60) // 2 % 2
    tokens = {
        f"c{k}": {"a": (random.standard_normal((3, 6)) + label).astype(np.float32)}
        for k, label in enumerate(labels)
    }
    store = make_store(tmp_path / "features", tokens)
    split = ["train"] * 32 + ["val"] * 14 + ["test"] * 14
    manifest = make_manifest([f"e{label}" for label in labels], split=split)
    options = FitOptions("svm", {"cost": "3"}, threads=1).replace(refit=True)
    result = fit_head(manifest, [store], tmp_path / "run", options)
    assert any(note.startswith("refit on train and val") for note in result.notes)
    (chosen,) = (note for note in result.notes if " chosen on val" in note)
    assert chosen.startswith("gamma=")  # C was given
    assert chosen.endswith(", of 4 candidates")
    lines = dict(show_run(tmp_path / "run")["run run"])
    assert lines["chosen"] == f"{chosen.partition(' ')[0]}, on val"
    run = Run.load(tmp_path / "run")
    ids = list(result.data.splits["test"].ids)
    found, _ = stored_tokens(run, [Clip(each) for each in ids], Store(store))
    expected = result.scores["test"].probabilities[0]
    np.testing.assert_allclose(run.predict(found), expected, atol=1e-5)
    state = dict(result.best.kept)
    state["coefficients"] = state["coefficients"][:, :-1]
    with pytest.raises(ValueError, match="do not belong together"):
        run.head.load_state_dict(state)
