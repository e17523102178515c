"""`hf` on tiny models of many types equals calling the transformers class on the same inputs."""

import dataclasses

import numpy as np
import pytest
import torch
import transformers as hf

from emo.errors import WeightsError
from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.media import Faces, Media
from emo.extract.networks.log_mel_picture import picture_of
from emo.extract.transforms.audio import resample_audio

SMALL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
VISION = {**SMALL, "image_size": 32, "patch_size": 8}
SPEECH = {
    **SMALL, "conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (5, 8),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
VIT = ("ViTImageProcessor", {"size": {"height": 32, "width": 32}})
CROP = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
WAV = ("Wav2Vec2FeatureExtractor", {})
VIDEO = ("VideoMAEImageProcessor", CROP)
TEXT = (None, {})
CLAP_AUDIO = {
    "patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1], "spec_size": 128,
    "num_attention_heads": [1, 1, 1, 1], "num_mel_bins": 32, "window_size": 2, "patch_size": 2,
    "patch_stride": [2, 2], "intermediate_size": 16, "projection_dim": 16,
}  # fmt: skip
# type -> (model class, configuration, processor); a class is imported only when it is asked for
MODELS = {
    "bert": lambda: (hf.BertModel, hf.BertConfig(**SMALL, vocab_size=99), TEXT),
    "roberta": lambda: (hf.RobertaModel, hf.RobertaConfig(**SMALL, vocab_size=99), TEXT),
    "deberta-v2": lambda: (hf.DebertaV2Model, hf.DebertaV2Config(**SMALL, vocab_size=99), TEXT),
    "modernbert": lambda: (hf.ModernBertModel, hf.ModernBertConfig(**SMALL, vocab_size=99,
        pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3), TEXT),
    "wav2vec2": lambda: (hf.Wav2Vec2Model, hf.Wav2Vec2Config(**SPEECH), WAV),
    "hubert": lambda: (hf.HubertModel, hf.HubertConfig(**SPEECH), WAV),
    "wavlm": lambda: (hf.WavLMModel, hf.WavLMConfig(**SPEECH), WAV),
    "whisper": lambda: (hf.WhisperModel, hf.WhisperConfig(d_model=16, encoder_layers=2,
        decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        vocab_size=99, decoder_ffn_dim=32, num_mel_bins=8, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1),
        ("WhisperFeatureExtractor", {"feature_size": 8})),
    "audio-spectrogram-transformer": lambda: (hf.ASTModel, hf.ASTConfig(**SMALL, max_length=64,
        num_mel_bins=16), ("ASTFeatureExtractor", {"max_length": 64, "num_mel_bins": 16})),
    "clap": lambda: (hf.ClapModel, hf.ClapConfig(audio_config=CLAP_AUDIO, projection_dim=16,
        text_config={**SMALL, "vocab_size": 99, "projection_dim": 16}),
        ("ClapFeatureExtractor",
         {"feature_size": 32, "max_length_s": 2, "truncation": "rand_trunc"})),
    "vit": lambda: (hf.ViTModel, hf.ViTConfig(**VISION), VIT),
    "clip": lambda: (hf.CLIPModel, hf.CLIPConfig(vision_config=VISION, projection_dim=12,
        text_config={**SMALL, "vocab_size": 99}), ("CLIPImageProcessor", CROP)),
    "siglip": lambda: (hf.SiglipModel, hf.SiglipConfig(vision_config=VISION,
        text_config={**SMALL, "vocab_size": 99}), VIT),
    "siglip2": lambda: (hf.Siglip2Model, hf.Siglip2Config(
        vision_config={**SMALL, "patch_size": 8, "num_patches": 16},
        text_config={**SMALL, "vocab_size": 99}),
        ("Siglip2ImageProcessor", {"patch_size": 8, "max_num_patches": 16})),
    "dinov2": lambda: (hf.Dinov2Model, hf.Dinov2Config(**VISION), ("BitImageProcessor", CROP)),
    "dinov3_vit": lambda: (hf.DINOv3ViTModel, hf.DINOv3ViTConfig(**VISION), VIT),
    "convnext": lambda: (hf.ConvNextModel, hf.ConvNextConfig(hidden_sizes=[8, 8, 8, 16],
        depths=[1] * 4), ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}})),
    "vit_mae": lambda: (hf.ViTMAEModel, hf.ViTMAEConfig(**VISION), VIT),
    "videomae": lambda: (hf.VideoMAEModel, hf.VideoMAEConfig(**VISION, num_frames=4), VIDEO),
    "timesformer": lambda: (hf.TimesformerModel, hf.TimesformerConfig(**VISION, num_frames=4),
        VIDEO),
    "vjepa2": lambda: (hf.VJEPA2Model, hf.VJEPA2Config(**VISION, crop_size=32, frames_per_clip=4,
        pred_hidden_size=16, pred_num_attention_heads=2, pred_num_hidden_layers=1),
        ("VJEPA2VideoProcessor", {**CROP, "crop_size": {"height": 32, "width": 32}})),
}  # fmt: skip
TYPES = list(MODELS)


