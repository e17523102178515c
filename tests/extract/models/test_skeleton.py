"""The published models from their configurations alone: exact counts of parameters, no memory."""

import json

import pytest

from emo.errors import WeightsError
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.backbones.videollama import VideoLlama
from emo.extract.networks.languagebind.options import LanguageBindOptions
from emo.extract.networks.videollama.options import VideoLlamaOptions

TEXT = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "hidden_act": "gelu", "vocab_size": 49408,
    "max_position_embeddings": 77,
}  # fmt: skip
SEEN = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "hidden_act": "gelu", "patch_size": 14,
}  # fmt: skip
VISION = {
    "video": {"image_size": 224, "num_frames": 8, "add_time_attn": True, "lora_r": 64},
    "audio": {"num_mel_bins": 112, "target_length": 1036},
}


def counts(model):
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for network in model.networks().values()
        for name, part in network.named_children()
    }


@pytest.fixture
def folders(tmp_path):
    for stream, own in VISION.items():
        folder = tmp_path / stream
        folder.mkdir()
        document = {"projection_dim": 768, "vision_config": SEEN | own, "text_config": TEXT}
        (folder / "config.json").write_text(json.dumps(document))
        (folder / "vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1}')
        (folder / "merges.txt").write_text("#version: 0.2\n")
    return tmp_path


def test_languagebind_has_the_counts_of_the_published_towers(folders):
    options = LanguageBindOptions(
        weights=str(folders / "video"), audio_weights=str(folders / "audio")
    )
    found = counts(LanguageBind.skeleton(options))
    assert found == {"video": 404_973_568, "text": 123_650_304, "audio": 304_310_272}


def test_without_a_configuration_there_is_no_skeleton(folders):
    (folders / "video" / "config.json").unlink()
    options = LanguageBindOptions(weights=str(folders / "video"), streams="text")
    with pytest.raises(WeightsError, match=r"config\.json"):
        LanguageBind.skeleton(options)


def test_video_llama_has_the_published_word_embeddings(tmp_path):
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "tokenizer.json").write_text(
        json.dumps({"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0},
                    "unk_token": "a"}})
    )  # fmt: skip
    options = VideoLlamaOptions(weights=str(tmp_path), streams="text")
    assert counts(VideoLlama.skeleton(options)) == {"text": 32_000 * 5120}
    (tmp_path / "config.json").write_text('{"sizes": {"words": 7, "llama_width": 3}}')
    assert counts(VideoLlama.skeleton(options)) == {"text": 21}
