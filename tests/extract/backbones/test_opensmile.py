"""The backbone opensmile against direct calls of the library, which is an extra of its own."""

import typing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emo.extract.backbones.opensmile import SHORTEST, FeatureSet, OpenSmile, OpenSmileOptions
from emo.extract.media import Media

opensmile = pytest.importorskip(
    "opensmile", reason="openSMILE is not installed: pip install 'emo-pipeline[opensmile]'"
)
pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore:Segment too short:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:UserWarning"),
]
LEVELS = opensmile.FeatureLevel


def clip(seed=0, seconds=0.6):
    """A tone with overtones, and noise."""
    moments = np.arange(round(seconds * 16000)) / 16000
    phase = 2 * np.pi * (150 + 30 * seed) * moments
    noise = np.random.default_rng(seed).normal(0, 0.02, len(moments))
    return (0.3 * np.sin(phase) + 0.1 * np.sin(2 * phase) + noise).astype(np.float32)


def encode(backbone, samples):
    media = Media(samples=samples[None], sample_rate=16000)
    return backbone.encode([backbone.prepare(media).inputs])[0]["audio"]


@pytest.mark.parametrize("name", typing.get_args(FeatureSet))
@pytest.mark.parametrize("level", ["functionals", "lld", "lld_de"])
def test_bits_are_those_of_a_direct_call(name, level):
    kinds = {"functionals": LEVELS.Functionals, "lld": LEVELS.LowLevelDescriptors}
    if level == "lld_de" and "GeMAPS" in name:
        with pytest.raises(ValueError, match=f"{name} has no lld_de"):
            OpenSmileOptions(name, level)
        return
    options = OpenSmileOptions(name, level)
    kind = kinds.get(level, LEVELS.LowLevelDescriptors_Deltas)
    direct = opensmile.Smile(opensmile.FeatureSet[name], kind)
    expected = direct.process_signal(clip(), 16000)
    found = encode(OpenSmile(options), clip())
    np.testing.assert_array_equal(found, expected.to_numpy())
    recipe = OpenSmile.recipe(options)
    assert recipe.facts == {"columns": {"audio": list(expected.columns)}}
    assert (recipe.streams["audio"].dim, recipe.streams["audio"].dtype) == (
        found.shape[1], "float32",
    )  # fmt: skip


def test_the_card_says_what_the_licence_forbids():
    assert "non-commercial" in OpenSmile.card.licence


@pytest.mark.parametrize(
    ("name", "level"),
    [("eGeMAPSv02", "functionals"), ("eGeMAPSv02", "lld"), ("ComParE_2016", "functionals"),
     ("ComParE_2016", "lld"), ("ComParE_2016", "lld_de")],
)  # fmt: skip
def test_two_threads_give_the_bits_of_direct_calls(name, level, capsys):
    kind = {
        "functionals": LEVELS.Functionals, "lld": LEVELS.LowLevelDescriptors,
        "lld_de": LEVELS.LowLevelDescriptors_Deltas,
    }[level]  # fmt: skip
    backbone = OpenSmile(OpenSmileOptions(name, level))
    direct = opensmile.Smile(opensmile.FeatureSet[name], kind)
    clips = [clip(seed, 0.3 + 0.05 * seed) for seed in range(8)]
    expected = [direct.process_signal(each, 16000).to_numpy() for each in clips]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda each: encode(backbone, each), clips))
    largest = 0.0
    for found, wanted in zip(together, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
        largest = max(largest, float(np.abs(found - wanted).max()))
    with capsys.disabled():
        print(f"\nopensmile {name} {level}, 8 clips, 2 threads: largest error {largest:.1e}")


def test_too_short_is_absent_with_the_reason():
    backbone = OpenSmile.tiny()
    short = backbone.prepare(Media(samples=clip(seconds=0.05)[None], sample_rate=16000))
    assert short.inputs == {}
    assert short.absent["audio"].startswith(
        "88 of 88 numbers of eGeMAPSv02 are undefined for a sound of 0.05 s"
    )
    assert np.isfinite(encode(backbone, clip(seconds=0.1))).all()
    assert np.isfinite(encode(backbone, np.zeros(16000, np.float32))).all()


@pytest.mark.parametrize("name", typing.get_args(FeatureSet))
def test_the_shortest_sound_is_the_one_that_the_reason_names(name):
    backbone = OpenSmile(OpenSmileOptions(name))
    seconds = SHORTEST.get(name, 0.06)
    below = Media(samples=clip(seconds=seconds - 0.001)[None], sample_rate=16000)
    assert backbone.prepare(below).absent["audio"].endswith(f"from {seconds} s on have them")
    assert np.isfinite(encode(backbone, clip(seconds=seconds))).all()


def test_samples_beyond_full_scale_are_clipped():
    backbone, loud = OpenSmile(OpenSmileOptions(level="lld")), 8 * clip()
    assert np.abs(loud).max() > 1
    np.testing.assert_array_equal(encode(backbone, loud), encode(backbone, loud.clip(-1, 1)))


def test_full_scale_does_not_turn_into_its_opposite():
    loud = clip() / np.abs(clip()).max()
    loud[np.abs(loud).argmax()] = 1.0
    below = np.minimum(loud, np.float32(32767 / 32768))
    backbone = OpenSmile(OpenSmileOptions(level="lld"))
    np.testing.assert_array_equal(encode(backbone, loud), encode(backbone, below))


def test_trim_cuts_ends_and_notes_the_seconds_kept():
    backbone = OpenSmile(OpenSmileOptions(trim="energy"))
    padded = np.pad(clip(), (16000, 8000))
    prepared = backbone.prepare(Media(samples=padded[None], sample_rate=16000))
    assert 0.6 <= prepared.notes["seconds_kept"] < 0.8
    whole = encode(OpenSmile(OpenSmileOptions()), padded)
    assert (prepared.inputs["audio"] != whole).any()
