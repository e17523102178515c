"""The backbone librosa against librosa's own functions, called as its documentation shows."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emo import plugins
from emo.errors import OptionError
from emo.extract.backbones.librosa import FEATURES, Librosa, LibrosaOptions
from emo.extract.media import Media
from emo.extract.transforms.trim import FRAME, HOP, energy_bounds
from tests.extract.transforms.test_trim import sound

pytestmark = pytest.mark.filterwarnings(
    "ignore:n_fft=:UserWarning", "ignore:Trying to estimate tuning:UserWarning"
)
RATE = 22050


@pytest.fixture(autouse=True, scope="module")
def librosa():
    """The library, imported when a test runs: each process of the tests reads all files."""
    return pytest.importorskip("librosa")


def clip(seed=0, seconds=0.7, rate=RATE):
    """A tone with overtones that rises, and noise."""
    seconds = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (180 + 40 * seed) * seconds * (1 + 0.2 * seconds)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(seconds))
    return (0.3 * np.sin(phase) + 0.1 * np.sin(3 * phase) + noise).astype(np.float32)


def encode(samples, rate=RATE, **options):
    backbone = Librosa(LibrosaOptions(**options))
    (tokens,) = backbone.encode(
        [backbone.prepare(Media(samples=samples[None], sample_rate=rate)).inputs]
    )
    return tokens["audio"]


CALLS = {
    "mfcc": lambda librosa, y: librosa.feature.mfcc(y=y, sr=RATE),
    "chroma": lambda librosa, y: librosa.feature.chroma_stft(y=y, sr=RATE),
    "mel": lambda librosa, y: librosa.feature.melspectrogram(y=y, sr=RATE),
    "contrast": lambda librosa, y: librosa.feature.spectral_contrast(y=y, sr=RATE),
    "tonnetz": lambda librosa, y: librosa.feature.tonnetz(y=y, sr=RATE),
    "zcr": lambda librosa, y: librosa.feature.zero_crossing_rate(y),
    "rms": lambda librosa, y: librosa.feature.rms(y=y),
    "f0": lambda librosa, y: np.nan_to_num(librosa.pyin(y, **tones(librosa), sr=RATE)[0])[None],
}


def tones(librosa):
    return {"fmin": librosa.note_to_hz("C2"), "fmax": librosa.note_to_hz("C7")}


@pytest.mark.parametrize("name", FEATURES)
def test_each_feature_is_librosas_with_its_defaults(name, librosa):
    found, expected = encode(clip(), features=name), CALLS[name](librosa, clip()).T
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert (found != 0).any()


def test_features_stand_in_the_order_of_the_option_and_the_facts_name_them(librosa):
    options = LibrosaOptions(features="zcr,mfcc,rms", level="mean", n_mfcc=3)
    found = encode(clip(), features="zcr,mfcc,rms", level="mean", n_mfcc=3)
    rows = [CALLS["zcr"](librosa, clip()), librosa.feature.mfcc(y=clip(), sr=RATE, n_mfcc=3)]
    expected = np.concatenate([*rows, CALLS["rms"](librosa, clip())]).mean(axis=1)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-5)
    facts = Librosa.recipe(options).facts
    assert facts == {"columns": {"audio": ["zcr", "mfcc_0", "mfcc_1", "mfcc_2", "rms"]}}


def notebooks(librosa, samples, rate):
    """The 193 numbers as the notebooks on RAVDESS compute them."""
    stft = np.abs(librosa.stft(samples))
    parts = [
        librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=40),
        librosa.feature.chroma_stft(S=stft, sr=rate),
        librosa.feature.melspectrogram(y=samples, sr=rate),
        librosa.feature.spectral_contrast(S=stft, sr=rate),
        librosa.feature.tonnetz(y=librosa.effects.harmonic(samples), sr=rate),
    ]
    return np.hstack([np.mean(part.T, axis=0) for part in parts])


@pytest.mark.parametrize("rate", [RATE, 16000])
def test_ravdess193_is_the_notebooks(rate, librosa):
    samples = clip(rate=rate)
    found = encode(samples, rate, preset="ravdess193", sample_rate=rate)
    assert found.shape == (1, 193)
    np.testing.assert_allclose(found[0], notebooks(librosa, samples, rate), rtol=1e-5, atol=1e-5)


def test_a_preset_refuses_what_it_sets_and_survives_its_own_recipe():
    options = LibrosaOptions(preset="ravdess193", trim="energy")
    assert (options.level, options.n_mfcc, options.harmonic) == ("mean", 40, True)
    assert LibrosaOptions(**Librosa.recipe(options).options) == options
    with pytest.raises(ValueError, match="n_fft: preset=ravdess193 sets 2048, got 1024"):
        LibrosaOptions(preset="ravdess193", n_fft=1024)
    for name, default, value in (("n_mfcc", "20", 40), ("level", "frames", "mean")):
        with pytest.raises(OptionError, match=f"{name}: preset=.* sets {value}, got {default};"):
            plugins.parse_options(LibrosaOptions, {"preset": "ravdess193", name: default}, "xy")
    with pytest.raises(ValueError, match=r"preset=.* needs more than 12,800 Hz, got 8,000"):
        LibrosaOptions(preset="ravdess193", sample_rate=8000)
    assert LibrosaOptions(preset="ravdess193", sample_rate=12801).sample_rate == 12801


def test_sound_of_other_rates_is_resampled(librosa):
    found = encode(clip(rate=44100), 44100, features="mfcc")
    resampled = librosa.resample(clip(rate=44100), orig_sr=44100, target_sr=RATE)
    expected = librosa.feature.mfcc(y=resampled, sr=RATE).T
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_two_threads_give_the_bits_of_one():
    options = {"features": "mfcc,chroma,mel,contrast,zcr,rms"}
    clips = [clip(seed) for seed in range(6)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda each: encode(each, **options), clips))
    for each, found in zip(clips, together, strict=True):
        np.testing.assert_array_equal(found, encode(each, **options))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_bounds_are_librosas_to_the_sample(scale, librosa):
    cut = 0
    for seed in range(40):
        samples = sound(seed) * np.float32(scale)
        _, bounds = librosa.effects.trim(samples, top_db=30, frame_length=FRAME, hop_length=HOP)
        assert energy_bounds(samples) == tuple(bounds)
        cut += bounds[1] - bounds[0] < len(samples)
    assert cut > 10 or scale < 1e-3


def test_trimmed_ends_leave_librosas_own_cut(librosa):
    samples = np.pad(clip(), (9000, 15000))
    kept, _ = librosa.effects.trim(samples, top_db=30)
    np.testing.assert_array_equal(
        encode(samples, features="mfcc", trim="energy"), encode(kept, features="mfcc")
    )


def test_what_librosa_cannot_read_is_absent_with_the_reason():
    backbone = Librosa(LibrosaOptions(preset="ravdess193"))
    short = Media(samples=clip(seconds=0.05)[None], sample_rate=RATE)
    prepared = backbone.prepare(short)
    assert prepared.inputs == {}
    assert prepared.absent["audio"] == (
        "librosa does not take a sound of 0.05 s: its harmonic part needs 0.0697 s"
    )
    assert np.isfinite(encode(clip(seconds=0.1), preset="ravdess193")).all()
    infinite = Media(samples=np.full((1, RATE), np.inf, np.float32), sample_rate=RATE)
    assert "not finite" in Librosa(LibrosaOptions()).prepare(infinite).absent["audio"]


def test_frames_of_all_features_agree_in_number():
    for sizes in ({"hop_length": 100}, {"n_fft": 1000, "hop_length": 333, "win_length": 700}):
        assert len(encode(clip(), **sizes)) == 1 + len(clip()) // sizes["hop_length"]


def test_silence_gives_finite_numbers():
    silence = np.zeros(RATE, np.float32)
    for options in ({"preset": "ravdess193", "trim": "energy"}, {}):
        assert np.isfinite(encode(silence, **options)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "mfcc,loudness"}, "features: expected some of"),
        ({"features": "mfcc,mfcc"}, "each once"),
        ({"sample_rate": 8000}, "octave 6"),
        ({"features": "f0", "sample_rate": 4000}, "f0_fmax"),
        ({"win_length": 4096}, "win_length"),
        ({"fmin": 500.0, "fmax": 100.0}, "fmin"),
        ({"hop_length": 0}, "^hop_length: expected at least 1, got 0$"),
        ({"n_mfcc": 0}, "^n_mfcc: expected at least 1, got 0$"),
        ({"n_fft": 3}, "^n_fft: expected at least 4, got 3$"),
        ({"contrast_fmin": 0.0}, "^contrast_fmin: expected a number above 0, got 0.0$"),
        ({"n_mfcc": 41, "n_mels": 40}, "n_mfcc: expected at most n_mels=40, .* got 41"),
        ({"n_fft": 63}, "n_fft: with 63 samples .* too wide for contrast"),
        ({"features": "f0", "sample_rate": 48000, "n_fft": 512}, "f0_fmin: .* n_fft=512 .* 93.93"),
        (
            {"features": "f0", "f0_fmin": 1.0},
            "f0_fmin: a period of 1 Hz .* n_fft of at least 22052",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LibrosaOptions(**options)


def test_sizes_at_the_bounds_give_finite_numbers():
    for options in (
        {"features": "contrast", "n_fft": 111},  # steps of 198.6 Hz below contrast_fmin=200
        {"features": "contrast", "sample_rate": 16000, "n_fft": 127, "contrast_fmin": 126.0},
        {"features": "mfcc", "n_mfcc": 40, "n_mels": 40},
    ):
        rate = options.get("sample_rate", RATE)
        assert np.isfinite(encode(clip(rate=rate), rate, **options)).all(), options
    with pytest.raises(ValueError, match="too wide"):  # the last step ends below the last octave
        LibrosaOptions("contrast", n_fft=129, contrast_fmin=344.3)


def test_what_librosa_refuses_at_the_first_call_is_an_error_of_the_options(monkeypatch, librosa):
    def refuse(self, samples):
        raise librosa.ParameterError("fmin is too small.")

    monkeypatch.setattr(Librosa, "_features", refuse)
    with pytest.raises(OptionError, match=r"^librosa: fmin is too small; these options"):
        Librosa.load(LibrosaOptions(), device="cpu")


def test_recipes_and_forecasts_do_not_import_librosa():
    code = (
        "import sys\n"
        "from emo.extract.backbones.librosa import Librosa, LibrosaOptions\n"
        "options = LibrosaOptions('rms')\n"
        "Librosa.recipe(options), Librosa.tokens(options, 1.0), Librosa(options)\n"
        "print(*{'librosa', 'numba', 'scipy'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_load_makes_the_first_call(monkeypatch):
    calls = []
    monkeypatch.setattr(Librosa, "_features", lambda self, samples: calls.append(len(samples)))
    Librosa.load(LibrosaOptions(), device="cpu")
    assert calls == [RATE // 2]
