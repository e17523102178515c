"""Dialogues and pairs: their rows, selecting them, reading them, and learning from them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from emo import plugins
from emo.errors import FitError
from emo.heads.data.data import read_data
from emo.heads.data.dialogues import pairs_of, turns_of
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.head import Batch, Head, Width
from emo.heads.library.joint import JointHead, JointOptions
from emo.heads.metrics.classes import confusion
from emo.heads.metrics.measures import pair_scores
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.run import Run
from emo.heads.training.inference import logits_of
from emo.predict.file import predict_manifest
from emo.score.semeval import score_pairs
from emo.store.store import Store
from tests.make_batches import assert_close, learnable, make_batch, make_manifest, make_store

TURNS = torch.tensor([[4, 0, 2], [1, 3, -1]])
QUICK = FitOptions.of(head="joint", epochs=30, learning_rate=5e-3, patience=30, batch_size=8)


def with_dialogues():
    batch = make_batch({"s/a": [1, 2, 1, 3, 2], "s/b": [1, 0, 2, 1, 1]})
    pairs = torch.from_numpy(pairs_of(TURNS.numpy()))
    targets = {**batch.targets, "cause": torch.arange(len(pairs)) % 2}
    return Batch(
        batch.streams, turns=TURNS, pairs=pairs, targets=targets, pair_targets=frozenset({"cause"})
    )


def test_turns_are_ordered_and_loners_are_dialogues():
    manifest = make_manifest(
        ["x"] * 5, dialogue=["d", "e", "d", None, "d"], turn=[2, None, 0, None, 1]
    )
    assert turns_of(manifest.clips).tolist() == [[2, 4, 0], [1, -1, -1], [3, -1, -1]]


def test_every_pair_within_a_dialogue_and_none_across():
    pairs = pairs_of(TURNS.numpy()).tolist()
    assert pairs[:4] == [[4, 4], [4, 0], [4, 2], [0, 4]]
    assert len(pairs) == 9 + 4


def test_whole_dialogues_are_selected_with_their_pairs():
    batch = with_dialogues()
    part = batch.select_dialogues([1])
    assert part.turns.tolist() == [[0, 1]]
    assert part.pairs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert part.targets["emotion"].tolist() == batch.targets["emotion"][[1, 3]].tolist()
    assert part.targets["cause"].tolist() == batch.targets["cause"][9:].tolist()
    both = batch.select_dialogues([1, 0])
    assert both.turns.tolist() == [[0, 1, -1], [2, 3, 4]]
    assert torch.equal(both.streams["s/a"][2], batch.streams["s/a"][4])
    assert batch.select([0, 1]).pairs is None
    assert set(batch.select([0, 1]).targets) == {"emotion"}


def test_pair_logits_do_not_depend_on_other_dialogues():
    batch = with_dialogues()
    dims = {stream: tokens.width for stream, tokens in batch.streams.items()}
    classes = {"emotion": 3, "cause": Width(2, "pairs")}
    head = JointHead(dims, classes, options=JointOptions()).eval()
    together = head(batch)
    assert {key: value.shape for key, value in together.items()} == {
        "emotion": (5, 3), "cause": (13, 2),
    }  # fmt: skip
    alone = head(batch.select_dialogues([1]))
    assert_close(alone["cause"], together["cause"][9:])
    found = logits_of(head, batch)
    for target in together:
        assert_close(found[target], together[target])
    sum(logits.square().sum() for logits in together.values()).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in head.parameters())


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Dialogues of four turns; each joy is caused by the turn before it."""
    labels, tokens = learnable(240)
    order = np.random.default_rng(0).permutation(240)
    ids = list(tokens)
    tokens = {f"c{row}": tokens[ids[place]] for row, place in enumerate(order)}
    labels = [labels[place] for place in order]
    cells = [
        f"joy:{row % 4 - 1}" if label == "joy" and row % 4 else "none"
        for row, label in enumerate(labels)
    ]
    split = ["train"] * 160 + ["val"] * 40 + ["test"] * 40
    manifest = make_manifest(
        labels, split=split, dialogue=[f"d{row // 4}" for row in range(240)],
        turn=[row % 4 for row in range(240)],
    )  # fmt: skip
    clips = tuple(
        dataclasses.replace(clip, targets={**clip.targets, "cause": cell})
        for clip, cell in zip(manifest.clips, cells, strict=True)
    )
    store = make_store(tmp_path_factory.mktemp("spoken") / "features", tokens)
    return dataclasses.replace(manifest, clips=clips), store


