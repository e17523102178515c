"""``--stream RECIPE/STREAM@COLUMN``: rows that share a clip share its tokens, kept once."""

import numpy as np
import pytest
import torch
from torch import nn

from emo import plugins
from emo.errors import FitError
from emo.heads.data.data import read_data
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.runs.run import Run
from emo.manifest import Clip, Manifest
from emo.plugins import NoOptions
from emo.predict.predicted import predict_clips
from emo.ragged import Ragged
from tests.make_batches import make_store

CLIPS, ROWS = 30, 120
ANSWERS = ("dog", "cat", "car")
HEADS = (
    "aligned_attention", "attention_pool", "bilstm", "cross_modal", "linear", "mean_pool",
    "mlstm_fcn", "perceiver_probe", "spectrogram_cnn",
)  # fmt: skip


def rows_of(manifest, ids):
    named = {clip.id: clip for clip in manifest.clips}
    return [named[each] for each in ids]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Questions (manifest), one store of clips and questions, and one with a copy for each row."""
    path = tmp_path_factory.mktemp("asked")
    random = np.random.default_rng(0)
    videos = {f"v{n}": random.normal(size=(random.integers(1, 6), 8)) for n in range(CLIPS)}
    for n, tokens in enumerate(videos.values()):
        tokens[:, 0] += 3 * (n % 3)
    clips, words = [], {}
    for row in range(ROWS):
        video = f"v{row % CLIPS}" if row != 7 else ""
        split = ("train", "train", "val", "test")[(row % CLIPS) % 4]
        answer = ANSWERS[row % CLIPS % 3]
        targets = {"label": answer, **({"clip": video} if video else {})}
        clips.append(Clip(f"q{row}", text="what?", split=split, targets=targets))
        words[f"q{row}"] = random.normal(size=(2, 5))
    manifest = Manifest(path=path / "q.csv", root=path, clips=tuple(clips), sha256="0" * 64)
    made = lambda tokens: tokens.astype(np.float16)  # noqa: E731
    shared = make_store(path / "shared", {k: {"video": made(v)} for k, v in videos.items()},
                        recipe_name="lb")  # fmt: skip
    make_store(shared, {k: {"text": made(v)} for k, v in words.items()}, recipe_name="bert")
    copies = {
        clip.id: {"video": made(videos[clip.targets["clip"]])}
        for clip in clips
        if "clip" in clip.targets
    }
    copied = make_store(path / "copied", copies, recipe_name="lb")
    make_store(copied, {k: {"text": made(v)} for k, v in words.items()}, recipe_name="bert")
    return manifest, shared, copied


def options(head, *streams, **more):
    scaling = {name: "raw" for name in streams}
    steps = {} if head == "linear" else {"epochs": 1}
    own = {"solver": "ridge", "fusion": "late", "penalties": "3"} if head == "linear" else {}
    return FitOptions.of(
        head=head, head_options=own, streams=streams, scaling=scaling, threads=1, **steps, **more
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_head_on_shared_tokens_equals_the_head_on_copies(asked, head):
    manifest, shared, copied = asked
    ours = fit_head(manifest, [shared], None, options(head, "lb/video@clip", "bert/text"))
    theirs = fit_head(manifest, [copied], None, options(head, "lb/video", "bert/text"))
    assert ours.best.state.keys() == theirs.best.state.keys()
    for name, tensor in ours.best.state.items():
        torch.testing.assert_close(tensor, theirs.best.state[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        ours.scores["test"].probabilities, theirs.scores["test"].probabilities, atol=1e-5
    )


@pytest.mark.parametrize("head", ["dialogue_bilstm", "joint"])
def test_heads_of_dialogues_read_shared_tokens_too(asked, head):
    manifest, shared, copied = asked
    clips = tuple(
        Clip(clip.id, split=clip.split, targets=clip.targets,
             dialogue=f"d{clip.split}{row % 3}", turn=row)
        for row, clip in enumerate(manifest.clips)
    )  # fmt: skip
    talks = Manifest(manifest.path, manifest.root, clips, "0" * 64)
    ours = fit_head(talks, [shared], None, options(head, "lb/video@clip", "bert/text"))
    theirs = fit_head(talks, [copied], None, options(head, "lb/video", "bert/text"))
    np.testing.assert_allclose(
        ours.scores["test"].probabilities, theirs.scores["test"].probabilities, atol=1e-5
    )


class OfOwn(Head):
    """A head that says nothing about pooling: its pool is not called on shared tokens."""

    Options = NoOptions

    def __init__(self, dims, classes, *, options):
        super().__init__(dims, classes, options=options)
        self.classes = dict(classes)
        self.linear = nn.Linear(sum(dims.values()), sum(classes.values()))

    def pool(self, batch):
        assert all(tokens.index is None for tokens in batch.streams.values())
        return batch

    def forward(self, batch):
        means = [
            torch.stack([clip.sum(0) / max(len(clip), 1) for clip in batch.streams[name]])
            for name in self.streams
        ]
        return {"label": self.linear(torch.cat(means, dim=1))}


def test_a_head_of_ones_own_sees_no_index(asked):
    manifest, shared, copied = asked
    name = plugins.lend(OfOwn)
    ours = fit_head(manifest, [shared], None, options(name, "lb/video@clip"))
    theirs = fit_head(manifest, [copied], None, options(name, "lb/video"))
    assert (ours.scores["test"].probabilities == theirs.scores["test"].probabilities).all()


def test_search_and_missing_streams_read_shared_tokens(asked):
    manifest, shared, _ = asked
    asking = options("mean_pool", "lb/video@clip", "bert/text", search=2, missing=True)
    found = fit_head(manifest, [shared], None, asking)
    assert set(found.missing["label"]) == {"without lb/video@clip", "without bert/text"}


def test_the_bits_are_those_of_copies(asked):
    manifest, shared, copied = asked
    ours = fit_head(manifest, [shared], None, options("mean_pool", "lb/video@clip"))
    theirs = fit_head(manifest, [copied], None, options("mean_pool", "lb/video"))
    assert (ours.scores["test"].probabilities == theirs.scores["test"].probabilities).all()


def test_tokens_are_kept_once_and_scaled_over_distinct_clips(asked):
    manifest, shared, _ = asked
    asking = FitOptions.of(streams=("lb/video@clip",))
    data = read_data(manifest, [shared], asking)
    tokens = {name: split.batch.streams["lb/video@clip"] for name, split in data.splits.items()}
    assert len({id(each.values) for each in tokens.values()}) == 1  # one copy for all splits
    train = tokens["train"]
    assert len(train.distinct) <= CLIPS + 1 < len(train)
    used = train.distinct.select(np.unique(train.index)).values
    np.testing.assert_allclose(used.mean(0), 0, atol=1e-4)  # each clip of train counts once
    assert any("1 row" not in note and "share the tokens of 30 clips" in note
               for note in data.notes)  # fmt: skip


def test_shared_tokens_are_predicted_and_the_run_is_read_back(asked, tmp_path):
    manifest, shared, _ = asked
    asking = FitOptions.of(streams=("lb/video@clip", "bert/text"), epochs=2, head="mean_pool")
    found = fit_head(manifest, [shared], tmp_path / "run", asking)
    run = Run.load(tmp_path / "run")
    asked_lines = run.document["asked"]
    assert "emo extract CLIPS --backbone fake:lb " in asked_lines[0]
    assert "emo extract q.csv --backbone fake:bert" in asked_lines[1]
    assert "--stream lb/video@clip --stream bert/text" in asked_lines[-1]
    again = predict_clips(run, manifest, [shared])
    table = found.predictions.set_index("id")["prediction"]
    frame = again.frame().set_index("id")
    assert (frame["prediction"].loc[table.index] == table).all()
    assert frame["absent"]["q7"] == "lb/video@clip"
    with pytest.raises(FitError, match=r"tokens of clips that the rows .* --features STORE"):
        predict_clips(run, manifest)


def test_rows_without_any_tokens_are_named_with_the_column(asked, tmp_path):
    manifest, shared, _ = asked
    asking = FitOptions.of(streams=("lb/video@clip",), epochs=1, head="mean_pool")
    fit_head(manifest, [shared], tmp_path / "run", asking)
    more = Clip("new", text="where?", targets={"clip": "v99"})
    found = predict_clips(tmp_path / "run", Manifest(manifest.path, manifest.root,
                          (*manifest.clips[:9], more), "0" * 64), [shared])  # fmt: skip
    assert found.failures == {
        "q7": "its clip is empty",
        "new": "clip v99 is not in the store; run emo extract",
    }


def test_clips_in_two_splits_are_named(asked):
    manifest, shared, _ = asked
    moved = tuple(
        clip if clip.id != "q1" else Clip("q1", split="test", targets=clip.targets)
        for clip in manifest.clips
    )
    data = read_data(Manifest(manifest.path, manifest.root, moved, "0" * 64), [shared],
                     FitOptions.of(streams=("lb/video@clip",)))  # fmt: skip
    assert "test: 1 clip of lb/video@clip is in train too (v1), in 1 of 28 rows" in data.notes


def test_splits_and_folds_that_are_cut_keep_rows_of_a_clip_together(asked):
    manifest, shared, _ = asked
    free = tuple(Clip(clip.id, targets=clip.targets) for clip in manifest.clips)
    unsplit = Manifest(manifest.path, manifest.root, free, "0" * 64)
    asking = FitOptions.of(streams=("lb/video@clip",), head="mean_pool", epochs=1, threads=1)
    data = read_data(unsplit, [shared], asking)
    owners = [set(split.shared["lb/video@clip"]) for split in data.splits.values()]
    assert sum(map(len, owners)) == len(set.union(*owners))
    assert any("whole values of clip, stratified by label" in note for note in data.notes)
    crossed = cross_validate(unsplit, [shared], None, asking, by="3")
    assert "3 folds of whole values of clip" in crossed.how
    loose = read_data(unsplit, [shared], asking.replace(cut="clips"))
    assert any("test shares values of clip with train" in note for note in loose.notes)


@pytest.mark.parametrize(
    ("stream", "more", "message"),
    [
        ("lb/video@", {}, "expected the column with the ids of the clips behind @"),
        ("lb/video@clop", {}, "no row has a value of it; unknown column 'clop'"),
        ("lb/video@label", {}, "none of the 3 ids in column label, such as 'dog', is a clip"),
        ("lb/sound@clip", {}, "lb/sound"),
        ("lb/video@clip", {"scaling": {"lb/video@clip": "speaker"}}, "several speakers"),
    ],
)
def test_wrong_names_are_refused(asked, stream, more, message):
    manifest, shared, _ = asked
    with pytest.raises(FitError, match=message):
        read_data(manifest, [shared], FitOptions.of(streams=(stream,), **more))


def test_an_index_is_kept_by_subset_and_resolved_by_select():
    tokens = Ragged(np.arange(10.0).reshape(5, 2), np.array([0, 2, 2, 5]), np.array([2, 0, 2, 1]))
    assert len(tokens) == 4
    assert tokens.lengths.tolist() == [3, 2, 3, 0]
    assert not tokens.is_single
    assert tokens[2].tolist() == tokens.distinct[2].tolist()
    assert [len(each) for each in tokens] == [3, 2, 3, 0]
    assert tokens.subset([3, 2]).values is tokens.values
    assert tokens.select([2, 3]).offsets.tolist() == [0, 3, 3]
    with pytest.raises(ValueError, match="expected an index below 3"):
        Ragged(tokens.values, tokens.offsets, np.array([3]))
