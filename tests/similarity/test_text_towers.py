"""The contract ``text_options``: texts alone are those beside other streams, in the same space."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as hf

from emo.extract.backbones.hf import HF, HFOptions
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.backbones.openclip import OpenClip
from emo.extract.media import Media
from emo.predict.similarity.queries import TextQuery, text_vectors
from emo.predict.similarity.stored import StoredStream
from emo.predict.similarity.text_tower import find_text_tower
from emo.store import Store
from emo.store.recipe import Recipe
from tests.extract.backbones.test_hf_text import TOWERS
from tests.make_hf import SQUARE, write

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
TEXT = "someone laughs"


@pytest.mark.parametrize("kind", [OpenClip, LanguageBind])
def test_a_text_alone_is_the_text_beside_video_to_the_bit(kind, tmp_path):
    options = kind.write_tiny(tmp_path)
    both = kind.recipe(replace(options, streams="video,text"))
    alone = kind.text_options(options)
    assert kind.text_options(replace(options, streams="video")).streams == "text"
    recipe = kind.recipe(alone)
    assert [*recipe.streams] == ["text"]
    space = recipe.facts["space"]["text"]
    assert both.facts["space"] == {"video": space, "text": space}
    assert isinstance(both.facts["logit_scale"]["video"], float)
    found = []
    for chosen in (replace(options, streams="video,text"), alone):
        backbone = kind.load(chosen, device="cpu")
        media = Media(frames=None, text=TEXT, absent={"video": "no file"})
        (tokens,) = backbone.encode([backbone.prepare(media).inputs])
        found.append(tokens["text"])
    assert found[0].tobytes() == found[1].tobytes()


def test_languagebind_s_tokens_before_the_projection_have_no_space(tmp_path):
    options = replace(LanguageBind.write_tiny(tmp_path), level="tokens")
    assert LanguageBind.text_options(options) is None
    assert "space" not in LanguageBind.recipe(options).facts


def test_other_weights_are_another_space(tmp_path):
    spaces = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        spaces.add(OpenClip.recipe(OpenClip.write_tiny(folder)).facts["space"]["text"])
    assert len(spaces) == 2


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2"])
def test_hf_texts_are_those_of_the_library_in_the_space_of_its_pictures(name, tmp_path):
    make, padding, names = TOWERS[name]
    processor = hf.ViTImageProcessor(size=SQUARE)
    if name == "siglip2":
        processor = hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    HF.write_tiny(tmp_path)  # its tokenizer
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    model = write(tmp_path, make(), processor, tokenizer, names=names)
    options = HFOptions(model="tiny", weights=str(tmp_path))
    recipe = HF.recipe(options)
    tower = find_text_tower("x", recipe, "video", [f"x.weights={tmp_path}"], document="store")
    assert tower.recipe.facts["space"]["text"] == recipe.facts["space"]["video"] == tower.space
    (tokens,), _ = tower.encode([TEXT])
    made = hf.AutoTokenizer.from_pretrained(tmp_path)(TEXT, return_tensors="pt", **padding)
    with torch.inference_mode():
        expected = model.get_text_features(**made).pooler_output
    np.testing.assert_allclose(tokens, expected, atol=1e-5)
    facts = recipe.facts
    assert facts["probability"] == ("softmax" if name == "clip" else "sigmoid")
    assert facts["logit_scale"]["video"] == pytest.approx(float(model.logit_scale.detach()))
    if name != "clip":
        assert facts["logit_bias"]["video"] == pytest.approx(float(model.logit_bias.detach()))


def test_clap_has_the_scale_of_its_audio(tmp_path):
    extractor = hf.ClapFeatureExtractor(feature_size=32, max_length_s=2)
    model = write(tmp_path, TOWERS["clap"][0](), extractor)
    with torch.no_grad():
        model.logit_scale_a.fill_(2.5)
    model.save_pretrained(tmp_path)
    options = HFOptions(model="tiny", weights=str(tmp_path))
    recipe = HF.recipe(options)
    assert recipe.facts["logit_scale"] == {"audio": 2.5}
    assert HF.text_options(options).input == "text"


def test_a_model_of_texts_has_a_space_of_its_own_by_level(tmp_path):
    options = replace(HF.write_tiny(tmp_path), level="mean")
    recipe = HF.recipe(options)
    assert HF.text_options(options) == options
    other = HF.recipe(replace(options, level="first"))
    assert recipe.facts["space"]["text"] != other.facts["space"]["text"]


def test_models_without_texts_have_no_space(tmp_path):
    make = hf.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, image_size=32, patch_size=8)  # fmt: skip
    write(tmp_path, make, hf.ViTImageProcessor(size=SQUARE))
    options = HFOptions(model="tiny", weights=str(tmp_path))
    assert HF.text_options(options) is None
    assert "space" not in HF.recipe(options).facts


def test_facts_never_change_a_fingerprint(tmp_path):
    recipe = OpenClip.recipe(OpenClip.write_tiny(tmp_path))
    bare = Recipe.from_json({**recipe.to_json(), "facts": {}})
    assert bare.fingerprint == recipe.fingerprint
    assert not bare.differences(recipe)


def test_a_query_that_is_too_long_is_cut_as_the_original_does(tmp_path):
    processor = hf.ViTImageProcessor(size=SQUARE)
    HF.write_tiny(tmp_path)
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path)
    model = write(tmp_path, TOWERS["clip"][0](), processor, tokenizer)
    recipe = HF.recipe(HFOptions(model="tiny", weights=str(tmp_path)))
    store = Store.create(tmp_path / "features")
    stream = StoredStream(store.add_recipe("x", recipe), "video")
    text = "someone laughs " * 10
    options = [f"x.weights={tmp_path}"]
    vectors, notes, _ = text_vectors(stream, [TextQuery("q", text)], options)
    (note,) = notes
    assert "longer than the text tower reads: only the first of its 3 pieces counts" in note
    made = tokenizer(text, return_tensors="pt", truncation=True, max_length=64)
    with torch.inference_mode():
        expected = model.get_text_features(**made).pooler_output
    np.testing.assert_allclose(vectors.rows, expected, atol=1e-5)


def test_the_bits_of_a_query_do_not_depend_on_the_others(tmp_path, monkeypatch):
    options = OpenClip.write_tiny(tmp_path)
    given = [f"x.weights={options.weights}"]
    tower = find_text_tower("x", OpenClip.recipe(options), "video", given, document="store")
    sizes = []
    encode = OpenClip.encode

    def counted(self, batch):
        sizes.append(len(batch))
        return encode(self, batch)

    monkeypatch.setattr(OpenClip, "encode", counted)
    texts = [f"{word} laughs" for word in ("she", "he", "someone", "nobody at all")]
    many, _ = tower.encode(texts)
    for text, tokens in zip(texts, many, strict=True):
        ((alone,), _) = tower.encode([text])
        assert alone.tobytes() == tokens.tobytes()
    assert set(sizes) == {1}
