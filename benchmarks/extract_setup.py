"""What benchmarks/extract.py works on: clips, two backbones with a real forward, four tiny ones."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import torch
from large_clips import large_clips
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from emo import plugins
from emo.extract.backbone import Backbone
from emo.extract.backbones.vggface import CHECKPOINT, VggFace
from emo.extract.faces.detector import FaceDetector
from emo.extract.job.plan import make_plan
from emo.extract.job.request import Job, Request
from emo.extract.worker.devices import cores
from emo.extract.worker.worker import PartReport, Worker
from emo.manifest import Clip, Manifest
from emo.store.store import Store

FRAMES = 8
FOUR = ("languagebind", "videollama", "openclip", "timm")
"""Of the issue's table: all read frames of the clip, two its audio."""


@dataclass(frozen=True)
class Setup:
    """Everything that both sides of a comparison share; loaded once."""

    manifest: Manifest
    requests: tuple[Request, ...]
    backbones: dict[str, Backbone]
    detect: FaceDetector
    frames: int
    vggface: Path
    vit: Path
    is_real: bool
    """Whether the media are a folder of the caller's, not made here."""

    def run_part(self, store: Path, clips: tuple[Clip, ...]) -> PartReport:
        """One part with models that are loaded already."""
        folders = {
            request.name: Store.create(store).add_recipe(request.name, request.recipe)
            for request in self.requests
        }
        job = Job(self.manifest.root, store, self.requests, threads=cores())
        (part,) = make_plan(job, folders, clips, part_clips=len(clips)).parts
        with Worker(job) as worker, self.loaded():
            return worker.run_part(part)

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Inside, whoever loads MTCNN or one of the backbones gets ours."""
        with (
            patch("emo.extract.faces.detector.FaceDetector", lambda **_: self.detect),
            patch.object(Request, "load", lambda request, device: self.backbones[request.name]),
        ):
            yield

    def path(self, clip: Clip) -> Path:
        assert clip.video is not None
        return self.manifest.root / clip.video


def make_setup(folder: Path, media: Path | None, most_clips: int, frames: int) -> Setup:
    """InceptionResnetV1 on faces at true size, a ViT-Tiny on frames, and log-mels; all in fp32."""
    vggface, vit = folder / "vggface", folder / "vit"
    vggface.mkdir(parents=True)
    torch.manual_seed(0)
    faces = replace(VggFace.write_tiny(vggface), frames=frames, stored="float32")
    config = ViTConfig(
        hidden_size=192, num_attention_heads=3, intermediate_size=768, num_hidden_layers=4
    )
    ViTModel(config).save_pretrained(vit)
    ViTImageProcessor().save_pretrained(vit)
    requests = (
        ask_of("vggface", asdict(faces)),
        ask_of("hf", {"model": str(vit), "frames": frames, "stored": "float32"}),
        ask_of("logmel", {}),
    )
    backbones = {request.name: request.load("cpu") for request in requests}
    manifest = manifest_of(media or large_clips(folder, most_clips), most_clips)
    return Setup(
        manifest, requests, backbones, FaceDetector(), frames, vggface / CHECKPOINT, vit,
        is_real=media is not None,
    )  # fmt: skip


def ask_of(plugin: str, options: dict[str, Any]) -> Request:
    kind = plugins.load(plugins.BACKBONES, plugin, Backbone)  # type: ignore[type-abstract]
    whole = kind.Options(**options)
    return Request(plugin, plugin, asdict(whole), kind.recipe(whole))


def four_backbones() -> list[Backbone]:
    """With tiny weights: what is measured of them is decoding and preparing."""
    found = []
    for name in FOUR:
        kind = plugins.load(plugins.BACKBONES, name, Backbone)  # type: ignore[type-abstract]
        options: Any = kind.write_tiny(Path(tempfile.mkdtemp(prefix="emo-bench-")))  # type: ignore[attr-defined]
        found.append(kind.load(replace(options, **_frames(options)), device="cpu"))
    return found


def _frames(options: Any) -> dict[str, int]:
    return {"frames": FRAMES} if hasattr(options, "frames") else {}


def manifest_of(media: Path, most_clips: int) -> Manifest:
    """The files with picture and sound, at most so many, from small to large ones."""
    files = [path for path in sorted(media.rglob("*")) if path.is_file() and _has_both(path)]
    files.sort(key=lambda path: path.stat().st_size)
    files = files[:: -(-len(files) // most_clips)]
    names = [str(path.relative_to(media)) for path in files]
    return Manifest(media / "m.csv", media, tuple(Clip(name, video=name) for name in names), "")


def _has_both(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return bool(container.streams.video and container.streams.audio)
    except (av.error.FFmpegError, OSError):
        return False
