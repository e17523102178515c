"""Every preset trains on tiny features of the shapes of its source."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from emo.errors import OptionError
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.options_from_cli import fit_options
from emo.heads.presets import PRESETS
from tests.make_batches import make_manifest, make_store

ROOT = Path(__file__).parents[2]
CLIPS = 36
SPLITS = ["train"] * 20 + ["val"] * 8 + ["test"] * 8


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_on_features_of_its_shapes(name, tmp_path):
    preset = PRESETS[name]
    random = np.random.default_rng(0)
    recipes = {}
    for stream, width in preset.dims.items():
        recipes.setdefault(stream.partition("/")[0], {})[stream.partition("/")[2]] = width
    stores = [
        make_store(
            tmp_path / recipe,
            {
                f"c{row}": {
                    stream: random.standard_normal((1 + row % 3, width)).astype(np.float32)
                    for stream, width in streams.items()
                }
                for row in range(CLIPS)
            },
            recipe_name=recipe,
            options={"of": recipe},
        )
        for recipe, streams in recipes.items()
    ]
    typed = {"epochs": 1} if name != "mosi-linear" else {}  # that is solved, not trained by steps
    options = fit_options(typed, targets=[], tasks=[], weights=[], option=[], preset=name)
    labels = [["joy", "anger"][row % 2] for row in range(CLIPS)]
    manifest = make_manifest(
        labels, split=SPLITS, dialogue=[f"d{row // 4}" for row in range(CLIPS)]
    )
    clips = tuple(
        dataclasses.replace(clip, targets=dict.fromkeys(options.targets, clip.targets["label"]))
        for clip in manifest.clips
    )
    result = fit_head(dataclasses.replace(manifest, clips=clips), stores, None, options)
    assert set(result.data.dims) == set(preset.dims)
    assert f"preset {name}: {preset.source}" in result.table()


def test_what_is_typed_goes_before_the_preset():
    words = {"targets": ["label"], "tasks": [], "weights": []}
    found = fit_options({}, option=["hidden=8"], preset="semeval-exp1", **words)
    assert found.head_options == {"hidden": "8", "attention": "128", "dropout": "0.3"}
    assert found.streams == ("videollama/video", "videollama/text")
    other = fit_options(
        {"head": "linear", "streams": ("x",)}, option=[], preset="semeval-exp1", **words
    )
    assert (other.head, other.head_options, other.streams) == ("linear", {}, ("x",))
    with pytest.raises(OptionError, match="unknown preset 'semeval-exp2'; did you mean"):
        fit_options({}, option=[], preset="semeval-exp2", **words)


def test_the_page_shows_every_preset_with_what_its_source_reports():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "heads.md").read_text().splitlines()
    ]
    shown = {row[0].strip("`"): row[-1] for row in rows if len(row) == 4}
    for name, preset in PRESETS.items():
        assert shown[name] == preset.reported
