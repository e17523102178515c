"""Crops stored by `faces` serve face models later: the same bits, nothing decoded again."""

from dataclasses import asdict, replace

import numpy as np
import pytest

import emo.extract.decode.one_pass as segments
from emo.extract.backbones.faces import FaceCrops, FaceCropsOptions
from emo.extract.backbones.vggface import VggFace
from emo.extract.job.request import Request
from emo.extract.run import extract
from emo.extract.worker.decoding.cached_faces import CachedFaces
from emo.manifest import read_manifest
from emo.store import Store


@pytest.fixture(scope="module")
def manifest(demo_clips):
    return read_manifest(demo_clips / "manifest.csv")


def requests():
    crops = FaceCropsOptions(frames=2)
    options = VggFace.tiny().options
    return (
        Request("faces", "faces", asdict(crops), FaceCrops.recipe(crops)),
        Request("vggface", "vggface", asdict(options), VggFace.recipe(options)),
    )


def test_embeddings_of_stored_crops_are_those_of_the_video(manifest, tmp_path, monkeypatch):
    faces, vggface = requests()
    clips = manifest.__class__(manifest.path, manifest.root, manifest.clips[:4], "")
    extract(clips, tmp_path / "video", [vggface], progress=False)
    extract(clips, tmp_path / "crops", [faces], progress=False)
    seen = []
    real = segments.load_each
    monkeypatch.setattr(
        segments,
        "load_each",
        lambda s, needs, detect: seen.extend(needs) or real(s, needs, detect=detect),
    )
    report = extract(clips, tmp_path / "crops", [vggface], progress=False)
    assert report.exit_code == 0
    assert all(need.frames is None and need.faces is None for need in seen)
    ids = [clip.id for clip in clips.clips]
    direct, cached = (Store(tmp_path / name) for name in ("video", "crops"))
    np.testing.assert_array_equal(
        direct.read("vggface/face", ids).values, cached.read("vggface/face", ids).values
    )
    assert direct.recipes["vggface"].notes == cached.recipes["vggface"].notes


def test_crops_of_other_frames_another_rule_or_another_source_are_not_taken(manifest, tmp_path):
    options = FaceCropsOptions(frames=3)
    other = Request("faces", "faces", asdict(options), FaceCrops.recipe(options))
    clips = manifest.__class__(manifest.path, manifest.root, manifest.clips[:1], "")
    extract(clips, tmp_path, [other], progress=False)
    cached = CachedFaces(Store(tmp_path))
    source = Store(tmp_path).recipes["faces"].sources[clips.clips[0].id]
    need = VggFace.needs(VggFace.tiny().options)
    assert cached.get(need, clips.clips[0].id, source) is None
    own = FaceCrops.needs(options)
    assert own.faces is not None
    assert cached.get(own, clips.clips[0].id, source) is not None
    for changed in ({"margin": 0.2}, {"mode": "largest"}, {"min_probability": 0.5}, {"size": 96}):
        rule = replace(own, faces=replace(own.faces, **changed))
        assert cached.get(rule, clips.clips[0].id, source) is None, changed
    assert cached.get(FaceCrops.needs(options), clips.clips[0].id, "another") is None
