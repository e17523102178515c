"""The files of a transformers model: its configuration, its tensors and those of its processors."""

from emo.extract.models.weights import WeightFile

HF_FILES = (
    WeightFile(("config.json",)),
    WeightFile(
        ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin")
    ),
    WeightFile(("*preprocessor_config.json",), is_optional=True),
    WeightFile(("processor_config.json",), is_optional=True),
    WeightFile(("token*.json",), is_optional=True),
    WeightFile(("added_tokens.json",), is_optional=True),
    WeightFile(("*.codes",), is_optional=True),
    WeightFile(("*.spm",), is_optional=True),
    WeightFile(("vocab*",), is_optional=True),
    WeightFile(("merges.txt",), is_optional=True),
    WeightFile(("special_tokens_map.json",), is_optional=True),
    WeightFile(("*.model",), is_optional=True),
    WeightFile(("*.index.json",), is_optional=True),
)
"""Files that :class:`emo.extract.backbones.hf.HF` looks for in the folder of a model."""