def save(folder, name):
    """Write a tiny model with its processor; returns the model that was written."""
    torch.manual_seed(0)
    kind, config, (processor, arguments) = MODELS[name]()
    model = kind(config).eval()
    model.save_pretrained(folder)
    if processor is not None:
        getattr(hf, processor)(**arguments).save_pretrained(folder)
    else:
        for path in TOKENIZER.glob("token*"):
            (folder / path.name).write_bytes(path.read_bytes())
    return model


@pytest.fixture(scope="module", autouse=True)
def _tokenizer(tmp_path_factory):
    global TOKENIZER
    TOKENIZER = tmp_path_factory.mktemp("tokenizer")
    HF.write_tiny(TOKENIZER)


def clip(seed=0, *, seconds=1.3, frames=8):
    random = np.random.default_rng(seed)
    crops = random.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    return Media(
        frames=random.integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8),
        faces=Faces(crops, np.ones(8, bool)),
        samples=random.normal(0, 0.1, (2, round(seconds * 16000))).astype(np.float32),
        sample_rate=16000,
        text="Is this it?" + "!" * seed,
    )


def load(folder, name, **options):
    return HF.load(HFOptions(model=f"tiny-{name}", weights=str(folder), **options), device="cpu")


def encode(backbone, *clips):
    frames = backbone._frames if backbone.kind == "video" else 8
    cut = [dataclasses.replace(c, frames=c.frames[:frames]) for c in clips]
    return backbone.encode([backbone.prepare(each).inputs for each in cut])


def direct(model, name, folder, media):
    """The transformers class called as its documentation shows: (T, D)."""
    mono = media.samples.mean(0)
    with torch.inference_mode():
        if MODELS[name]()[2] is TEXT:
            ids = hf.AutoTokenizer.from_pretrained(folder)(media.text, return_tensors="pt")
            return model(input_ids=ids["input_ids"]).last_hidden_state[0]
        if name in {
            "wav2vec2",
            "hubert",
            "wavlm",
            "whisper",
            "clap",
            "audio-spectrogram-transformer",
        }:
            read = hf.AutoFeatureExtractor.from_pretrained(folder)
            mono = resample_audio(mono, 16000, read.sampling_rate)
            made = read(mono, sampling_rate=read.sampling_rate, return_tensors="pt")
            if name == "whisper":
                return model.encoder(made["input_features"]).last_hidden_state[0][:65]
            if name == "clap":
                return model.get_audio_features(**made).pooler_output
            if name == "audio-spectrogram-transformer":
                return model(**made).pooler_output
            return model(**made).last_hidden_state[0]
        if name in {"videomae", "timesformer", "vjepa2"}:
            if name == "vjepa2":
                read = hf.AutoVideoProcessor.from_pretrained(folder)
                made = read(torch.from_numpy(media.frames[:4].transpose(0, 3, 1, 2)),
                            return_tensors="pt", do_sample_frames=False)  # fmt: skip
                return model.get_vision_features(**made).mean(1)
            made = hf.AutoImageProcessor.from_pretrained(folder)(
                list(media.frames[:4]), return_tensors="pt"
            )
            return model(**made).last_hidden_state.mean(1)
        made = hf.AutoImageProcessor.from_pretrained(folder)(
            images=list(media.frames), return_tensors="pt"
        )
        if name in {"clip", "siglip", "siglip2"}:
            return model.get_image_features(**made).pooler_output
        if name == "vit_mae":
            model.config.mask_ratio = 0.0
            out = model(**made, noise=torch.arange(16.0).expand(8, -1))
            return out.last_hidden_state.mean(1)
        return model(**made).pooler_output


