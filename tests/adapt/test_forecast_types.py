"""What a forward pass keeps is counted for models whose code looks at values."""

import pytest
import torch
import transformers as hf

from emo.adapt.method.method import apply_method
from emo.adapt.options import AdaptOptions
from emo.adapt.planning import activations
from emo.extract.backbones.hf import HF, HFOptions
from tests.adapt.conftest import inputs
from tests.extract.backbones.test_hf import MODELS, SPEECH
from tests.make_hf import load, write

SOUND = {**SPEECH, "feat_extract_norm": "layer"}
WAV = hf.Wav2Vec2FeatureExtractor
TYPES = {
    "wavlm": lambda: (hf.WavLMConfig(**SPEECH), WAV()),
    "wav2vec2 with masks": lambda: (hf.Wav2Vec2Config(**SOUND), WAV(return_attention_mask=True)),
    "whisper": lambda: (MODELS["whisper"]()[1], hf.WhisperFeatureExtractor(feature_size=8)),
    "deberta": lambda: (MODELS["deberta-v2"]()[1],),
}


def kept(model, batch):
    """Bytes that a real forward pass keeps."""
    counter = activations._Counter()
    hooks = torch.autograd.graph.saved_tensors_hooks(counter.keep, lambda each: each)
    counter.leave_out(model)
    activations._train_mode(model, AdaptOptions())
    with torch.enable_grad(), model.training(), hooks:
        found = model.forward(batch)
    assert found
    return counter.total


@pytest.mark.parametrize("name", TYPES)
def test_the_forecast_without_values_is_what_a_pass_keeps(name, tmp_path):
    config, *processors = TYPES[name]()
    for rate in ("layerdrop", "encoder_layerdrop"):
        if hasattr(config, rate):
            setattr(config, rate, 0.0)
    write(tmp_path, config, *processors)
    options = AdaptOptions.of(method="full")
    real = load(tmp_path)
    batch = inputs(real) * 2
    apply_method({"m": real}, options, {"m": batch[:1]})
    skeleton = HF.skeleton(HFOptions(model="tiny", weights=str(tmp_path)))
    apply_method({"m": skeleton}, options, {"m": batch[:1]})
    found = activations.kept_bytes({"m": skeleton}, options, {"m": batch})
    assert found == pytest.approx(kept(real, batch), rel=0.02)
