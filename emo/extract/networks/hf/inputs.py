"""Make the inputs of a transformers model from sound and pictures, with its own processor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emo.errors import WeightsError
from emo.extract.media import window_starts
from emo.extract.networks.hf.kinds import PADDED_TEXT, Kind
from emo.extract.networks.hf.models import text_positions
from emo.extract.networks.hf.processors import ModelInput, load_processor
from emo.extract.networks.hf.text import TextInputs
from emo.extract.transforms.audio import resample_audio, to_mono

LEAST_SAMPLES = 400
"""Shorter audio is padded with zeros to so many samples: the convolutions of wav2vec2 and similar
models give no output for less."""
WHISPER_TOKENS_PER_SECOND = 50
"""Tokens of Whisper's encoder for a second of sound."""


class AudioInputs:
    """Turn audio into the inputs of a speech or sound model, one for each window."""

    def __init__(
        self, folder: Path, config: Mapping[str, Any], names: frozenset[str], *, is_cut: bool
    ) -> None:
        """Load the feature extractor.

        Args:
            folder: folder of its files.
            config: content of ``config.json``.
            names: inputs that the model takes.
            is_cut: leave out what Whisper is padded with (``window=clip``).
        """
        from transformers import AutoFeatureExtractor

        self._extractor = load_processor(AutoFeatureExtractor, folder)
        self._names = names
        self._is_whisper, self._is_cut = config.get("model_type") == "whisper", is_cut
        self.sample_rate = int(self._extractor.sampling_rate)
        self.window_seconds = _fixed_seconds(self._extractor, config.get("model_type"))

    def inputs(
        self, samples: np.ndarray, sample_rate: int, window: float | None, hop: float | None
    ) -> list[ModelInput]:
        """Cut the audio into windows and make the model's input for each.

        Args:
            samples: float32 (channels, S).
            sample_rate: Hz.
            window: seconds of a window; None: the whole clip. The model may limit it.
            hop: seconds from window to window; None: equal to ``window``.

        Returns:
            The input of each window, in time order: one row, float32 (1, …).
        """
        mono = resample_audio(to_mono(samples), sample_rate, self.sample_rate)
        seconds = len(mono) / self.sample_rate
        length = min(window or seconds, self.window_seconds or seconds)
        step = min(hop or length, length)
        lows = [round(start * self.sample_rate) for start in window_starts(seconds, length, step)]
        return [self._input(mono[low : low + round(length * self.sample_rate)]) for low in lows]

    def _input(self, piece: np.ndarray) -> ModelInput:
        """Make the input of one window; ``own`` tells what of Whisper's 30 s is not padding."""
        if self._is_whisper:
            return self._whisper_input(piece)
        padded = np.pad(piece, (0, max(0, LEAST_SAMPLES - len(piece))))
        made = self._extractor(padded, sampling_rate=self.sample_rate, return_tensors="pt")
        return ModelInput(_taken(made, self._names))

    def _whisper_input(self, piece: np.ndarray) -> ModelInput:
        """Make Whisper's input: mel bands (1, bands, 2 t), of 30 s or of the piece's t tokens.

        A piece is cut after it was padded as far as its last column reads, so that its columns
        are those of the 30 s.
        """
        count = max(1, round(len(piece) / self.sample_rate * WHISPER_TOKENS_PER_SECOND))
        how: dict[str, Any] = {}
        if self._is_cut:
            hop, reach = self._extractor.hop_length, self._extractor.n_fft
            wanted = min(2 * count * hop + reach, self._extractor.n_samples)
            piece = np.pad(piece, (0, max(0, wanted - len(piece))))
            how = {"padding": "longest"}
        made = self._extractor(piece, sampling_rate=self.sample_rate, return_tensors="pt", **how)
        tensors = _taken(made, self._names)
        if self._is_cut:
            tensors["input_features"] = tensors["input_features"][..., : 2 * count]
        own = torch.zeros(1, tensors["input_features"].shape[-1] // 2, dtype=torch.bool)
        own[:, :count] = True
        return ModelInput(tensors, own)


class PictureInputs:
    """Turn frames, face crops, videos or log-mel pictures into the inputs of an image model."""

    def __init__(self, folder: Path, names: frozenset[str]) -> None:
        """Load the image processor, or the video processor of a model that has no other.

        Args:
            folder: folder of its files.
            names: inputs that the model takes.
        """
        from transformers import AutoImageProcessor, AutoVideoProcessor

        self._names, self._is_video_processor = names, False
        try:
            self._processor = load_processor(AutoImageProcessor, folder)
        except WeightsError:
            self._processor = load_processor(AutoVideoProcessor, folder)
            self._is_video_processor = True

    def frames(self, images: np.ndarray) -> ModelInput:
        """Make the input of each image by itself: uint8 (F, H, W, 3) -> F rows.

        The images have one size, so that padding of a NaFlex model's patches is the same in all
        of them, and left out.
        """
        made = _taken(self._processor(images=list(images), return_tensors="pt"), self._names)
        if "spatial_shapes" in made:  # NaFlex: patches (F, patches, D), and a mask over them
            count = int(made["pixel_attention_mask"][0].sum())
            for name in ("pixel_values", "pixel_attention_mask"):
                made[name] = made[name][:, :count]
        return ModelInput(made)

    def video(self, frames: np.ndarray) -> ModelInput:
        """Make one input of a video's frames: uint8 (F, H, W, 3) -> one row (1, F, 3, H, W)."""
        if self._is_video_processor:
            clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
            made = self._processor(videos=[clip], return_tensors="pt", do_sample_frames=False)
            return ModelInput(_taken(made, self._names))
        pixels: Tensor = self._processor(list(frames), return_tensors="pt")["pixel_values"]
        name = "pixel_values" if "pixel_values" in self._names else "pixel_values_videos"
        return ModelInput({name: pixels.reshape(1, len(frames), *pixels.shape[-3:]).float()})


def reader_of(
    kind: Kind, folder: Path, config: Mapping[str, Any], names: frozenset[str], network: Any,
    *, is_cut: bool,
) -> TextInputs | AudioInputs | PictureInputs:  # fmt: skip
    """Load the processor that makes a model's inputs.

    Args:
        kind: what the model reads.
        folder: folder of the processor's files.
        config: content of ``config.json``.
        names: inputs that the model takes.
        network: the model.
        is_cut: leave out what Whisper is padded with.
    """
    if kind == "text":
        return TextInputs(
            folder, names, positions=text_positions(network),
            is_padded=config.get("model_type") in PADDED_TEXT,
        )  # fmt: skip
    if kind == "audio":
        return AudioInputs(folder, config, names, is_cut=is_cut)
    return PictureInputs(folder, names)


def _fixed_seconds(extractor: Any, model_type: object) -> float | None:
    """Return the longest window in seconds that a model reads; None: it has no limit."""
    if model_type == "whisper":
        return float(extractor.chunk_length)
    if model_type == "clap":
        return float(extractor.max_length_s)
    if model_type == "audio-spectrogram-transformer":
        return float(extractor.max_length) / 100  # its rows are 10 ms apart
    return None


def _taken(made: Mapping[str, Any], names: frozenset[str]) -> dict[str, Tensor]:
    """Return the tensors that a model takes of what its processor made, as float32 or integers."""
    return {
        name: made[name].float() if made[name].is_floating_point() else made[name]
        for name in sorted(made)
        if name in names and isinstance(made[name], Tensor)
    }
