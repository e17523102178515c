"""Multimodal Perceiver: video and audio of 0.64 s windows together, as latents or one label token.

Source: Jaegle et al. 2021 (arXiv:2107.14795), weights ``deepmind/multimodal-perceiver``; frames are
prepared like in DeepMind's video autoencoding notebook.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from emo.errors import WeightsError
from emo.extract.backbone import BackboneCard, Inputs, Prepared
from emo.extract.media import WINDOWS_AT_ONCE, Media, Needs, Rate, Windows, window_starts
from emo.extract.models.model import Model
from emo.extract.models.options import ModelOptions, chosen_streams
from emo.extract.models.skeleton import locate_configs
from emo.extract.models.tensor_files.checkpoint import fill, read_config, read_tensors
from emo.extract.models.weights import Found, WeightFile, Weights
from emo.extract.networks.perceiver import PerceiverSizes, PerceiverWindow, read_sizes
from emo.extract.transforms.audio import resample_audio
from emo.store.recipe import StreamSpec

FRAMES_PER_SECOND = 25.0  # 1920 samples a frame at 48 kHz
STREAMS = ("latents", "label", "logits")


@dataclass(frozen=True, kw_only=True)
class PerceiverOptions(ModelOptions):
    """Options of :class:`Perceiver`."""

    weights: str = field(
        default="deepmind/multimodal-perceiver",
        metadata={"help": "folder or hub id with config.json and weights", "recipe": False},
    )
    streams: str = field(
        default="label",
        metadata={
            "help": "streams to compute, with commas between: label, logits, latents (784 tokens "
            "per window)"
        },
    )
    hop_seconds: float | None = field(
        default=None, metadata={"help": "seconds between windows; none: a window's length, 0.64"}
    )

    def __post_init__(self) -> None:
        """Check the names of the streams and the range of the hop.

        Raises:
            ValueError: an option is out of its range.
        """
        chosen_streams(self.streams, STREAMS)
        if self.hop_seconds is not None and self.hop_seconds <= 0:
            raise ValueError(f"expected hop_seconds above 0, got {self.hop_seconds}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Selected streams."""
        return chosen_streams(self.streams, STREAMS)