@pytest.fixture(scope="module")
def learnt(spoken, tmp_path_factory):
    """A fit of emotions and pairs together."""
    manifest, store = spoken
    options = dataclasses.replace(QUICK, target=("label", "cause"), tasks={"cause": "pairs"})
    return fit_head(manifest, [store], tmp_path_factory.mktemp("learnt") / "run", options)


def test_emotions_and_pairs_are_learnt_together(spoken, learnt):
    manifest, store = spoken
    result, out = learnt, learnt.out
    assert result.metrics["test"]["mean"]["weighted_f1"] > 0.6
    pairs = result.all_metrics["cause"]["test"]
    assert pairs["clips"] == 10 * 16
    assert pairs["mean"]["weighted_f1"] > 0.5
    assert pairs["majority"]["weighted_f1"] == 0
    assert pairs["interval"]["weighted_f1"][0] <= pairs["mean"]["weighted_f1"]
    table = pd.read_csv(out / "predictions-cause.csv", keep_default_na=False)
    assert list(table)[:5] == ["id", "cause_id", "dialogue", "split", "seed"]
    assert json.loads((out / "run.json").read_text())["targets"][1]["task"] == "pairs"
    assert "joint on fake/a -> cause" in result.table()
    run = Run.load(out)
    ids = [clip.id for clip in manifest.clips if clip.split == "test"]
    found = run.predict({"fake/a": Store(store).read("fake/a", ids)})
    expected = result.predictions[result.predictions["split"] == "test"].filter(like="p_")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_predictions_of_a_manifest_are_a_table_for_each_target(spoken, learnt, tmp_path):
    manifest, store = spoken
    rows = [f"{c.id},x,{c.dialogue},{c.turn}" for c in manifest.clips if c.split == "test"]
    path = tmp_path / "new.csv"
    path.write_text("\n".join(["id,text,dialogue,turn", *rows]) + "\n")
    predict_manifest(learnt.out, path, store, tmp_path / "found.csv", columns={}, root=None)
    for name in ("", "-cause"):
        keys = ["id", "cause_id"] if name else ["id"]
        ours = pd.read_csv(tmp_path / f"found{name}.csv", keep_default_na=False)
        theirs = pd.read_csv(learnt.out / f"predictions{name}.csv", keep_default_na=False)
        both = ours.merge(theirs[theirs["split"] == "test"], on=keys)
        assert len(both) == len(ours) == (160 if name else 40)
        assert (both["prediction_x"] == both["prediction_y"]).all()


def test_pairs_of_all_folds_are_scored_and_compared_together(spoken, tmp_path):
    manifest, store = spoken
    options = QUICK.replace(target=("label", "cause"), tasks={"cause": "pairs"}, epochs=2)
    found = cross_validate(manifest, [store], tmp_path / "run", options, by="2")
    pairs = found.pooled.all_metrics["cause"]["test"]
    table = pd.read_csv(tmp_path / "run" / "predictions-cause.csv", keep_default_na=False)
    assert pairs["clips"] == len(table) == len(pairs_of(turns_of(manifest.clips)))
    assert set(table["id"]) == {clip.id for clip in manifest.clips}
    path = tmp_path / "run"
    paired = compare_runs([path], pair=(path, path), target="cause").paired
    assert paired.drawn == f"{len({clip.dialogue for clip in manifest.clips})} dialogues"
    assert all(one.interval == (0, 0) for one in paired.differences.values())


@pytest.mark.parametrize("head", ["dialogue_bilstm", "joint"])
def test_dialogue_heads_learn_plain_emotions(spoken, head):
    manifest, store = spoken
    options = dataclasses.replace(QUICK, head=head)
    assert fit_head(manifest, [store], None, options).metrics["test"]["mean"]["uar"] > 0.6


def test_context_helps_where_the_dialogue_tells_the_label(spoken):
    """Make the label of each turn that of the turn before, which one clip alone cannot tell."""
    manifest, store = spoken
    clips = tuple(
        dataclasses.replace(
            clip,
            targets={"label": manifest.clips[row - 1].targets["label"]} if clip.turn else {},
        )
        for row, clip in enumerate(manifest.clips)
    )
    manifest = dataclasses.replace(manifest, clips=clips)
    options = dataclasses.replace(QUICK, head="dialogue_bilstm")
    found = fit_head(manifest, [store], None, options)
    assert found.metrics["test"]["mean"]["uar"] > 0.55
    assert found.metrics["test"]["clips"] == 30
    assert len(found.data.splits["test"].ids) == 40
    alone = fit_head(manifest, [store], None, dataclasses.replace(QUICK, head="mean_pool"))
    assert alone.metrics["test"]["mean"]["uar"] < 0.5


