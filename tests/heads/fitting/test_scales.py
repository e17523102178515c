"""Fits on columns of very different scales, against scikit-learn on standardised columns."""

import numpy as np
import pytest

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.options import LoopOptions
from tests.make_batches import make_manifest, make_store

CLIPS, SPLITS = 900, ["train"] * 540 + ["val"] * 180 + ["test"] * 180


def fitted(folder, tokens, labels, **options):
    ids = [f"c{row}" for row in range(len(labels))]
    store = make_store(folder, {name: {"a": x} for name, x in zip(ids, tokens, strict=True)})
    manifest = make_manifest([f"k{label}" for label in labels], split=SPLITS)
    return fit_head(manifest, [store], None, FitOptions("linear", threads=1, **options))


def accuracy_of_scikit_learn(columns, labels):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(columns[:540], labels[:540]).score(columns[720:], labels[720:])


@pytest.mark.parametrize(("tokens_each", "std"), [(1, "yes"), (6, "yes"), (6, "no")])
def test_columns_of_any_scale_score_as_scikit_learns(tmp_path, tokens_each, std):
    random, labels = np.random.default_rng(0), np.arange(CLIPS) % 3
    scales = 10.0 ** np.linspace(-6, 6, 24)
    centres = random.standard_normal((3, 1, 24))[labels]
    tokens = 0.25 * centres + random.standard_normal((CLIPS, 1, 24))
    tokens = tokens + 0.1 * random.standard_normal((CLIPS, tokens_each, 24))
    tokens = (random.permutation(scales) * (tokens + random.standard_normal(24))).astype(np.float32)
    result = fitted(tmp_path / "features", tokens, labels, head_options={"std": std})
    columns = tokens.mean(1)
    if std == "yes" and tokens_each > 1:
        columns = np.concatenate([columns, tokens.std(1)], axis=1)
    expected = accuracy_of_scikit_learn(columns, labels)
    assert 0.5 < expected < 1
    assert result.metrics["test"]["mean"]["accuracy"] == pytest.approx(expected, abs=0.04)
    assert not any("constant" in note or "clip c" in note for note in result.notes)


def test_one_broken_number_leaves_the_other_columns(tmp_path):
    random, labels = np.random.default_rng(0), np.arange(CLIPS) % 3
    columns = random.standard_normal((CLIPS, 1, 8)).astype(np.float32)
    columns[np.arange(CLIPS), 0, labels] += 2.5
    columns[:, 0, 6] = 3.25
    columns[7, 0, 7] = 1e8
    result = fitted(tmp_path / "features", columns, labels)
    assert result.metrics["test"]["mean"]["uar"] > 0.85
    assert "fake/a: 1 of 8 dimensions is constant on train: dropped" in result.notes
    assert sum("check dimension 7 (1e+08 in clip c7)" in note for note in result.notes) == 1


def test_the_choice_of_a_fusion_is_scored_in_the_units_of_the_number(tmp_path):
    random = np.random.default_rng(0)
    numbers = random.standard_normal(120)
    tokens = (
        random.standard_normal((120, 2, 1, 3)).astype(np.float32) + numbers[:, None, None, None]
    )
    streams = {f"c{k}": {"a": a, "b": b} for k, (a, b) in enumerate(tokens)}
    store = make_store(tmp_path / "features", streams)
    found = []
    for factor in (1, 50):
        labels = [f"{factor * number:.4f}" for number in numbers]
        manifest = make_manifest(labels, split=["train"] * 72 + ["val"] * 24 + ["test"] * 24)
        result = fit_head(manifest, [store], None, FitOptions("linear", threads=1))
        found.append(result.best.choice)
        val_mae = result.metrics["val"]["mean"]["mae"]
        assert result.best.best.val_score == pytest.approx(-val_mae, rel=1e-4)
        (line,) = (note for note in result.notes if note.startswith("fusion:"))
        assert f"{result.best.choice.scores[result.best.choice.chosen]:.3f} on" in line
    expected = {name: 50 * score for name, score in found[0].scores.items()}
    assert found[1].scores == pytest.approx(expected, rel=1e-2)


def test_scores_of_rounds_and_trials_have_the_unit_of_the_number(tmp_path):
    random = np.random.default_rng(0)
    numbers = random.standard_normal(60)
    tokens = random.standard_normal((60, 1, 3)).astype(np.float32) + numbers[:, None, None]
    store = make_store(
        tmp_path / "features", {f"c{k}": {"a": each} for k, each in enumerate(tokens)}
    )
    manifest = make_manifest(
        [f"{100 * number:.4f}" for number in numbers],
        split=["train"] * 36 + ["val"] * 12 + ["test"] * 12,
    )
    options = FitOptions("mean_pool", threads=1, search=2, loop=LoopOptions(epochs=2))
    result = fit_head(manifest, [store], tmp_path / "run", options)
    val_mae = result.metrics["val"]["mean"]["mae"]
    assert result.best.best.val_score == pytest.approx(-val_mae, rel=1e-4)
    assert f"-{val_mae:.3f}"[:5] in (tmp_path / "run/history.csv").read_text()
    (line,) = (note for note in result.notes if note.startswith("search:"))
    assert f"scored {-val_mae:.3f} on val" in line
