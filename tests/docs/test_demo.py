"""The demo on other, smaller synthetic data: each modality alone is useful, and so is fusion."""

import random
from dataclasses import replace

import pytest

from emo.commands.demo import (
    HEAD,
    STREAMS_OF_MODALITY,
    face_share,
    pooled_rotations,
    rotation_rows,
    rotations,
)
from emo.datasets.synthetic.dataset import write_dataset
from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.heads.fitting.fit import FitOptions
from emo.manifest import read_manifest
from emo.store import Store

pytestmark = pytest.mark.docs
PERMUTATIONS = 2


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((2, 4), id="96 clips"),
        pytest.param((1, 8), id="192 clips", marks=pytest.mark.slow),
        pytest.param((2, 8), id="192 others", marks=pytest.mark.slow),
    ],
)
def demo(request, tmp_path_factory):
    """(manifest, store) of another data seed, with so many clips of each class and speaker."""
    seed, count = request.param
    folder = tmp_path_factory.mktemp("demo")
    path = write_dataset(folder, seed=seed, clips_per_class_and_speaker=count)
    manifest = read_manifest(path)
    options = ExtractOptions(workers=2)
    report = extract(manifest, folder / "features", requests_from_words(["classic"]), options)
    assert report.exit_code == 0
    return manifest, folder / "features"


def test_each_alone_is_useful_and_fusion_beats_the_best(demo):
    manifest, features = demo
    assert face_share(Store(features)) >= 0.95
    found = {row["streams"]: row["weighted_f1"] for row in rotation_rows(manifest, features)}
    alone = [found[name] for name in ("face", "audio", "text")]
    assert min(alone) >= 0.45, found
    assert max(alone) <= 0.75, found
    assert found["fused"] >= max(alone) + 0.05, found


@pytest.mark.slow
def test_permuted_labels_are_at_chance(demo):
    manifest, features = demo
    options = FitOptions(head=HEAD, streams=STREAMS_OF_MODALITY["fused"])
    found = []
    for seed in range(PERMUTATIONS):
        labels = [clip.targets["label"] for clip in manifest.clips]
        random.Random(seed).shuffle(labels)
        clips = tuple(
            replace(clip, targets={"label": label})
            for clip, label in zip(manifest.clips, labels, strict=True)
        )
        shuffled = replace(manifest, clips=clips)
        together = pooled_rotations(rotations(shuffled, features, options))
        found.append(together.scores["weighted_f1"])
    assert sum(found) / PERMUTATIONS == pytest.approx(0.25, abs=0.10), found
