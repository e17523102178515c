"""Texts of `hf`: padded, masked, marked and cut as each family's own documentation does it."""

import inspect

import numpy as np
import pytest
import torch
import transformers as hf
from tokenizers import processors

from emo.extract.media import Media
from tests.make_hf import PICTURES, SMALL, SQUARE, WORDS, load, tokens_of, write

PADDED = {"padding": "max_length", "max_length": 64, "truncation": True}
TOWERS = {
    # type -> (configuration, how its processor pads, what its tokenizer returns)
    "siglip": (lambda: hf.SiglipConfig(vision_config=PICTURES,
        text_config={**WORDS, "projection_size": 24}), PADDED, ["input_ids"]),
    "siglip2": (lambda: hf.Siglip2Config(
        vision_config={**SMALL, "patch_size": 8, "num_patches": 16},
        text_config={**WORDS, "projection_size": 24}), PADDED, ["input_ids"]),
    "siglip with a mask": (lambda: hf.SiglipConfig(vision_config=PICTURES, text_config=WORDS),
        PADDED, ["input_ids", "attention_mask"]),
    "tipsv2": (lambda: hf.Tipsv2Config(text_config=WORDS,
        vision_config={k: v for k, v in PICTURES.items() if k != "intermediate_size"}),
        PADDED, ["input_ids"]),
    "videoprism": (lambda: hf.VideoPrismConfig(text_config=WORDS, vision_config={**PICTURES,
        "num_frames": 4, "num_spatial_layers": 1, "num_temporal_layers": 1,
        "num_auxiliary_layers": 1}), PADDED, ["input_ids", "attention_mask"]),
    "clip": (lambda: hf.CLIPConfig(vision_config=PICTURES, text_config=WORDS, projection_dim=12),
        {}, None),
    "clip before EOS had an id": (lambda: hf.CLIPConfig(vision_config=PICTURES,
        text_config={**WORDS, "eos_token_id": 2}, projection_dim=12), {}, None),
    "metaclip_2": (lambda: hf.MetaClip2Config(vision_config=PICTURES, text_config=WORDS,
        projection_dim=12), {}, None),
    "altclip": (lambda: hf.AltCLIPConfig(vision_config=PICTURES, projection_dim=12,
        text_config={**WORDS, "project_dim": 20, "max_position_embeddings": 66}), {}, None),
    "chinese_clip": (lambda: hf.ChineseCLIPConfig(vision_config=PICTURES, text_config=WORDS,
        projection_dim=12), {}, None),
    "clap": (lambda: hf.ClapConfig(projection_dim=12,
        text_config={**WORDS, "projection_dim": 12, "max_position_embeddings": 66},
        audio_config={"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1] * 4,
            "num_attention_heads": [1] * 4}), {}, None),
    "blip": (lambda: hf.BlipConfig(vision_config=PICTURES, projection_dim=12,
        text_config={**WORDS, "encoder_hidden_size": 16}), {}, ["input_ids", "attention_mask"]),
    "align": (lambda: hf.AlignConfig(text_config=WORDS, projection_dim=80, vision_config={
        "image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.2,
        "hidden_dim": 64}), PADDED, None),
    "groupvit": (lambda: hf.GroupViTConfig(text_config=WORDS, projection_dim=12,
        projection_intermediate_dim=16, vision_config={**PICTURES, "depths": [1, 1, 1],
        "num_group_tokens": [4, 2, 0], "num_output_groups": [4, 2, 2]}), {}, None),
    "owlvit": (lambda: hf.OwlViTConfig(vision_config=PICTURES, text_config=WORDS,
        projection_dim=12), PADDED, None),
    "flava": (lambda: hf.FlavaConfig(image_config=PICTURES, text_config=WORDS, hidden_size=16,
        multimodal_config=SMALL, projection_dim=12, image_codebook_config={"hidden_size": 8,
        "vocab_size": 16, "num_blocks_per_group": 1}), PADDED, None),
    "aimv2": (lambda: hf.Aimv2Config(vision_config=PICTURES, text_config=WORDS,
        projection_dim=12), {}, None),
    "xclip": (lambda: hf.XCLIPConfig(text_config=WORDS, projection_dim=16, vision_config={
        **PICTURES, "num_frames": 4, "mit_hidden_size": 16, "mit_intermediate_size": 32,
        "mit_num_attention_heads": 2}), {}, None),
}  # fmt: skip


@pytest.fixture(scope="module", params=TOWERS)
def tower(request, tmp_path_factory):
    """The model of transformers, its tokenizer, how its processor pads, and our backbone."""
    config, padding, names = TOWERS[request.param]
    folder = tmp_path_factory.mktemp("tower")
    model = write(folder, config(), names=names)
    backbone = load(folder, input="text")
    return model, hf.AutoTokenizer.from_pretrained(folder), padding, backbone


