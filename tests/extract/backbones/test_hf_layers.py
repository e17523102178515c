"""`hf -o layers=each`: a stream a layer, all of one pass, equal to `-o layers=K` bit by bit."""

import dataclasses
import json

import numpy as np
import pytest
import transformers as hf

from emo.errors import OptionError, WeightsError
from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.media import Media
from tests.make_hf import PICTURES, SMALL, SQUARE, WORDS, load, write

SPEECH = {
    **SMALL, "conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (5, 8),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
WHISPER = {
    "d_model": 16, "encoder_layers": 3, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_mel_bins": 8,
    "vocab_size": 99, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "max_source_positions": 100,
}  # fmt: skip
IMAGES = hf.ViTImageProcessor(size=SQUARE)
MODELS = {
    "text": lambda: (hf.BertConfig(**WORDS),),
    "audio": lambda: (hf.Wav2Vec2Config(**SPEECH), hf.Wav2Vec2FeatureExtractor()),
    "audio, WavLM": lambda: (hf.WavLMConfig(**SPEECH), hf.Wav2Vec2FeatureExtractor()),
    "audio, Whisper": lambda: (
        hf.WhisperConfig(**WHISPER), hf.WhisperFeatureExtractor(feature_size=8, chunk_length=2)),
    "audio, Moonshine": lambda: (hf.MoonshineConfig(vocab_size=99, hidden_size=16,
        intermediate_size=32, encoder_num_hidden_layers=3, decoder_num_hidden_layers=1,
        encoder_num_attention_heads=2, decoder_num_attention_heads=2),
        hf.Wav2Vec2FeatureExtractor(return_attention_mask=True)),
    "video": lambda: (hf.ViTConfig(**PICTURES), IMAGES),
    "video, CLIP": lambda: (
        hf.CLIPConfig(text_config=WORDS, vision_config={**PICTURES, "num_hidden_layers": 3}),
        IMAGES),
}  # fmt: skip
RANDOM = np.random.default_rng(0)
FRAMES = RANDOM.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)


def clip(seconds=1.3):
    samples = np.random.default_rng(round(seconds * 10)).normal(0, 0.1, round(16000 * seconds))
    return Media(frames=FRAMES, text="Is this it?" + "!" * round(seconds), sample_rate=16000,
                 samples=samples[None].astype(np.float32))  # fmt: skip


def encode(backbone, *clips):
    return backbone.encode([backbone.prepare(each).inputs for each in clips])


@pytest.mark.parametrize("level", ["tokens", "mean"])
@pytest.mark.parametrize("name", MODELS)
def test_each_layer_is_the_stream_that_its_number_alone_makes(name, level, tmp_path):
    write(tmp_path, *MODELS[name](), spread=0.1)
    backbone = load(tmp_path, layers="each", level=level)
    passes = []
    backbone.network.register_forward_hook(lambda *_: passes.append(1))
    clips = clip(), clip(0.5)
    together = encode(backbone, *clips)
    count = len(HF.recipe(backbone.options).streams)
    stream = name.partition(",")[0]
    assert list(together[0]) == [f"{stream}-{number}" for number in range(count)]
    assert count == (4 if name in {"audio, Whisper", "audio, Moonshine", "video, CLIP"} else 3)
    forecast = HF.tokens(backbone.options, 1.3)
    assert forecast == dict.fromkeys(together[0], HF.tokens(load(tmp_path, level=level).options,
                                                            1.3)[stream])  # fmt: skip
    for number in range(count):
        one = load(tmp_path, layers=str(number), level=level)
        for each, alone in zip(together, encode(one, *clips), strict=True):
            np.testing.assert_array_equal(each[f"{stream}-{number}"], alone[stream])
    if "CLIP" not in name:  # its pass goes through a tower of the network
        assert len(passes) == (1 if name.startswith("video") or "Whisper" in name else 2)
    for media, each in zip(clips, together, strict=True):
        for key, rows in encode(backbone, media)[0].items():
            np.testing.assert_allclose(rows, each[key], atol=1e-5)


