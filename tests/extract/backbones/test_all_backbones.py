"""Every backbone over every real clip: with tiny weights, end to end into a store, to a head."""

from dataclasses import asdict
from importlib.util import find_spec

import numpy as np
import pytest

from emo import plugins
from emo.extract.backbone import Backbone
from emo.extract.job.request import Request
from emo.extract.run import ExtractOptions, extract
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import Clip, Manifest
from emo.store import Store
from tests.conftest import REAL_DATA

pytestmark = pytest.mark.slow  # minutes: 31 files of up to 1080p through eleven models
SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".flv", ".wav"}
LABELS = ("angry", "sad")


def manifest():
    """All of clips/ and flv/ with a text and a made-up label each."""
    files = sorted(
        path
        for folder in ("clips", "flv")
        for path in (REAL_DATA / folder).iterdir()
        if path.suffix in SUFFIXES
    )
    clips = tuple(
        Clip(
            path.name,
            video=None if path.suffix == ".wav" else str(path.relative_to(REAL_DATA)),
            audio=str(path.relative_to(REAL_DATA)) if path.suffix == ".wav" else None,
            text=f"This is {path.stem}",
            split=("train", "train", "val", "test")[k // 2 % 4],
            targets={"label": LABELS[k % 2]},
        )
        for k, path in enumerate(files)
    )
    return Manifest(path=REAL_DATA, root=REAL_DATA, clips=clips, sha256="")


def requests():
    for name in plugins.available(plugins.BACKBONES):
        if name == "arrays":  # reads files that a column names, and there is none
            continue
        if name == "opensmile" and find_spec("opensmile") is None:
            continue  # an extra of its own
        kind = plugins.load(plugins.BACKBONES, name, Backbone)
        options = kind.tiny().options
        yield Request(name, name, asdict(options), kind.recipe(options))


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"{REAL_DATA} is not there")
def test_every_backbone_extracts_every_clip_and_a_head_fits_on_it(tmp_path, capsys):
    clips, wanted = manifest(), list(requests())
    report = extract(clips, tmp_path, wanted, ExtractOptions(workers=2))
    store = Store(tmp_path)
    for request in wanted:
        found = store.recipes[request.name]
        failed = report.failures.get(request.name, {})
        assert set(found.ids) | set(failed) == {clip.id for clip in clips.clips}
        assert all(
            "no video" in why or "no audio" in why or "no face" in why for why in failed.values()
        ), failed
        for stream in request.recipe.streams:
            tokens = store.read(f"{request.name}/{stream}")
            assert np.isfinite(tokens.values).all()
            with capsys.disabled():
                print(
                    f"\n{request.name + '/' + stream:22} {len(tokens):3} clips of {tokens.width}",
                    end="",
                )
        streams = tuple(f"{request.name}/{stream}" for stream in request.recipe.streams)
        options = FitOptions(head="linear", streams=streams, allow_missing=1.0)
        result = fit_head(clips, [tmp_path], None, options, progress=False)
        assert 0 <= result.scores["test"].to_json()["mean"]["weighted_f1"] <= 1