@pytest.mark.parametrize("text", ["I", "Is this it?", "too long" * 20])
def test_a_tower_s_text_is_what_its_own_processor_and_function_give(tower, text):
    model, tokenizer, padding, backbone = tower
    made = tokenizer(text, return_tensors="pt", **{"truncation": True, "max_length": 64} | padding)
    known = inspect.signature(model.get_text_features).parameters
    with torch.inference_mode():
        pooled = model.get_text_features(**{k: made[k] for k in made if k in known}).pooler_output
    expected = pooled[:, 0] if pooled.ndim == 3 else pooled  # FLAVA projects every token
    tokens = tokens_of(backbone, text=text)
    np.testing.assert_allclose(tokens[:1], expected, atol=2e-5, rtol=1e-5)
    assert len(tokens) == -(-len(text) // 62)  # what is too long comes in further pieces


def test_the_padding_of_siglip_is_no_token_of_its_text(tmp_path):
    config, padding, names = TOWERS["siglip"]
    model = write(tmp_path, config(), names=names)
    ids = hf.AutoTokenizer.from_pretrained(tmp_path)("Is it?", return_tensors="pt", **padding)
    with torch.inference_mode():
        last = model.text_model(ids["input_ids"]).last_hidden_state[0, :8]  # [CLS] Is it? [SEP]
    for level, expected in {"tokens": last, "first": last[:1], "mean": last.mean(0)[None]}.items():
        tokens = tokens_of(load(tmp_path, input="text", level=level), text="Is it?")
        np.testing.assert_allclose(tokens, expected, atol=1e-5, err_msg=level)


def test_padding_on_the_left_is_no_token_either(tmp_path):
    config, _, _ = TOWERS["siglip with a mask"]
    write(tmp_path, config(), names=["input_ids", "attention_mask"])
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(tmp_path)
    every = tokens_of(load(tmp_path, input="text", level="tokens"), text="Is it?")
    first = tokens_of(load(tmp_path, input="text", level="first"), text="Is it?")
    assert len(every) == 8
    np.testing.assert_allclose(first, every[:1], atol=1e-6)


def test_every_processor_of_transformers_that_pads_texts_is_known():
    """transformers tells which processors pad texts to a fixed length; ours pads the same ones.

    ALIGN and OWL-ViT pad too, but mask the padding and pool the first or the EOS token.
    """
    from emo.extract.networks.hf.kinds import PADDED_TEXT, TWO_TOWERS

    masked = {"align", "owlvit", "owlv2"}
    names = hf.models.auto.processing_auto.PROCESSOR_MAPPING_NAMES
    for name in TWO_TOWERS:
        kind = getattr(hf, names.get(name) or "", None)
        how = getattr(kind, "text_kwargs", None) or {}
        if how.get("padding") == "max_length" and name not in masked:
            assert name in PADDED_TEXT


ENCODERS = {
    # the rows of position tables that stand for padding are not positions of a text
    "xlm-roberta-xl": lambda: hf.XLMRobertaXLConfig(**WORDS),
    "data2vec-text": lambda: hf.Data2VecTextConfig(**WORDS),
    "longformer": lambda: hf.LongformerConfig(**WORDS, attention_window=16),
    "big_bird": lambda: hf.BigBirdConfig(**WORDS),
    "mpnet": lambda: hf.MPNetConfig(**{**WORDS, "pad_token_id": 1}),
    "ibert": lambda: hf.IBertConfig(**WORDS),
    "roberta": lambda: hf.RobertaConfig(**{**WORDS, "max_position_embeddings": 66}),
    "gpt2": lambda: hf.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, vocab_size=99),
    "bart": lambda: hf.BartConfig(**WORDS, d_model=16, encoder_layers=2, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32),
    "led": lambda: hf.LEDConfig(vocab_size=99, d_model=16, encoder_layers=2, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        max_encoder_position_embeddings=64, attention_window=16),
    "opt": lambda: hf.OPTConfig(**WORDS, ffn_dim=32, word_embed_proj_dim=16),
    "t5": lambda: hf.T5Config(vocab_size=99, d_model=16, d_kv=8, d_ff=32, num_layers=2,
        num_heads=2),
    "modernbert": lambda: hf.ModernBertConfig(**WORDS, cls_token_id=2, sep_token_id=3),
    "nomic_bert": lambda: hf.NomicBertConfig(**WORDS),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCODERS)
def test_texts_longer_than_a_model_s_positions_are_cut_although_its_tokenizer_has_no_limit(
    name, tmp_path
):
    model = write(tmp_path, ENCODERS[name]())
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    network = model.get_encoder() if model.config.is_encoder_decoder else model
    made = hf.AutoTokenizer.from_pretrained(tmp_path)("Is this it?", return_tensors="pt")
    known = inspect.signature(network.forward).parameters
    with torch.inference_mode():
        expected = network(**{k: made[k] for k in made if k in known}).last_hidden_state[0]
    backbone = load(tmp_path, input="text")
    np.testing.assert_allclose(tokens_of(backbone, text="Is this it?"), expected, atol=1e-5)
    pieces = backbone.prepare(Media(text="abc" * 50)).inputs["rows"]
    assert len(tokens_of(backbone, text="abc" * 50)) == 150 + 2 * len(pieces)
    assert len(pieces) == (1 if name == "t5" else 3)


