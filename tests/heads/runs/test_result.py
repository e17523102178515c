"""The result of a fit, and which of its heads is kept."""

import dataclasses
import itertools

import pytest

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.training.outcome import Outcome, Round
from tests.make_batches import learnable, make_manifest, make_store


def outcome(seed, score, loss):
    return Outcome(seed, {}, (Round(seed, 1, 0.0, loss, score, True),), is_exact=False)


def test_the_head_that_is_kept_is_the_best_on_val_then_the_surest(tmp_path):
    labels, tokens = learnable(30)
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=["train"] * 20 + ["val"] * 10)
    fitted = fit_head(manifest, [store], None, FitOptions.of(head="mean_pool", epochs=1, threads=1))
    found = [outcome(0, 0.5, 0.1), outcome(1, 0.7, 2.0), outcome(2, 0.7, 1.0), outcome(3, 0.6, 0.0)]
    for outcomes in itertools.permutations(found):
        assert dataclasses.replace(fitted, outcomes=outcomes).best.seed == 2


def test_one_seed_has_no_spread(tmp_path):
    labels, tokens = learnable(30)
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=["train"] * 20 + ["val"] * 10)
    one, many = (
        fit_head(
            manifest, [store], None, FitOptions.of(head="mean_pool", epochs=1, seeds=n, threads=1)
        )
        for n in (1, 4)
    )
    assert "±" not in one.table()
    assert "one seed" in one.table()
    assert "±" in many.table()


@pytest.mark.filterwarnings("error")
def test_letters_that_the_font_lacks_are_no_warning(tmp_path):
    labels, tokens = learnable(30)
    names = {"joy": "喜び", "anger": "怒り", "calm": "落ち着き"}
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest([names[word] for word in labels], split=["train"] * 20 + ["val"] * 10)
    fit_head(
        manifest, [store], tmp_path / "run", FitOptions.of(head="mean_pool", epochs=1, threads=1)
    )