def test_windows_and_trimmed_sound_have_all_layers(tmp_path):
    write(tmp_path, *MODELS["audio"]())
    silence = np.zeros((1, 20000), np.float32)
    media = clip()
    padded = dataclasses.replace(media, samples=np.hstack([silence, media.samples, silence]))
    how = {"window_seconds": 0.5, "level": "mean", "trim": "energy"}
    (tokens,) = encode(load(tmp_path, layers="each", **how), padded)
    (alone,) = encode(load(tmp_path, layers="1", **how), padded)
    np.testing.assert_array_equal(tokens["audio-1"], alone["audio"])
    assert [len(rows) for rows in tokens.values()] == [3, 3, 3]
    options = HFOptions(weights=str(tmp_path), layers="each")
    assert HF.stretch_seconds(options) == 240


def test_streams_are_known_from_the_configuration_alone(tmp_path):
    hf.Wav2Vec2Config(**SPEECH).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    options = HFOptions(weights=str(tmp_path), layers="each")
    recipe = HF.recipe(options)
    assert {name: spec.dim for name, spec in recipe.streams.items()} == {
        "audio-0": 16, "audio-1": 16, "audio-2": 16,
    }  # fmt: skip
    assert HF.tokens(options, 2.0) == {"audio-0": 100, "audio-1": 100, "audio-2": 100}


def test_a_clip_without_sound_lacks_every_layer(tmp_path):
    write(tmp_path, *MODELS["audio"]())
    prepared = load(tmp_path, layers="each").prepare(Media(absent={"audio": "no audio track"}))
    assert prepared.absent == dict.fromkeys(["audio-0", "audio-1", "audio-2"], "no audio track")


def test_each_is_refused_where_no_layers_are_or_their_widths_differ(tmp_path):
    (tmp_path / "model.safetensors").touch()
    options = HFOptions(weights=str(tmp_path), layers="each")
    hf.CLIPConfig(vision_config=PICTURES, text_config=WORDS).save_pretrained(tmp_path)
    with pytest.raises(OptionError, match=r"hf.layers=each: .* add level=tokens, mean or first"):
        HF.recipe(options)
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.safetensors").touch()
    hf.ConvNextConfig().save_pretrained(other)
    with pytest.raises(OptionError, match=r"each: the layers of a convnext model differ in size"):
        HF.recipe(dataclasses.replace(options, weights=str(other)))
    with pytest.raises(ValueError, match="expected last, mean, each or numbers"):
        HFOptions(layers="all")


@pytest.mark.parametrize("name", ["text", "audio, Whisper", "video, CLIP"])
def test_a_recipe_refuses_layers_that_the_configuration_excludes(name, tmp_path):
    write(tmp_path, *MODELS[name]())
    last = 2 if name == "text" else 3
    for layers in (f"{last + 1}", f"-1,{-last - 2}"):
        with pytest.raises(OptionError, match=f"no layer .*; it has 0 to {last}, or .* -1 to "):
            HF.recipe(HFOptions(weights=str(tmp_path), layers=layers, level="mean"))
    for layers in (f"0,{last}", f"-1,{-last - 1}", "mean"):
        HF.recipe(HFOptions(weights=str(tmp_path), layers=layers, level="mean"))


def test_layers_that_a_model_lacks_are_named(tmp_path):
    write(tmp_path, *MODELS["text"]())
    with pytest.raises(WeightsError, match="the model has no layer 7; it has 0 to 2"):
        encode(load(tmp_path, layers="7"), clip())
    backbone = load(tmp_path, layers="each")
    backbone.network.encoder.layer = backbone.network.encoder.layer[:1]
    with pytest.raises(WeightsError, match="returns 2 layers, not the 3 that were expected"):
        encode(backbone, clip())


def test_recipes_of_older_stores_keep_their_options(tmp_path):
    write(tmp_path, *MODELS["text"]())
    options = HF.recipe(HFOptions(weights=str(tmp_path))).options
    assert options["layers"] == "last"
    assert not {"trim", "window"} & set(options)
    assert json.dumps(options)
