"""One clip through LanguageBind-L, Perceiver and InceptionResnetV1 at their true sizes.

    python benchmarks/true_size.py [--clip FILE] [--device cpu|cuda] [--dtype fp32|bf16] [--clips N]

The weights are random (none can be had here), the architecture, files and code are the real ones.
Prints one JSON line a backbone: seconds to load, seconds and tokens of a clip, peak memory.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from emo.datasets.synthetic.dataset import write_dataset
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.backbones.perceiver import Perceiver
from emo.extract.backbones.vggface import VggFace
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.faces.detector import FaceDetector
from emo.extract.models.model import Model
from emo.extract.networks.languagebind.options import LanguageBindOptions
from emo.extract.networks.languagebind.tiny import write_repository
from tests.extract.backbones.test_true_size import PERCEIVER

LARGE = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16, "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip
TEXT = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "hidden_act": "gelu", "max_position_embeddings": 77,
}  # fmt: skip
VIDEO = {"image_size": 224, "num_frames": 8, "add_time_attn": True}
AUDIO = {"num_mel_bins": 112, "target_length": 1036}


def languagebind(folder: Path) -> Any:
    """Video-L, Audio-L and the text tower (with a vocabulary of single letters)."""
    write_repository(folder / "video", "video", projected=768, vision=LARGE | VIDEO, text=TEXT)
    write_repository(folder / "audio", "audio", projected=768, vision=LARGE | AUDIO, text=TEXT)
    return LanguageBindOptions(weights=str(folder / "video"), audio_weights=str(folder / "audio"))


def perceiver(folder: Path) -> Any:
    """As on the hub."""
    from transformers import PerceiverConfig, PerceiverForMultimodalAutoencoding

    sizes = {"output_shape": [1, 16, 224, 224], "output_num_channels": 512, **PERCEIVER}
    network = PerceiverForMultimodalAutoencoding(PerceiverConfig(**sizes))
    network.save_pretrained(folder)
    return replace(Perceiver.Options(), weights=str(folder))


MAKERS: dict[str, tuple[type[Model], Callable[[Path], Any]]] = {
    "languagebind": (LanguageBind, languagebind),
    "perceiver": (Perceiver, perceiver),
    "vggface": (VggFace, VggFace.write_tiny),
}


def measure(name: str, clip: ClipSource, device: str, dtype: str, clips: int) -> dict[str, object]:
    """One backbone in this process."""
    kind, make = MAKERS[name]
    with tempfile.TemporaryDirectory() as folder:
        options = replace(make(Path(folder)), dtype=dtype)
        began = time.perf_counter()
        backbone = kind.load(options, device=device)
        loaded = time.perf_counter() - began
        (media,) = load_media(clip, [kind.needs(options)], detect=FaceDetector())
    inputs = [backbone.prepare(media).inputs] * clips
    backbone.encode(inputs[:1])  # the first call allocates
    began = time.perf_counter()
    tokens = backbone.encode(inputs)
    seconds = time.perf_counter() - began
    networks = [value for value in vars(backbone).values() if isinstance(value, torch.nn.Module)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 2**20
    return {
        "benchmark": "true size", "backbone": name, "device": device, "dtype": dtype,
        "parameters_M": round(sum(p.numel() for n in networks for p in n.parameters()) / 1e6, 1),
        "load_seconds": round(loaded, 2), "seconds_a_clip": round(seconds / clips, 2),
        "tokens": {stream: list(rows.shape) for stream, rows in tokens[0].items()},
        "peak_MiB": round(peak),
    }  # fmt: skip


def each_alone(arguments: list[str]) -> Iterator[str]:
    """A process each, so that peaks are its own."""
    import subprocess

    for name in MAKERS:
        command = [sys.executable, __file__, "--only", name, *arguments]
        yield subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--only", choices=MAKERS)
    given = parser.parse_args()
    if given.only is None:
        for line in each_alone(sys.argv[1:]):
            print(line, flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = given.clip
        if path is None:
            write_dataset(Path(folder), clips_per_class_and_speaker=1, progress=False)
            path = next((Path(folder) / "clips").glob("*.mp4"))
        clip = ClipSource(video=path, text="What a day this is!")
        print(json.dumps(measure(given.only, clip, given.device, given.dtype, given.clips)))


if __name__ == "__main__":
    main()