def test_dialogues_are_never_cut(spoken):
    manifest, store = spoken
    clips = tuple(dataclasses.replace(clip, split=None) for clip in manifest.clips)
    whole = dataclasses.replace(manifest, clips=clips)
    splits = read_data(whole, [store], FitOptions(target="label"), unit="dialogue").splits
    assert list(splits) == ["train", "val", "test"]
    for split in splits.values():
        assert len(split.batch.turns) * 4 == len(split.ids)
    few = dataclasses.replace(manifest, clips=clips[:8])
    with pytest.raises(FitError, match="2 dialogues of train: none can be held out"):
        read_data(few, [store], FitOptions(target="label"), unit="dialogue")


def test_a_quick_look_keeps_dialogues_whole(spoken):
    manifest, store = spoken
    found = read_data(
        manifest, [store], FitOptions(target="label", max_samples=22), unit="dialogue"
    )
    assert {name: len(split.ids) for name, split in found.splits.items()} == {
        "train": 20, "val": 20, "test": 20,
    }  # fmt: skip
    assert "only a quick look" in found.notes[0]


def test_clip_heads_refuse_pairs_and_dialogues_refuse_mixup(spoken):
    manifest, store = spoken
    pairs = dataclasses.replace(QUICK, head="linear", target="cause", tasks={"cause": "pairs"})
    with pytest.raises(FitError, match="head linear does not serve pairs targets"):
        fit_head(manifest, [store], None, pairs)
    with pytest.raises(FitError, match="mixup cannot mix"):
        fit_head(manifest, [store], None, QUICK.replace(mixup=0.2))
    with pytest.raises(
        FitError, match="head joint: expected a first target of clips, got the pair target cause"
    ):
        fit_head(manifest, [store], None, dataclasses.replace(pairs, head="joint"))


def test_causes_that_are_not_there_are_said(spoken):
    manifest, store = spoken
    first = dataclasses.replace(manifest.clips[0], targets={"label": "joy", "cause": "joy:9"})
    clips = (first, *manifest.clips[1:])
    asked = FitOptions(target=("label", "cause"), tasks={"cause": "pairs"})
    data = read_data(dataclasses.replace(manifest, clips=clips), [store], asked, unit="dialogue")
    assert "train: 1 cause pairs name a turn that is not there: not scored" in data.notes


def test_pair_scores_are_those_of_the_official_scorer():
    random = np.random.default_rng(0)
    names = ["none", "anger", "joy", "sadness"]
    gold, found = random.integers(0, 4, (2, 400))

    def document(labels):
        pairs = [
            [f"{row // 20 + 1}_{names[k]}", str(row % 20 + 1)] for row, k in enumerate(labels) if k
        ]
        return [{"conversation_ID": 1, "emotion-cause_pairs": pairs}]

    official = score_pairs(document(gold), document(found))
    ours = pair_scores(confusion(gold, found, 4))
    expected = {"weighted_f1": "w_f1", "micro_f1": "micro_f1", "precision": "micro_p"}
    for name, theirs in expected.items():
        assert float(ours[name]) == pytest.approx(official[theirs], abs=1e-6)


@pytest.mark.parametrize("name", ["dialogue_bilstm", "joint"])
def test_without_context_a_turn_depends_on_itself_alone(name):
    lengths = [2, 3, 1, 4, 2, 5]
    batch = dataclasses.replace(make_batch(lengths), turns=torch.tensor([[0, 1, 2], [3, 4, 5]]))
    kind = plugins.load(plugins.HEADS, name, Head)
    classes = {"emotion": 3, "cause": 2}
    for context, is_same in (("none", True), ("lstm", False)):
        torch.manual_seed(0)
        head = kind({"s/a": 6}, classes, options=kind.Options(context=context)).eval()
        whole = head(batch)["cause"]
        alone = head(dataclasses.replace(batch, turns=torch.arange(6)[:, None]))["cause"]
        assert torch.allclose(whole, alone, atol=1e-6) is is_same