class Perceiver(Model):
    """Perceiver IO of video and its sound. A window has 16 frames, at 25 per second.

    Streams, for W windows: ``label`` (W, 512), ``logits`` (W, 700) and ``latents`` (W * 784, 512).
    By default only ``label`` is computed: ``logits`` is a linear map of it, and ``latents`` is 784
    times as large.

    The last window may reach past the end of the clip; its last frame is repeated and its audio is
    filled with silence. A still picture is repeated for as many windows as the audio has. A clip
    without video or without audio has no stream: the model was trained on both together (its
    masks were not trained), and silence would change the tokens unnoticed.
    """

    Options: ClassVar[type] = PerceiverOptions
    options: PerceiverOptions
    card: ClassVar[BackboneCard] = BackboneCard(
        source="deepmind/multimodal-perceiver (arXiv:2107.14795)",
        licence="Apache-2.0",
        parameters="20 M",
        streams="label (T, 512); on request latents (784 T, 512), logits (T, 700)",
    )
    row_count: int = 2
    """Windows that go through the model together; each takes about 1 GB (52,097 inputs)."""

    def __init__(
        self, net: PerceiverWindow, sizes: PerceiverSizes, options: PerceiverOptions, *, device: str
    ) -> None:
        """Keep the network.

        Args:
            net: the network in eval mode, on ``device``.
            sizes: sizes of its windows and outputs.
            options: instance of ``Options``.
            device: device of the network.
        """
        Model.__init__(self, options, device=device)
        self.net, self.sizes = net, sizes

    @classmethod
    def weights(cls, options: PerceiverOptions) -> Weights:
        """Return the configuration and the tensors in transformers' format."""
        tensors = WeightFile(("model.safetensors", "pytorch_model.bin"))
        return Weights("perceiver", options.weights, (WeightFile(("config.json",)), tensors))

    @classmethod
    def needs(cls, options: PerceiverOptions) -> Needs:
        """Require audio, and the centre squares of each window's frames."""
        sizes = _sizes_or_usual(options)
        rule = Rate(sizes.frames, FRAMES_PER_SECOND)
        windows = Windows(rule, _window_seconds(sizes), _hop_seconds(options, sizes))
        return Needs(
            frames=windows,
            keep_frames=True,
            transform=lambda frame: square(frame, sizes.height, sizes.width),
            audio=True,
        )

    @classmethod
    def streams(cls, options: PerceiverOptions, found: Found) -> dict[str, StreamSpec]:
        """Return the selected streams; their widths are in ``config.json``."""
        sizes = read_sizes(read_config(found.get("config.json")))
        every = {
            "latents": StreamSpec(sizes.latent_width, options.stored, "latent"),
            "label": StreamSpec(sizes.label_width, options.stored, "window"),
            "logits": StreamSpec(sizes.labels, options.stored, "window"),
        }
        return {name: every[name] for name in options.parts}

    @classmethod
    def tokens(cls, options: PerceiverOptions, seconds: float) -> dict[str, float]:
        """Return T of each stream: one token per window, for latents 784."""
        sizes = _sizes_or_usual(options)
        starts = window_starts(seconds, _window_seconds(sizes), _hop_seconds(options, sizes))
        every = {"latents": sizes.latents}
        return {name: float(len(starts) * every.get(name, 1)) for name in options.parts}

    @classmethod
    def stretch_seconds(cls, options: PerceiverOptions) -> float:
        """Return the length of eight windows."""
        return WINDOWS_AT_ONCE * _hop_seconds(options, _sizes_or_usual(options))

    @classmethod
    def build(cls, options: PerceiverOptions, found: Found, *, device: str) -> Self:
        """Build the network and load its weights."""
        config = read_config(found.get("config.json"))
        with found.building():
            net = PerceiverWindow(config)
        if found.has_tensors:
            path = found.get("model.safetensors")
            fill(net.whole, read_tensors(path), where=str(path))
        return cls(net.eval().to(device), read_sizes(config), options, device=device)

    @classmethod
    def write_tiny(cls, folder: Path) -> PerceiverOptions:
        """Write a model with 12 latents and windows of 4 frames of 8 x 8 pixels; return options."""
        from transformers import PerceiverConfig, PerceiverForMultimodalAutoencoding

        sizes: dict[str, Any] = dict(
            num_frames=4, image_size=2, output_shape=[1, 4, 8, 8], audio_samples_per_frame=64,
            num_latents=12, d_latents=16, num_self_attends_per_block=1, num_labels=5,
            num_self_attention_heads=2, num_cross_attention_heads=1, output_num_channels=24,
            _label_trainable_num_channels=8, initializer_range=0.1,
        )  # fmt: skip
        config = PerceiverConfig(**sizes)
        PerceiverForMultimodalAutoencoding(config).save_pretrained(folder)
        return PerceiverOptions(weights=str(folder), streams=",".join(STREAMS))

    def prepare(self, media: Media) -> Prepared:
        """Cut the audio into the windows of the frames; pack both as uint8 (W, bytes)."""
        if media.frames is None or media.samples is None or media.sample_rate is None:
            why = [media.absent.get(name) for name in ("video", "audio")]
            reason = "needs video and audio: " + "; ".join(filter(None, why))
            return Prepared({}, dict.fromkeys(self.options.parts, reason))
        images = media.frames.reshape(-1, self.sizes.pixels)  # (W, F*H*W*3)
        rate = round(FRAMES_PER_SECOND * self.sizes.samples_per_frame)
        samples = resample_audio(media.samples[0], media.sample_rate, rate)
        hop = _hop_seconds(self.options, self.sizes)
        if media.frame_seconds is not None and np.ptp(media.frame_seconds) == 0:
            # one picture for the whole clip, a still: as many windows as the audio has
            length = len(samples) / rate
            count = len(window_starts(length, _window_seconds(self.sizes), hop))
            images = np.repeat(images[:1], count, axis=0)
        starts = np.round(np.arange(len(images)) * hop * rate).astype(int)
        sounds = cut(samples, starts, self.sizes.samples)  # (W, S)
        rows = np.concatenate([images, sounds.view(np.uint8)], axis=1)
        return Prepared({"windows": torch.from_numpy(rows)})

    def networks(self) -> dict[str, nn.Module]:
        """Return the only network, under the names of the checkpoint."""
        return {"weights": self.net.whole}

    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Encode each window by itself: float32 (T, D) per stream and clip, in time order."""
        found: list[dict[str, Tensor]] = [{} for _ in batch]
        for index, flat in self.run_having(self._forward, batch, "windows"):
            found[index] = self._tokens(flat)
        return found

    def _forward(self, rows: Tensor) -> Tensor:
        """Encode packed windows uint8 (n, bytes): the streams' values side by side, (n, values)."""
        sizes = self.sizes
        frames = rows[:, : sizes.pixels].reshape(-1, sizes.frames, sizes.height, sizes.width, 3)
        audio = rows[:, sizes.pixels :].contiguous().view(torch.float32)
        tokens = self.net(frames.permute(0, 1, 4, 2, 3).float() / 255, audio.unsqueeze(-1))
        return torch.cat([tokens[name].flatten(1).float() for name in self.options.parts], dim=1)

    def _tokens(self, flat: Tensor) -> dict[str, Tensor]:
        """Split the values (W, values) of a clip into its streams: float32 (T, D) each."""
        sizes = self.sizes
        shapes = {
            "latents": (sizes.latents, sizes.latent_width),
            "label": (1, sizes.label_width),
            "logits": (1, sizes.labels),
        }
        names = self.options.parts
        parts = torch.split(flat, [int(np.prod(shapes[name])) for name in names], dim=1)
        return {
            name: part.reshape(-1, shapes[name][1]) for name, part in zip(names, parts, strict=True)
        }


