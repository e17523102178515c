"""The option ``trim`` of backbones that hear: off it changes nothing, on it cuts both ends."""

from dataclasses import replace

import numpy as np
import pytest
import transformers as hf

from emo import plugins
from emo.errors import OptionError
from emo.extract.backbone import Backbone, recipe_options
from emo.extract.backbones.classic import Classic, ClassicOptions
from emo.extract.backbones.hf import HF
from emo.extract.backbones.logmel import LogMel, LogMelOptions, standardised
from emo.extract.job.repeat_recipes import requests_of_recipes
from emo.extract.media import Media
from emo.extract.transforms.trim import energy_bounds
from tests.make_hf import SMALL, load, write

SPEECH = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
PADDED = np.pad(SPEECH, (9000, 15000))
LOW, HIGH = energy_bounds(PADDED)
HEARERS = {"classic": ClassicOptions(), "logmel": LogMelOptions()}


def prepare(backbone, samples):
    return backbone.prepare(Media(samples=samples[None], sample_rate=16000))


@pytest.mark.parametrize(
    ("name", "fingerprint"), [("classic", "2dadccd06c762857"), ("logmel", "66cca865fadb2de9")]
)
def test_fingerprints_of_older_stores_are_kept_while_the_option_is_off(name, fingerprint):
    kind = plugins.load(plugins.BACKBONES, name, Backbone)
    recipe = kind.recipe(kind.Options())
    assert recipe.fingerprint == fingerprint
    assert not {"trim", "normalise"} & set(recipe.options)
    trimmed = kind.recipe(kind.Options(trim="energy"))
    assert trimmed.options["trim"] == "energy"
    assert trimmed.fingerprint != fingerprint


@pytest.mark.parametrize("kind", [Classic, LogMel])
def test_only_the_ends_are_cut_and_the_seconds_kept_are_noted(kind):
    found = prepare(kind(kind.Options(trim="energy")), PADDED)
    cut = prepare(kind(kind.Options()), PADDED[LOW:HIGH])
    np.testing.assert_array_equal(found.inputs["audio"], cut.inputs["audio"])
    assert found.notes == {"seconds_kept": (HIGH - LOW) / 16000}
    assert cut.notes == {}
    assert len(PADDED) > HIGH - LOW >= len(SPEECH)


def test_hf_trims_sound_before_it_cuts_windows(tmp_path):
    config = hf.Wav2Vec2Config(**SMALL, conv_dim=(8, 8), conv_stride=(5, 4), conv_kernel=(10, 8),
        num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2)  # fmt: skip
    write(tmp_path, config, hf.Wav2Vec2FeatureExtractor())
    plain, trimmed = load(tmp_path), load(tmp_path, trim="energy")
    found, cut = prepare(trimmed, PADDED), prepare(plain, PADDED[LOW:HIGH])
    for each, expected in zip(found.inputs["rows"], cut.inputs["rows"], strict=True):
        for name in expected.rows:
            assert each.rows[name].equal(expected.rows[name])
    assert found.notes == {"seconds_kept": (HIGH - LOW) / 16000}
    assert "trim" not in HF.recipe(plain.options).options
    assert HF.stretch_seconds(plain.options) == 240
    assert HF.stretch_seconds(trimmed.options) is None, "ends of stretches are no ends of clips"


def test_hf_refuses_to_trim_what_has_no_sound():
    options = HF.tiny().options
    with pytest.raises(OptionError, match=r"hf\.trim=energy: this model reads text, not sound"):
        HF.recipe(replace(options, trim="energy"))


@pytest.mark.parametrize(("stored", "given"), [("none", "energy"), ("energy", "none")])
def test_a_run_keeps_the_value_that_its_recipe_has_or_leaves_out(stored, given):
    recipes = {"logmel": LogMel.recipe(LogMelOptions(trim=stored))}
    (request,) = requests_of_recipes(recipes, [f"trim={stored}"], document="run.json")
    assert recipe_options(LogMelOptions(**request.options)) == recipes["logmel"].options
    with pytest.raises(OptionError, match=f"the run keeps its value, {stored}"):
        requests_of_recipes(recipes, [f"trim={given}"], document="run.json")


def test_a_clip_normalised_as_a_whole_keeps_the_differences_of_its_bands():
    plain = prepare(LogMel(LogMelOptions()), SPEECH).inputs["audio"]
    found = prepare(LogMel(LogMelOptions(normalise="clip")), SPEECH).inputs["audio"]
    assert found.dtype == np.float32
    np.testing.assert_allclose((found.mean(), found.std()), (0, 1), atol=1e-4)
    np.testing.assert_allclose(found * plain.std() + plain.mean(), plain, atol=1e-3)
    assert np.ptp(found.mean(axis=0)) > 0.1
    assert (standardised(np.full((3, 4), -100, np.float32)) == 0).all()
    with pytest.raises(OptionError, match="expected one of none, clip; got 'band'"):
        plugins.parse_options(LogMelOptions, {"normalise": "band"}, "logmel")
