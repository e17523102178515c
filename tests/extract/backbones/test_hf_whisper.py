"""`hf -o window=clip`: Whisper's encoder reads the clip's own length instead of 30 s."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers as hf

from emo.errors import OptionError
from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.media import Media
from tests.make_hf import load, tokens_of, write

NOISE = np.random.default_rng(0).normal(0, 0.1, 31 * 16000).astype(np.float32)


def save(folder, seconds=30):
    """Write a Whisper that reads so many seconds; return its encoder and its extractor."""
    config = hf.WhisperConfig(d_model=16, encoder_layers=3, decoder_layers=1, num_mel_bins=8,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, vocab_size=99,
        decoder_ffn_dim=32, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, max_source_positions=50 * seconds)  # fmt: skip
    extractor = hf.WhisperFeatureExtractor(feature_size=8, chunk_length=seconds)
    return write(folder, config, extractor, spread=0.1).encoder, extractor


def heard(samples):
    return {"samples": samples[None], "sample_rate": 16000}


def by_hand(encoder, extractor, samples, count):
    """Run the modules of transformers' WhisperEncoder on ``count`` tokens: the layers' outputs."""
    bands = extractor(samples, sampling_rate=16000, return_tensors="pt")["input_features"]
    with torch.inference_mode():
        hidden = torch.nn.functional.gelu(encoder.conv1(bands[..., : 2 * count]))
        hidden = torch.nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight[:count]
        every = [hidden]
        for layer in encoder.layers:
            every.append(layer(every[-1], None))
        return [*every[:-1], encoder.layer_norm(every[-1])]


@pytest.mark.parametrize("seconds", [0.05, 0.1, 1.3, 2.0])
def test_a_clip_equals_its_modules_with_positions_cut(seconds, tmp_path):
    encoder, extractor = save(tmp_path)
    samples, count = NOISE[: round(16000 * seconds)], round(50 * seconds)
    expected = by_hand(encoder, extractor, samples, count)
    found = tokens_of(load(tmp_path, window="clip"), **heard(samples))
    np.testing.assert_allclose(found, expected[-1][0], atol=1e-5)
    mean = tokens_of(load(tmp_path, window="clip", level="mean", layers="1,2"), **heard(samples))
    mixed = (expected[1] + expected[2])[0].mean(0)[None] / 2
    np.testing.assert_allclose(mean, mixed, atol=1e-5)
    padded = tokens_of(load(tmp_path), **heard(samples))
    assert padded.shape == found.shape
    assert np.abs(padded - found).max() > 1e-3, "it sees no padding"


@pytest.mark.parametrize("level", ["tokens", "mean"])
def test_a_clip_as_long_as_the_model_reads_gives_the_default_bit_by_bit(level, tmp_path):
    save(tmp_path)
    sound = heard(NOISE[: 30 * 16000])
    cut = tokens_of(load(tmp_path, window="clip", level=level), **sound)
    np.testing.assert_array_equal(cut, tokens_of(load(tmp_path, level=level), **sound))


def test_the_last_window_of_a_longer_clip_is_cut_to_its_rest(tmp_path):
    encoder, extractor = save(tmp_path, seconds=2)
    samples = NOISE[: round(4.5 * 16000)]
    found = tokens_of(load(tmp_path, window="clip"), **heard(samples))
    pieces = [
        by_hand(encoder, extractor, samples[low : low + 32000], count)[-1][0]
        for low, count in ((0, 100), (32000, 100), (64000, 25))
    ]
    np.testing.assert_allclose(found, torch.cat(pieces), atol=1e-5)
    short = tokens_of(load(tmp_path, window="clip", window_seconds=0.5), **heard(samples[:12000]))
    halves = [
        by_hand(encoder, extractor, samples[low : low + 8000], count)[-1][0]
        for low, count in ((0, 25), (8000, 12))
    ]
    np.testing.assert_allclose(short, torch.cat(halves), atol=1e-5)


def test_clips_in_a_batch_equal_the_clips_alone(tmp_path):
    save(tmp_path, seconds=2)
    backbone = load(tmp_path, window="clip", layers="each")
    clips = [Media(**heard(NOISE[:count])) for count in (800, 20800, 32000, 20800, 70000)]
    together = backbone.encode([backbone.prepare(media).inputs for media in clips])
    table, length = backbone.network.embed_positions, backbone.network.config.max_source_positions
    assert (table.num_embeddings, length) == (100, 100), "the model is as before"
    for media, tokens in zip(clips, together, strict=True):
        (alone,) = backbone.encode([backbone.prepare(media).inputs])
        for stream, rows in alone.items():
            np.testing.assert_allclose(tokens[stream], rows, atol=1e-5)


def test_silence_and_a_single_sample_have_a_token(tmp_path):
    save(tmp_path, seconds=2)
    for samples in (np.zeros(16000, np.float32), NOISE[:1]):
        found = tokens_of(load(tmp_path, window="clip"), **heard(samples))
        assert len(found) == max(1, len(samples) // 320)
        assert np.isfinite(found).all()


def test_the_option_is_in_the_recipe_only_when_it_is_used(tmp_path):
    save(tmp_path, seconds=2)
    options = HFOptions(weights=str(tmp_path))
    plain, cut = (
        HF.recipe(each) for each in (options, dataclasses.replace(options, window="clip"))
    )
    assert "window" not in plain.options
    assert cut.options["window"] == "clip"
    assert plain.fingerprint != cut.fingerprint


def test_other_models_have_no_window_to_cut(tmp_path):
    hf.WavLMConfig().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(OptionError, match=r"hf\.window=clip: a model of type wavlm is not padded"):
        HF.recipe(HFOptions(weights=str(tmp_path), window="clip"))


def test_gradients_reach_the_positions_of_a_clip_and_no_other(tmp_path):
    """`emo adapt --method full` trains the table of positions, also with ``window=clip``."""
    save(tmp_path)
    backbone = load(tmp_path, window="clip")
    (network,) = backbone.networks().values()
    table = network.embed_positions.weight.requires_grad_(True)
    with backbone.training(), torch.enable_grad():
        (tokens,) = backbone.forward([backbone.prepare(Media(**heard(NOISE[:8000]))).inputs])
        next(iter(tokens.values())).square().sum().backward()
    reached = table.grad.abs().sum(1) > 0
    count = int(reached.sum())
    assert 0 < count < len(table)
    assert reached[:count].all()
    assert network.embed_positions.weight is table
