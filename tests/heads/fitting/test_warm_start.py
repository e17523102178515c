"""`--init`: a multimodal head starts from unimodal ones that were not fitted on its test clips."""

import dataclasses
import shutil

import pytest
import torch

from emo.errors import FitError, OptionError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.warm_start import read_initial_weights
from emo.heads.library.aligned_attention import AlignedAttention
from tests.make_batches import learnable, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
ONE = FitOptions.of(head="aligned_attention", epochs=3, threads=1, head_options={"hidden": "16"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Manifest, store, and the runs of its two streams."""
    folder = tmp_path_factory.mktemp("init")
    labels, tokens = learnable(80, streams=("a", "b"))
    store, manifest = make_store(folder / "features", tokens), make_manifest(labels, split=SPLITS)
    from emo.heads.data.streams import open_sources

    names = [source.name for source in open_sources([store], ())[0]]
    runs = []
    for place, name in enumerate(names):
        runs.append(folder / f"run-{place}")
        fit_head(manifest, [store], runs[-1], dataclasses.replace(ONE, streams=(name,)))
    return manifest, store, [str(run) for run in runs]


def test_parts_start_with_the_weights_and_the_scaling_of_the_runs(made):
    manifest, store, runs = made
    initials = read_initial_weights(runs, AlignedAttention, "aligned_attention")
    still = ONE.replace(init=tuple(runs), epochs=1, learning_rate=1e-12)
    fewer = dataclasses.replace(manifest, clips=manifest.clips[10:])  # which it would scale apart
    result = fit_head(fewer, [store], None, still)
    for place, each in enumerate(initials.streams):
        ours = result.best.state[f"projections.{place}.weight"]
        torch.testing.assert_close(ours, each.weights["weight"], rtol=1e-5, atol=1e-6)
        assert torch.equal(result.data.scalings[each.stream].scale, each.scaling.scale)
    anew = fit_head(fewer, [store], None, dataclasses.replace(still, init=()))
    for name, scaling in initials.scalings.items():
        assert not torch.equal(anew.data.scalings[name].scale, scaling.scale)
    assert not torch.allclose(
        anew.best.state["projections.0.weight"], initials.streams[0].weights["weight"]
    )


def test_another_scaling_than_that_of_the_run_is_refused(made):
    manifest, store, runs = made
    name = read_initial_weights(runs, AlignedAttention, "aligned_attention").streams[0].stream
    for words in ("raw", "speaker"):
        with pytest.raises(FitError, match=rf"--scaling {name}={words}: its weights come from"):
            fit_head(manifest, [store], None, ONE.replace(init=tuple(runs), scaling={name: words}))


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (("test", "val", "train"), "20 clips of its train are in val here"),
        (("train", "test", "val"), "20 clips of its val are in test here"),
    ],
    ids=["trained on them", "chosen on them"],
)
def test_a_run_that_knows_our_val_or_test_clips_is_refused(made, order, said):
    manifest, store, runs = made
    other = [split for split in order for _ in range(40 if split == "train" else 20)]
    clips = tuple(
        dataclasses.replace(clip, split=split)
        for clip, split in zip(manifest.clips, other, strict=True)
    )
    turned = dataclasses.replace(manifest, clips=clips)
    with pytest.raises(FitError, match=f"run-0: {said}"):
        fit_head(turned, [store], None, dataclasses.replace(ONE, init=tuple(runs)))


def test_clips_of_a_second_target_and_those_of_its_own_init_runs_are_known(made, tmp_path):
    manifest, store, _ = made
    two = [
        dataclasses.replace(
            clip, targets={"other": "xy"[row % 2], **({} if row < 10 else clip.targets)}
        )
        for row, clip in enumerate(manifest.clips)
    ]
    first = tmp_path / "first, of both"  # its clips 0 to 9 have only the second target
    a = ONE.replace(epochs=1, streams=("fake/a",))
    fit_head(
        dataclasses.replace(manifest, clips=tuple(two)), [store], first,
        dataclasses.replace(a, target=("label", "other")),
    )  # fmt: skip
    later = [
        dataclasses.replace(clip, split="val" if row >= 70 else "train")
        for row, clip in enumerate(manifest.clips)
        if row >= 60
    ]
    second = tmp_path / "second"  # knows 60 to 79, and what the first knew
    fit_head(
        dataclasses.replace(manifest, clips=tuple(later)), [store], second,
        dataclasses.replace(a, init=(str(first),)),
    )  # fmt: skip
    turned = [
        dataclasses.replace(clip, split="test" if row < 10 else "train" if row < 70 else "val")
        for row, clip in enumerate(manifest.clips)
    ]
    for run in (first, second):
        with pytest.raises(FitError, match="10 clips of its train are in test here"):
            fit_head(
                dataclasses.replace(manifest, clips=tuple(turned)), [store], None,
                dataclasses.replace(ONE, init=(str(run),)),
            )  # fmt: skip


def test_another_recipe_of_the_same_name_is_refused(made, tmp_path):
    manifest, _, runs = made
    _, tokens = learnable(80, streams=("a", "b"))
    other = make_store(tmp_path / "features", tokens, options={"layer": 9})
    with pytest.raises(FitError, match=r"another recipe made its fake/a: options.layer: None -> 9"):
        fit_head(manifest, [other], None, dataclasses.replace(ONE, init=tuple(runs)))


def test_a_run_that_does_not_say_what_it_knows_is_refused(made, tmp_path):
    manifest, store, runs = made
    shutil.copytree(runs[0], tmp_path / "old")
    (tmp_path / "old" / "clips.csv").unlink()
    with pytest.raises(FitError, match=r"old: clips.csv, the list of its clips"):
        fit_head(manifest, [store], None, dataclasses.replace(ONE, init=(str(tmp_path / "old"),)))


def test_what_does_not_fit_is_named(made):
    manifest, store, runs = made
    wider = dataclasses.replace(ONE, init=tuple(runs), head_options={"hidden": "32"})
    with pytest.raises(
        FitError, match=r"weight has shape \(16, .*\) in that run and \(32, .*\) here"
    ):
        fit_head(manifest, [store], None, wider)
    with pytest.raises(FitError, match="expected a run of head mean_pool, found one of aligned"):
        fit_head(manifest, [store], None, FitOptions(head="mean_pool", init=tuple(runs)))
    with pytest.raises(FitError, match="head linear has no module of its own for each stream"):
        fit_head(manifest, [store], None, FitOptions(head="linear", init=tuple(runs)))
    with pytest.raises(FitError, match="were both fitted on"):
        fit_head(manifest, [store], None, dataclasses.replace(ONE, init=(runs[0], runs[0])))
    with pytest.raises(OptionError, match="--init and --search"):
        fit_head(manifest, [store], None, dataclasses.replace(ONE, init=tuple(runs), search=2))
    first = tuple(read_initial_weights(runs[1:], AlignedAttention, "x").scalings)
    alone = dataclasses.replace(ONE, init=(runs[0],), streams=first)
    with pytest.raises(FitError, match="that run reads"):
        fit_head(manifest, [store], None, alone)
