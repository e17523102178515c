"""Scaling by speaker: the formula, what is refused, and that no label has a part in it."""

import dataclasses

import numpy as np
import pytest
import torch

from emo.errors import FitError
from emo.heads.data.data import read_data, split_data
from emo.heads.data.load import load_clips
from emo.heads.data.speaker_scaling import SpeakerScaling, SpeakerStatistics
from emo.heads.data.splits import Splits
from emo.heads.options import FitOptions
from emo.ragged import Ragged
from emo.store import StreamSpec
from tests.make_batches import learnable, make_manifest, make_store

OPTIONS = FitOptions(streams=("fake/a",), scaling={"fake/a": "speaker"})
SPLITS = [("train", "train", "train", "val", "test")[row // 12] for row in range(60)]
SPEAKERS = [f"s{row // 6}" for row in range(60)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A manifest of ten speakers with six clips each, and a store of two streams."""
    labels, tokens = learnable(60, streams=("a", "b"))
    manifest = make_manifest(
        labels, split=SPLITS, speaker=SPEAKERS, dialogue=[f"d{row // 6}" for row in range(60)]
    )
    return manifest, make_store(tmp_path_factory.mktemp("speakers") / "features", tokens)


def with_columns(manifest, **columns):
    """Return the manifest with other values of fields of its clips."""
    clips = [
        dataclasses.replace(clip, **{name: values[row] for name, values in columns.items()})
        for row, clip in enumerate(manifest.clips)
    ]
    return dataclasses.replace(manifest, clips=tuple(clips))


def test_tokens_are_scaled_with_the_mixed_statistics_of_their_speaker():
    """Of n clips: mean n/(n+2) own, variance n/(n+10) own, the rest train's within speakers."""
    random = np.random.default_rng(0)
    lengths = [3, 1, 4, 2, 5, 2, 3]
    names = ["ann", "ann", "ben", "ben", "ben", "eve", ""]
    tokens = Ragged.of([random.normal(row, 1 + row, (k, 5)).astype(np.float32)
                        for row, k in enumerate(lengths)])  # fmt: skip
    train = [0, 1, 2, 3, 4]  # ann and ben; eve and the last clip are tested
    fitted = SpeakerScaling.fit(tokens.select(train), names[:5])
    own = SpeakerStatistics.of(tokens, names)
    found = fitted.apply(tokens, names, own)

    wide = tokens.values.astype(np.float64)
    of = np.repeat(names, lengths)
    in_train = np.isin(of, ["ann", "ben"])
    mean = wide[in_train].mean(0)
    within = np.concatenate([wide[of == n] - wide[of == n].mean(0) for n in ("ann", "ben")])
    variance = np.square(within).mean(0)
    for name, n in (("ann", 2), ("ben", 3), ("eve", 1), ("", 0)):
        rows = wide[of == name]
        m = n / (n + 2) * rows.mean(0) + (1 - n / (n + 2)) * mean
        v = n / (n + 10) * rows.var(0) + (1 - n / (n + 10)) * variance
        np.testing.assert_allclose(
            found.values[of == name], (rows - m) / np.sqrt(v), rtol=1e-4, atol=1e-5
        )
    alone = fitted.apply(tokens)
    np.testing.assert_allclose(
        alone.values, (wide - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-5
    )


def test_a_dimension_that_is_constant_within_speakers_says_nothing():
    """Names of people, written as a number, must not become noise or infinite."""
    values = np.repeat([[1e6, 0.1], [2e6, 0.1], [3e6, 0.3]], 4, axis=0).astype(np.float32)
    values[:, 1] += np.arange(12) % 4
    tokens, names = Ragged.of([row[None] for row in values]), list("aaaabbbbcccc")
    fitted = SpeakerScaling.fit(tokens, names)
    found = fitted.apply(tokens, names, SpeakerStatistics.of(tokens, names)).values
    assert np.isfinite(found).all()
    assert not found[:, 0].any()
    assert found[:, 1].std() == pytest.approx(1, abs=0.2)


def test_one_clip_a_speaker_has_the_deviation_of_all_tokens():
    tokens = Ragged.of([np.array([[float(row)]], np.float32) for row in range(9)])
    fitted = SpeakerScaling.fit(tokens, [str(row) for row in range(9)])
    assert float(fitted.deviation) == pytest.approx(np.arange(9).std())


@pytest.mark.parametrize("unit", ["clip", "dialogue"])
def test_labels_of_test_change_no_scaled_token(made, unit):
    """Neither in other orders, nor when some are missing."""
    manifest, store = made
    first = read_data(manifest, [store], OPTIONS, unit=unit)
    targets = [clip.targets for clip in manifest.clips]
    tested = [row for row, split in enumerate(SPLITS) if split == "test"]
    mixed = np.random.default_rng(1).permutation(tested)
    other = dict(zip(tested, [targets[row] for row in mixed], strict=True))
    permuted = with_columns(manifest, targets=[other.get(k, t) for k, t in enumerate(targets)])
    fewer = with_columns(
        manifest, targets=[{} if k in tested[::2] else t for k, t in enumerate(targets)]
    )
    for changed in (permuted, fewer):
        again = read_data(changed, [store], OPTIONS, unit=unit)
        for name, split in first.splits.items():
            ours, theirs = split.batch.streams["fake/a"], again.splits[name].batch.streams["fake/a"]
            same = [split.ids.index(clip) for clip in again.splits[name].ids]
            torch.testing.assert_close(theirs.values, ours.select(same).values, rtol=0, atol=1e-5)
            if changed is permuted:
                assert torch.equal(theirs.values, ours.values)


def test_labels_of_the_tested_fold_change_no_scaled_token(made):
    manifest, store = made
    targets = [clip.targets for clip in manifest.clips]
    permuted = with_columns(manifest, targets=[*targets[:6][::-1], *targets[6:]])
    rows = {"train": np.arange(12, 60), "val": np.arange(6, 12), "test": np.arange(6)}
    found = []
    for each in (manifest, permuted):
        loaded = load_clips(each, [store], OPTIONS, uses_splits=False)
        found.append(split_data(loaded, Splits(rows, (), is_fold=True)))
    for name in ("train", "val", "test"):
        first, second = (each.splits[name].batch.streams["fake/a"].values for each in found)
        assert torch.equal(first, second)


def test_the_speaker_is_gone_from_the_tokens(made):
    """A speaker's offset and factor have no part in the tokens, save what shrinkage leaves."""
    manifest, store = made
    data = read_data(manifest, [store], OPTIONS)
    plain = read_data(manifest, [store], OPTIONS.replace(scaling={}))
    test = data.splits["test"].batch.streams["fake/a"]
    before = plain.splits["test"].batch.streams["fake/a"]
    for rows in (range(6), range(6, 12)):
        after = test.select(list(rows)).values.mean(0).abs().mean()
        assert after < 0.5 * before.select(list(rows)).values.mean(0).abs().mean()
    assert plain.speakers is None


def test_speakers_of_few_clips_and_clips_without_one_are_counted(made):
    manifest, store = made
    names = [*SPEAKERS[:54], "few", "few", "FEW", None, None, ""]
    data = read_data(with_columns(manifest, speaker=names), [store], OPTIONS)
    notes = "\n".join(data.notes)
    assert "fake/a: scaled by speaker, with the clips of test too" in notes
    assert (
        "fake/a: 1 speaker has fewer than 5 clips (few): train's numbers have a large part" in notes
    )
    assert "3 clips without speaker: scaled with train's numbers" in notes


def test_without_any_speaker_it_is_refused(made):
    manifest, store = made
    with pytest.raises(FitError, match="fake/a=speaker: no clip has a speaker"):
        read_data(with_columns(manifest, speaker=[None] * 60), [store], OPTIONS)
    with pytest.raises(FitError, match="unknown stream of --scaling"):
        read_data(manifest, [store], OPTIONS.replace(scaling={"fake/c": "speaker"}))


@pytest.mark.parametrize("kind", ["sparse", "image"])
def test_streams_that_are_not_dense_are_refused(made, tmp_path, kind):
    tokens = {f"c{row}": {"a": np.ones((2, 3), np.float32)} for row in range(60)}
    spec = {"a": StreamSpec(3, "float32", kind=kind)}
    store = make_store(tmp_path / "features", tokens, specs=spec)
    with pytest.raises(
        FitError, match=f"fake/a=speaker: expected a dense stream, this one is {kind}"
    ):
        read_data(made[0], [store], OPTIONS)
