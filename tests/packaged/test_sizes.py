"""Sizes that `emo list models` names, against the parameters of each architecture."""

import open_clip
import pytest
import torch
import transformers as hf

from emo.extract.models.named_models import NAMED_MODELS

pytestmark = pytest.mark.models
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096}  # fmt: skip
LARGE_SOUND = LARGE | {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}
DINO = {"image_size": 518, "patch_size": 14}


def whisper(width, layers, vocabulary):
    sides = {f"{side}_{name}": number for side in ("encoder", "decoder")
             for name, number in (("layers", layers), ("attention_heads", width // 64),
                                  ("ffn_dim", 4 * width))}  # fmt: skip
    return hf.WhisperModel, hf.WhisperConfig(d_model=width, vocab_size=vocabulary, **sides)


SOUND, BIG_SOUND = hf.Wav2Vec2Config(), hf.Wav2Vec2Config(**LARGE_SOUND, conv_bias=True)
MODELS = {
    "wavlm-base": (hf.WavLMModel, hf.WavLMConfig()),
    "wavlm-base-plus": (hf.WavLMModel, hf.WavLMConfig()),
    "wavlm-large": (hf.WavLMModel, hf.WavLMConfig(**LARGE_SOUND)),
    "hubert-base": (hf.HubertModel, hf.HubertConfig()),
    "hubert-large": (hf.HubertModel, hf.HubertConfig(**LARGE_SOUND, conv_bias=True)),
    "wav2vec2-base": (hf.Wav2Vec2ForPreTraining, SOUND),
    "xlsr-53": (hf.Wav2Vec2ForPreTraining, BIG_SOUND),
    "whisper-tiny-en": whisper(384, 4, 51864),
    "whisper-small": whisper(768, 12, 51865),
    "roberta-base": (hf.RobertaForMaskedLM, hf.RobertaConfig(vocab_size=50265, **ROBERTA)),
    "roberta-large": (hf.RobertaForMaskedLM, hf.RobertaConfig(vocab_size=50265, **ROBERTA | LARGE)),
    "xlm-roberta-base": (hf.XLMRobertaForMaskedLM,
                         hf.XLMRobertaConfig(vocab_size=250002, **ROBERTA)),
    "bert-base": (hf.BertForPreTraining, hf.BertConfig()),
    "minilm": (hf.BertModel, hf.BertConfig(hidden_size=384, num_hidden_layers=6,
                                           intermediate_size=1536)),
    "dinov2-small": (hf.Dinov2Model, hf.Dinov2Config(hidden_size=384, num_attention_heads=6,
                                                     **DINO)),
    "dinov2-base": (hf.Dinov2Model, hf.Dinov2Config(**DINO)),
    "vit-base": (hf.ViTModel, hf.ViTConfig()),
    "videomae-base": (hf.VideoMAEForPreTraining, hf.VideoMAEConfig()),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED_MODELS)
def test_the_size_is_that_of_the_architecture(name):
    if name == "clip-vit-b-32":
        network = open_clip.create_model("ViT-B-32")
    else:
        kind, config = MODELS[name]
        with torch.device("meta"):
            network = kind(config)
    megabytes = sum(each.numel() for each in network.parameters()) * 4 / 1e6
    assert NAMED_MODELS[name].megabytes == pytest.approx(megabytes, abs=1)