def test_a_tokenizer_in_python_loses_no_words_either(tmp_path):
    config = hf.T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    model = write(tmp_path, config, hf.ByT5Tokenizer(model_max_length=32))
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    assert not tokenizer.is_fast
    text = "every word of this text, which is longer than 32 bytes, is read"
    made = tokenizer(text, return_tensors="pt", truncation=True)
    with torch.inference_mode():
        expected = model.get_encoder()(**made).last_hidden_state[0]
    prepared = (backbone := load(tmp_path)).prepare(Media(text=text))
    assert prepared.notes == {"text_pieces": 3}
    read = torch.cat([piece.tensors["input_ids"][0, :-1] for piece in prepared.inputs["rows"]])
    assert tokenizer.decode(read) == text
    tokens = tokens_of(backbone, text=text)
    np.testing.assert_allclose(tokens[:32], expected, atol=1e-5)
    assert len(tokens) == len(text) + 3


def test_types_of_tokens_that_the_tokenizer_tells_reach_the_model(tmp_path):
    config = hf.XLNetConfig(vocab_size=99, d_model=16, n_layer=2, n_head=2, d_inner=32)
    model = write(tmp_path, config, names=["input_ids", "token_type_ids", "attention_mask"])
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 [SEP]:0 [CLS]:2", special_tokens=[("[SEP]", 3), ("[CLS]", 2)]
    )
    tokenizer.save_pretrained(tmp_path)
    made = hf.AutoTokenizer.from_pretrained(tmp_path)("Is it?", return_tensors="pt")
    assert made["token_type_ids"].max() == 2
    with torch.inference_mode():
        expected = model(**made).last_hidden_state[0]
        without = model(made["input_ids"]).last_hidden_state[0]
    assert (expected - without).abs().max() > 0.01
    np.testing.assert_allclose(tokens_of(load(tmp_path), text="Is it?"), expected, atol=1e-5)


def test_a_short_text_does_not_change_what_big_bird_makes_of_a_long_one(tmp_path):
    config = hf.BigBirdConfig(**{**WORDS, "max_position_embeddings": 512}, block_size=4,
                              num_random_blocks=1)  # fmt: skip
    write(tmp_path, config)
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(tmp_path)
    backbone, long = load(tmp_path), "many words " * 20
    alone = tokens_of(backbone, text=long)
    tokens_of(backbone, text="few")
    np.testing.assert_array_equal(tokens_of(backbone, text=long), alone)


def test_the_mean_is_that_of_sentence_transformers(tmp_path):
    """Mean of all tokens, weighted by the attention mask, as their model cards show it."""
    model = write(tmp_path, hf.BertConfig(**WORDS))
    texts = ["Is this it?", "I"]
    made = hf.AutoTokenizer.from_pretrained(tmp_path)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        last = model(**made).last_hidden_state
    mask = made["attention_mask"][..., None]
    expected = (last * mask).sum(1) / mask.sum(1)
    backbone = load(tmp_path, level="mean")
    found = np.concatenate([tokens_of(backbone, text=text) for text in texts])
    np.testing.assert_allclose(found, expected, atol=1e-5)


VIDEO = {"xclip", "videoprism"}  # see test_hf_inputs.py
OTHERS = {"clap", "siglip with a mask", "clip before EOS had an id"}


@pytest.mark.parametrize("name", [name for name in TOWERS if name not in VIDEO | OTHERS])
def test_a_tower_s_pictures_are_what_its_own_function_gives(name, tmp_path):
    processor = hf.ViTImageProcessor(size=SQUARE)
    if name == "siglip2":
        processor = hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    model = write(tmp_path, TOWERS[name][0](), processor, spread=0.1)
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), dtype=np.uint8)
    pixels = processor(images=list(frames), return_tensors="pt")
    with torch.inference_mode():
        pooled = model.get_image_features(**pixels).pooler_output
    expected = pooled[:, 0] if pooled.ndim == 3 else pooled
    np.testing.assert_allclose(tokens_of(load(tmp_path), frames=frames), expected, atol=1e-5)


@pytest.mark.parametrize("text", ["Is this it?", "too long" * 20])
def test_siglip_with_a_tokenizer_in_python_is_padded_too(text, tmp_path):
    config = hf.SiglipConfig(vision_config=PICTURES, text_config={**WORDS, "vocab_size": 384})
    model = write(tmp_path, config, hf.ByT5Tokenizer(), names=["input_ids"])
    made = hf.AutoTokenizer.from_pretrained(tmp_path)(text, return_tensors="pt", **PADDED)
    with torch.inference_mode():
        expected = model.get_text_features(made["input_ids"]).pooler_output
    tokens = tokens_of(load(tmp_path, input="text"), text=text)
    np.testing.assert_allclose(tokens[:1], expected, atol=1e-5)
