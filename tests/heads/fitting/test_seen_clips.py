"""Features of weights that have seen the evaluated clips are refused, or their scores say so."""

import dataclasses
import json

import pytest

from emo.errors import FitError, StoreError
from emo.heads.data.streams import open_sources
from emo.heads.fitting.ablate import ablate
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.several.all_heads import fit_all
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.show import show
from emo.store.adapted import SeenClips
from emo.store.store import Store
from tests.make_batches import learnable, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
ONE = FitOptions.of(head="mean_pool", epochs=1, threads=1, head_options={"hidden": "4"})


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """Manifest, a store of frozen features, and a function that makes one of adapted weights."""
    folder = tmp_path_factory.mktemp("seen")
    labels, tokens = learnable(80, streams=("a", "b"))
    manifest, made = make_manifest(labels, split=SPLITS), iter(range(100))

    def store_that_saw(**seen):
        path = make_store(folder / f"store-{next(made)}", tokens)
        found = Store(path).recipes["fake"]
        Store(path).add_recipe("fake", found.recipe, seen=SeenClips.of(seen))
        return path

    return manifest, store_that_saw


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"train": ["c3", "c71", "c70", "c79", "c72"]},
         r"4 clips of its train are in test here \(c70, c71, c72, …\)"),
        ({"train": ["c41"]}, r"1 clip of its train is in val here \(c41\)"),
        ({"val": ["c61"]}, r"1 clip of its val is in test here \(c61\)"),
    ],
    ids=["train in test", "train in val", "val in test"],
)  # fmt: skip
def test_seen_clips_that_are_evaluated_are_refused(adapted, seen, said):
    manifest, store_that_saw = adapted
    with pytest.raises(FitError, match=f"features fake: .*{said}.*--allow-seen"):
        fit_head(manifest, [store_that_saw(**seen)], None, ONE)


def test_the_splits_of_the_adaptation_are_no_leak(adapted):
    manifest, store_that_saw = adapted
    ids = {name: [f"c{k}" for k, s in enumerate(SPLITS) if s == name] for name in set(SPLITS)}
    assert fit_head(manifest, [store_that_saw(**ids)], None, ONE).data.seen == ()


def test_a_clip_seen_by_the_weights_of_any_store_counts(adapted):
    manifest, store_that_saw = adapted
    stores = [store_that_saw(train=["c0"]), store_that_saw(train=["c60"])]
    with pytest.raises(FitError, match="1 clip of its train is in test"):
        fit_head(manifest, stores, None, ONE)


def test_a_missing_list_is_refused_even_if_seen_clips_are_allowed(adapted):
    manifest, store_that_saw = adapted
    store = store_that_saw(train=["c0"])
    document = json.loads((store / "fake" / "recipe.json").read_text())
    document["facts"] = {"adapted": {"sha256": "0" * 64, "clips": {"train": 1, "val": 0}}}
    (store / "fake" / "recipe.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match=r"adapted-0{16}\.csv is missing"):
        fit_head(manifest, [store], None, ONE.replace(allow_seen=True))


def test_a_cross_validation_an_ablation_a_search_and_several_heads_refuse_too(adapted, tmp_path):
    manifest, store_that_saw = adapted
    stores = [store_that_saw(train=["c5", "c65"])]
    with pytest.raises(FitError, match=r"2 clips of its train are in test here \(c5, c65\)"):
        cross_validate(manifest, stores, None, ONE, by="3")
    with pytest.raises(FitError, match="1 clip of its train is in test"):
        ablate(manifest, stores, tmp_path / "ablated", ONE)
    with pytest.raises(FitError, match="1 clip of its train is in test"):
        fit_head(manifest, stores, None, ONE.replace(search=2))
    with pytest.raises(FitError, match="1 clip of its train is in test"):
        fit_all(manifest, stores, tmp_path / "all", {"mean_pool": ONE})


def test_an_allowed_leak_is_said_by_the_run_by_show_and_by_compare(adapted, tmp_path):
    manifest, store_that_saw = adapted
    run, folds = tmp_path / "run", tmp_path / "folds"
    allowed = ONE.replace(allow_seen=True)
    stores = [store_that_saw(train=["c65"])]
    fit_head(manifest, stores, run, allowed)
    cross_validate(manifest, stores, folds, allowed, by="2")
    for each in (run, folds):
        document = json.loads((each / "run.json").read_text())
        (sentence,) = document["seen"]
        assert "1 clip of its train is in test here (c65): the score is too good" in sentence
        assert sentence in document["notes"]
        assert document["options"]["allow_seen"] is True
        assert any("--allow-seen" in line for line in document["asked"])
        assert ("seen", sentence) in show(each)[f"run {each.name}"]
        assert f"{each}: {sentence}" in compare_runs([each]).notes


def test_to_allow_what_does_not_happen_changes_nothing(adapted, tmp_path):
    manifest, store_that_saw = adapted
    store, runs = store_that_saw(train=["c0"]), [tmp_path / "a", tmp_path / "b"]
    for run, options in zip(runs, (ONE, ONE.replace(allow_seen=True)), strict=True):
        fit_head(manifest, [store], run, options)
    first, second = (json.loads((run / "run.json").read_text()) for run in runs)
    assert "seen" not in second
    assert first["question"] == second["question"]


def test_show_says_that_the_weights_of_a_recipe_are_adapted(tmp_path):
    seen = SeenClips.of({"train": ["c0", "c1"], "val": ["c2"]})
    _, tokens = learnable(4)
    plain = Store(make_store(tmp_path / "plain", tokens)).recipes["fake"].recipe
    store = Store.create(tmp_path / "adapted")
    store.add_recipe("fake", dataclasses.replace(plain, facts={"adapted": seen.facts}), seen=seen)
    assert ("adapted", "2 clips of train, 1 clip of val") in show(store.path)["recipe fake"]
    (source,) = open_sources([store.path], ["fake"])[0]
    assert source.folders[0].seen == seen
