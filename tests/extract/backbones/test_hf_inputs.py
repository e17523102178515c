"""Sound and video of `hf`: masks and marks of the model's own processor; what is refused."""

import json
import warnings

import numpy as np
import pytest
import torch
import transformers as hf

from emo.errors import OptionError, WeightsError
from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.transforms.audio import resample_audio
from tests.make_hf import PICTURES, SMALL, SQUARE, WORDS, load, tokens_of, write

CONVOLUTIONS = {
    "conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (5, 8),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
MASKED = {"return_attention_mask": True, "do_normalize": True}
CLAP = {
    "patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1] * 4, "spec_size": 128,
    "num_attention_heads": [1] * 4, "num_mel_bins": 32, "window_size": 2, "patch_size": 2,
    "patch_stride": [2, 2], "intermediate_size": 16, "projection_dim": 16,
}  # fmt: skip
SOUND = {
    "wav2vec2": lambda: (hf.Wav2Vec2Config(**SMALL, **CONVOLUTIONS, feat_extract_norm="layer"),
        hf.Wav2Vec2FeatureExtractor(**MASKED)),
    "hubert": lambda: (hf.HubertConfig(**SMALL, **CONVOLUTIONS, feat_extract_norm="layer"),
        hf.Wav2Vec2FeatureExtractor(**MASKED)),
    "wavlm": lambda: (hf.WavLMConfig(**SMALL, **CONVOLUTIONS, feat_extract_norm="layer"),
        hf.Wav2Vec2FeatureExtractor(**MASKED)),
    "unispeech-sat": lambda: (hf.UniSpeechSatConfig(**SMALL, **CONVOLUTIONS),
        hf.Wav2Vec2FeatureExtractor(**MASKED)),
    "wav2vec2-bert": lambda: (hf.Wav2Vec2BertConfig(**SMALL, feature_projection_input_dim=160),
        hf.SeamlessM4TFeatureExtractor()),
    "parakeet": lambda: (hf.ParakeetEncoderConfig(**SMALL, num_mel_bins=80,
        subsampling_conv_channels=8), hf.ParakeetFeatureExtractor()),
    "speech_to_text": lambda: (hf.Speech2TextConfig(d_model=16, encoder_layers=2, vocab_size=99,
        decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, conv_channels=16,
        encoder_ffn_dim=32, decoder_ffn_dim=32, max_source_positions=600,
        input_feat_per_channel=80), hf.Speech2TextFeatureExtractor()),
    "moonshine": lambda: (hf.MoonshineConfig(vocab_size=99, hidden_size=16, intermediate_size=32,
        encoder_num_hidden_layers=2, decoder_num_hidden_layers=1, encoder_num_attention_heads=2,
        decoder_num_attention_heads=2), hf.Wav2Vec2FeatureExtractor(return_attention_mask=True)),
    "clap": lambda: (hf.ClapConfig(audio_config=CLAP, projection_dim=16, text_config=WORDS),
        hf.ClapFeatureExtractor(feature_size=32, max_length_s=2, truncation="rand_trunc")),
    "clap, fused": lambda: (hf.ClapConfig(projection_dim=16, text_config=WORDS,
        audio_config={**CLAP, "enable_fusion": True}),
        hf.ClapFeatureExtractor(feature_size=32, max_length_s=2, truncation="fusion")),
}  # fmt: skip
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(0, 0.1, 30000).astype(np.float32)
FRAMES = RANDOM.integers(0, 256, (4, 40, 56, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("samples", [4960, 5120, 21072])
def test_sound_is_read_with_all_that_its_feature_extractor_tells(name, samples, tmp_path):
    config, extractor = SOUND[name]()
    model = write(tmp_path, config, extractor, spread=0.1)
    rate = extractor.sampling_rate
    made = extractor(
        resample_audio(NOISE[:samples], 16000, rate), sampling_rate=rate, return_tensors="pt"
    )
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")  # WavLM
        if name.startswith("clap"):
            expected = model.get_audio_features(**made).pooler_output
        elif getattr(config, "is_encoder_decoder", False):
            expected = model.get_encoder()(**made).last_hidden_state[0]
        else:
            expected = model(**made).last_hidden_state[0]
    tokens = tokens_of(load(tmp_path, input="audio"), samples=NOISE[None, :samples],
                       sample_rate=16000)  # fmt: skip
    np.testing.assert_allclose(tokens, expected, atol=1e-5)


def test_silence_that_whisper_is_padded_with_is_not_in_the_mean(tmp_path):
    config = hf.WhisperConfig(d_model=16, encoder_layers=2, decoder_layers=1, num_mel_bins=8,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, vocab_size=99,
        decoder_ffn_dim=32, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1)  # fmt: skip
    write(tmp_path, config, hf.WhisperFeatureExtractor(feature_size=8), spread=0.1)
    sound = {"samples": NOISE[None], "sample_rate": 16000}
    every = tokens_of(load(tmp_path), **sound)
    assert len(every) == round(len(NOISE) / 16000 * 50)
    mean = tokens_of(load(tmp_path, level="mean"), **sound)
    np.testing.assert_allclose(mean, every.mean(0)[None], atol=1e-5)


def test_towers_for_video_read_it(tmp_path):
    vision = {**PICTURES, "num_frames": 4}
    clip, prism = tmp_path / "clip", tmp_path / "prism"
    clip.mkdir()
    prism.mkdir()
    config = hf.XCLIPConfig(text_config=WORDS, projection_dim=16, vision_config={**vision,
        "mit_hidden_size": 16, "mit_intermediate_size": 32,
        "mit_num_attention_heads": 2})  # fmt: skip
    images = hf.VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE)
    model = write(clip, config, images)
    pixels = images(list(FRAMES), return_tensors="pt")["pixel_values"].reshape(1, 4, 3, 32, 32)
    with torch.inference_mode():
        expected = model.get_video_features(pixels).pooler_output
    np.testing.assert_allclose(tokens_of(load(clip), frames=FRAMES), expected, atol=1e-5)

    config = hf.VideoPrismConfig(text_config=WORDS, vision_config={**vision,
        "num_spatial_layers": 1, "num_temporal_layers": 1,
        "num_auxiliary_layers": 1})  # fmt: skip
    videos = hf.LlavaOnevisionVideoProcessor(size=SQUARE, do_normalize=False)
    model = write(prism, config, videos)
    tensor = torch.from_numpy(FRAMES.transpose(0, 3, 1, 2).copy())
    made = videos(videos=[tensor], return_tensors="pt", do_sample_frames=False)
    with torch.inference_mode():
        expected = model.get_video_features(**made).pooler_output[0]
    np.testing.assert_allclose(tokens_of(load(prism), frames=FRAMES), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "asked", "said"),
    [
        (
            hf.ViTConfig(),
            "video",
            r"vit reads image or face or spectrogram, not video.*input=image",
        ),
        (hf.CLIPConfig(), "video", "reads image or face or spectrogram or text, not video"),
        (hf.VideoMAEConfig(), "image", "videomae reads video, not image"),
        (hf.ViTConfig(), "text", "not text"),
        (hf.BertConfig(), "audio", "bert reads text, not audio"),
        (hf.WavLMConfig(), "image", "wavlm reads audio, not image"),
    ],
)
def test_what_a_model_cannot_read_is_refused_before_anything_is_decoded(
    config, asked, said, tmp_path
):
    config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    options = HFOptions(weights=str(tmp_path), input=asked)
    for plan in (HF.needs, HF.recipe):
        with pytest.raises(OptionError, match=said):
            plan(options)


def test_the_projection_has_no_layers(tmp_path):
    hf.CLIPConfig(vision_config=PICTURES, text_config=WORDS).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(OptionError, match=r"hf.layers=mean: .* add level=tokens, mean or first"):
        HF.recipe(HFOptions(weights=str(tmp_path), layers="mean"))
    options = HFOptions(weights=str(tmp_path), layers="mean", level="mean", input="text")
    assert HF.recipe(options).streams["text"].dim == 16


def test_one_file_is_no_folder_of_weights(tmp_path):
    path = tmp_path / "model.onnx"
    path.touch()
    with pytest.raises(ValueError, match=r"expected a folder with config\.json"):
        HFOptions(weights=str(path))


def test_weights_of_another_format_are_named(tmp_path):
    write(tmp_path, hf.BertConfig(**WORDS))
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "tf_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WeightsError, match=r"there is tf_model.h5 \(HDF5 \(Keras, TensorFlow\)\)"):
        load(tmp_path)
    (tmp_path / "tf_model.h5").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model.bin: the file is HDF5") as caught:
        load(tmp_path)
    assert "weights_only" not in str(caught.value)


def test_code_beside_the_weights_is_never_run(tmp_path, monkeypatch):
    """A checkpoint may name classes in its own files; transformers would ask, or run them."""
    write(tmp_path, hf.BertConfig(**WORDS))
    config = json.loads((tmp_path / "config.json").read_text())
    names = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    config |= {"model_type": "of_their_own", "auto_map": names}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('this would have run')")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises((OptionError, WeightsError), match="does not run such code"):
        load(tmp_path)
    with pytest.raises((OptionError, WeightsError), match="does not run such code"):
        HF.recipe(HFOptions(weights=str(tmp_path)))


def test_pictures_that_their_processor_pads_come_with_its_mask(tmp_path):
    stages = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8] * 4, depths=[1] * 4,
                             out_features=["stage4"])  # fmt: skip
    config = hf.DetrConfig(
        backbone_config=stages, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, num_queries=5,
    )  # fmt: skip
    processor = hf.DetrImageProcessor(
        size={"shortest_edge": 64, "longest_edge": 96}, pad_size={"height": 128, "width": 128}
    )
    model = write(tmp_path, config, processor, spread=0.1)
    made = processor(images=list(FRAMES), return_tensors="pt")
    assert not made["pixel_mask"].all()
    with torch.inference_mode():
        expected = model(**made).last_hidden_state
        unmasked = model(made["pixel_values"]).last_hidden_state
    assert (expected - unmasked).abs().max() > 1e-3
    tokens = tokens_of(load(tmp_path, level="tokens"), frames=FRAMES)
    np.testing.assert_allclose(tokens, expected.reshape(-1, 16), atol=1e-5)


def test_a_processor_of_another_model_is_said(tmp_path):
    write(tmp_path, hf.WavLMConfig(**SMALL, **CONVOLUTIONS), hf.SeamlessM4TFeatureExtractor())
    backbone = load(tmp_path)
    with pytest.raises(WeightsError, match="makes no input that this model takes"):
        tokens_of(backbone, samples=NOISE[None], sample_rate=16000)