@pytest.mark.parametrize("name", TYPES)
def test_tokens_equal_a_direct_call_of_the_class(name, tmp_path):
    model = save(tmp_path, name)
    seconds = 0.6 if name == "audio-spectrogram-transformer" else 1.3  # one window
    backbone, media = load(tmp_path, name), clip(seconds=seconds)
    (tokens,) = encode(backbone, media)
    recipe = HF.recipe(backbone.options)
    (stream,) = recipe.streams
    expected = direct(model, name, tmp_path, media)
    print(f"{name:30} {stream:6} {tokens[stream].shape}")
    assert tokens[stream].shape == (len(expected), recipe.streams[stream].dim)
    np.testing.assert_allclose(tokens[stream], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", TYPES)
def test_a_clip_alone_equals_the_clip_beside_others(name, tmp_path):
    save(tmp_path, name)
    backbone = load(tmp_path, name)
    clips = [clip(0), clip(1, seconds=0.4), clip(2, seconds=2.1)]
    together = encode(backbone, *clips)
    for media, tokens in zip(clips, together, strict=True):
        (alone,) = encode(backbone, media)
        for stream, rows in alone.items():
            np.testing.assert_allclose(tokens[stream], rows, atol=1e-5, rtol=1e-5)


def test_layers_and_levels(tmp_path):
    model = save(tmp_path, "bert")
    ids = hf.AutoTokenizer.from_pretrained(tmp_path)("Is this it?", return_tensors="pt")
    with torch.inference_mode():
        every = model(input_ids=ids["input_ids"], output_hidden_states=True).hidden_states
    expected = {
        ("mean", "tokens"): (every[1] + every[2])[0] / 2,
        ("0", "tokens"): every[0][0],
        ("-2,-1", "mean"): (every[1] + every[2]).mean(1) / 2,
        ("last", "first"): every[2][:, 0],
        ("last", "mean"): every[2].mean(1),
    }
    for (layers, level), rows in expected.items():
        (tokens,) = encode(load(tmp_path, "bert", layers=layers, level=level), clip())
        np.testing.assert_allclose(tokens["text"], rows, atol=1e-5)


def test_faces_and_pictures_of_sound(tmp_path):
    model = save(tmp_path, "vit_mae")
    read = hf.AutoImageProcessor.from_pretrained(tmp_path)
    media = clip()
    model.config.mask_ratio = 0.0
    pictures = {"face": list(media.faces.crops), "spectrogram": [picture_of(media.samples, 16000)]}
    for kind, images in pictures.items():
        pixels = read(images=images, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            noise = torch.arange(16.0).expand(len(pixels), -1)
            expected = model(pixels, noise=noise).last_hidden_state.mean(1)
        (tokens,) = encode(load(tmp_path, "vit_mae", input=kind), media)
        rows = tokens[{"face": "face", "spectrogram": "audio"}[kind]]
        np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_a_text_that_is_too_long_is_cut_into_pieces_and_nothing_is_lost(tmp_path):
    save(tmp_path, "bert")
    long = "abc" * 50  # 150 letters, 62 fit between [CLS] and [SEP]
    backbone = load(tmp_path, "bert")
    (tokens,) = backbone.encode([backbone.prepare(Media(text=long)).inputs])
    assert len(tokens["text"]) == 150 + 2 * 3


def test_windows_of_sound_are_in_time_order(tmp_path):
    save(tmp_path, "wav2vec2")
    backbone = load(tmp_path, "wav2vec2", window_seconds=0.5, level="mean")
    media = clip(seconds=1.3)
    (tokens,) = encode(backbone, media)
    assert len(tokens["audio"]) == 3
    cut = dataclasses.replace(media, samples=media.samples[:, 8000:16000])
    np.testing.assert_allclose(tokens["audio"][1:2], encode(backbone, cut)[0]["audio"], atol=1e-5)


def test_a_checkpoint_that_lacks_a_tensor_is_refused_by_name(tmp_path):
    save(tmp_path, "vit")
    from safetensors.torch import load_file, save_file

    tensors = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in tensors if "mlp.fc1" in name or "intermediate" in name)
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"the tensor '.*' is missing"):
        load(tmp_path, "vit")


def test_a_folder_as_model_leaves_only_its_name_in_the_recipe(tmp_path):
    folder = tmp_path / "my-vit"
    folder.mkdir()
    save(folder, "vit")
    recipe = HF.recipe(HFOptions(model=str(folder)))
    assert recipe.options["model"] == "my-vit"
    assert str(tmp_path) not in str(recipe.to_json())