def square(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Crop the centre square of a frame and resize it, bilinear without antialiasing.

    Args:
        frame: uint8 (H, W, 3).
        height: height of the result in pixels.
        width: width of the result in pixels.

    Returns:
        uint8 (height, width, 3).

    Source: ``crop_center_square`` and ``cv2.resize`` of DeepMind's notebook (OpenCV's integer
    arithmetic differs by at most one grey level).
    """
    side = min(frame.shape[:2])
    y, x = (length // 2 - side // 2 for length in frame.shape[:2])
    centre = torch.from_numpy(frame[y : y + side, x : x + side]).permute(2, 0, 1)[None].float()
    resized = interpolate(centre, size=(height, width), mode="bilinear", align_corners=False)
    array: np.ndarray = resized[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return array


def cut(samples: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Cut pieces of equal length out of the samples, with silence after their end.

    Args:
        samples: float32 (S,).
        starts: integers (W,), rising, the first sample of each piece.
        length: samples of a piece.

    Returns:
        float32 (W, length).
    """
    padded = np.pad(samples, (0, max(0, int(starts[-1]) + length - len(samples))))
    return np.stack([padded[start : start + length] for start in starts]).astype(np.float32)


def _window_seconds(sizes: PerceiverSizes) -> float:
    return sizes.frames / FRAMES_PER_SECOND


def _hop_seconds(options: PerceiverOptions, sizes: PerceiverSizes) -> float:
    return options.hop_seconds or _window_seconds(sizes)


def _sizes_or_usual(options: PerceiverOptions) -> PerceiverSizes:
    """Return the sizes in ``config.json``; without weights (``emo list``) the published ones."""
    try:
        found = locate_configs(Perceiver.weights(options))
    except WeightsError:
        return PerceiverSizes()
    return read_sizes(read_config(found.get("config.json")))
