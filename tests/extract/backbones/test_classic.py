import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from emo.extract.backbones.classic import gradients, prosody, slope
from emo.extract.transforms.hashed_words import hashed_grams, words
from emo.extract.transforms.log_mel import log_mel
from tests.make import tone


def test_punctuation_and_apostrophes_are_kept():
    assert words("I can’t… WHAT?!") == ["i", "can't", "…", "what", "?", "!"]


def test_hashes_are_the_same_on_every_machine():
    vector = hashed_grams("no, no", 4096)
    expected = np.zeros(4096, np.float32)
    for gram, count in {"no": 2, ",": 1, "no ,": 1, ", no": 1}.items():
        key = zlib.crc32(gram.encode())
        expected[key % 4096] += (-1) ** (key >> 31) * np.log1p(count)
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


@given(st.text(st.sampled_from("aB0_'’!?… \n\u200bÉż中😀"), min_size=1))
@settings(deadline=None)
def test_any_text_gives_a_vector_of_length_1_or_0(text):
    length = np.linalg.norm(hashed_grams(text, 64))
    assert length == pytest.approx(1, abs=1e-5) or length == 0


def test_word_order_and_marks_change_the_vector():
    same = hashed_grams("you did it", 4096)
    for other in ("did you it", "you did it!", "you did it?"):
        assert np.abs(hashed_grams(other, 4096) - same).max() > 0.1


def test_columns_of_the_audio_are_where_the_docstring_says():
    samples = tone(1.0, 16000, 1)[0]
    rows = prosody(samples, 16000, mels=8, hop_seconds=0.02)
    assert rows.shape == (51, 3 * 8 + 5)
    mel = log_mel(samples, 16000, mels=8, hop_seconds=0.02, window_seconds=0.032, fmin=50.0)
    np.testing.assert_array_equal(rows[:, :8], mel)
    np.testing.assert_array_equal(rows[:, 8:16], slope(mel))
    np.testing.assert_array_equal(rows[:, 16:24], np.abs(rows[:, 8:16]))
    middle = rows[10:-10]
    np.testing.assert_allclose(middle[:, 24], 12 * np.log2(2.2), atol=0.05)  # 220 Hz
    assert (middle[:, 25] > 0.95).all()
    np.testing.assert_allclose(middle[:, 26], 0, atol=0.05)
    np.testing.assert_allclose(middle[:, 27], 20 * np.log10(0.5 / np.sqrt(2)), atol=0.3)
    np.testing.assert_allclose(middle[:, 28], 0, atol=0.2)


def test_slope_of_a_line_is_its_rise():
    line = np.arange(9.0)[:, None] * [2, -1]
    np.testing.assert_allclose(slope(line)[2:-2], np.tile([2, -1], (5, 1)))
    assert slope(np.ones((1, 3))).tolist() == [[0, 0, 0]]


def test_gradients_see_shapes_and_not_the_light():
    face = data.astronaut()[:200, 120:320][::2, ::2]
    found = gradients(face[:60, :60])
    dim = gradients((face[:60, :60] * 0.5).astype(np.uint8))
    flipped = gradients(face[:60, :60][:, ::-1])
    assert found.shape == (576,)
    assert np.abs(found - dim).mean() < 0.1 * np.abs(found - flipped).mean()
    assert (gradients(np.full((60, 60, 3), 128, np.uint8)) == 0).all()


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("classic", {"torch", "librosa", "numba", "sklearn", "scipy", "pandas"}),
        ("logmel", {"torch", "librosa", "numba", "skimage", "scipy"}),
        ("faces", {"torch", "librosa", "skimage", "scipy"}),
    ],
)
def test_a_worker_starts_without_slow_imports(module, unwanted):
    code = f"import sys, emo.extract.backbones.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert not unwanted & set(loaded.stdout.split())
