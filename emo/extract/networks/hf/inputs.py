"""Make the inputs of a transformers model from decoded media, with the model's own processor."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emo.errors import WeightsError
from emo.extract.media import window_starts
from emo.extract.models.model import ModelRows
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.log_mel import log_mel

LEAST_SAMPLES = 400
"""Shorter audio is padded with zeros to so many samples: the convolutions of wav2vec2 and similar
models give no output for less."""
PICTURE_BANDS, PICTURE_FLOOR_DB = 128, -100.0
"""Bands of a log-mel picture, and the level in dB that is drawn black (digital silence); 0 dB is
white."""
_TOKEN_LIMIT = 100_000  # tokenizers without a limit report about 10^30


class TextInputs:
    """Turn a text into ids; a text that is too long for the model is cut into several pieces."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Load the tokenizer; the number of the model's positions limits the length of a piece."""
        from transformers import AutoTokenizer

        self._tokenizer = _load(AutoTokenizer, folder)
        positions = config.get("max_position_embeddings") or _TOKEN_LIMIT
        positions -= 2 if config.get("model_type") in {"roberta", "xlm-roberta", "camembert"} else 0
        limit = self._tokenizer.model_max_length
        self._limit = min(int(positions), int(limit) if limit < _TOKEN_LIMIT else _TOKEN_LIMIT)
        self._lock = threading.Lock()  # a fast tokenizer cannot truncate in two threads at once

    def rows(self, text: str) -> list[ModelRows]:
        """Return the ids of each piece of a text, int64 (1, L)."""
        with self._lock:
            pieces = self._tokenizer(
                text, truncation=True, max_length=self._limit, return_overflowing_tokens=True
            )["input_ids"]
        if pieces and isinstance(pieces[0], int):  # a slow tokenizer returns one flat list
            pieces = [pieces]
        return [torch.tensor([ids], dtype=torch.int64) for ids in pieces]


class AudioInputs:
    """Turn audio into the inputs of a speech or sound model, one for each window."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Load the feature extractor."""
        from transformers import AutoFeatureExtractor

        self._extractor = _load(AutoFeatureExtractor, folder)
        self.sample_rate = int(self._extractor.sampling_rate)
        self.window_seconds = _fixed_seconds(self._extractor, config.get("model_type"))

    def rows(
        self, samples: np.ndarray, sample_rate: int, window: float | None, hop: float | None
    ) -> tuple[list[ModelRows], list[float]]:
        """Cut the audio into windows and make the model's input for each.

        Args:
            samples: float32 (channels, S).
            sample_rate: Hz.
            window: seconds of a window; None: the whole clip. The model may limit it.
            hop: seconds from window to window; None: equal to ``window``.

        Returns:
            For each window, in time order, float32 (1, …), and the seconds of audio in it.
        """
        mono = resample_audio(to_mono(samples), sample_rate, self.sample_rate)
        seconds = len(mono) / self.sample_rate
        length = min(window or seconds, self.window_seconds or seconds)
        step = min(hop or length, length)
        rows, lengths = [], []
        for start in window_starts(seconds, length, step):
            low = round(start * self.sample_rate)
            piece = mono[low : low + round(length * self.sample_rate)]
            lengths.append(len(piece) / self.sample_rate)
            rows.append(self._row(piece))
        return rows, lengths

    def _row(self, piece: np.ndarray) -> ModelRows:
        padded = np.pad(piece, (0, max(0, LEAST_SAMPLES - len(piece))))
        made = self._extractor(padded, sampling_rate=self.sample_rate, return_tensors="pt")
        name = "input_values" if "input_values" in made else "input_features"
        values: Tensor = made[name]
        return values.float()


class PictureInputs:
    """Turn frames, face crops, videos or log-mel pictures into the inputs of an image model."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Load the image processor, or the video processor of a model that has no other."""
        from transformers import AutoImageProcessor, AutoVideoProcessor

        self._is_video_processor = False
        try:
            self._processor = _load(AutoImageProcessor, folder)
        except WeightsError:
            self._processor, self._is_video_processor = _load(AutoVideoProcessor, folder), True

    def frames(self, images: np.ndarray) -> ModelRows:
        """Make the input of each image by itself: uint8 (F, H, W, 3) -> (F, …).

        A NaFlex model gets two tensors: patches (F, patches, D) and their grid's shape (F, 2).
        """
        made = self._processor(images=list(images), return_tensors="pt")
        pixels: Tensor = made["pixel_values"]
        if "spatial_shapes" in made:  # NaFlex: patches, a mask over them, and the grid's shape
            count = int(made["pixel_attention_mask"][0].sum())
            shapes = made["spatial_shapes"]
            return pixels[:, :count], shapes
        return pixels.float()

    def video(self, frames: np.ndarray) -> ModelRows:
        """Make one input of a video's frames: uint8 (F, H, W, 3) -> float32 (1, F, 3, H, W)."""
        if self._is_video_processor:
            clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
            made = self._processor(videos=[clip], return_tensors="pt", do_sample_frames=False)
            videos: Tensor = made["pixel_values_videos"]
            return videos.float()
        pixels: Tensor = self._processor(list(frames), return_tensors="pt")["pixel_values"]
        return pixels.reshape(1, len(frames), *pixels.shape[-3:]).float()


def picture_of(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Draw a log-mel spectrogram as a grey picture, low bands at the bottom.

    Args:
        samples: float32 (channels, S).
        sample_rate: Hz.

    Returns:
        uint8 (128, T, 3), one column per 10 ms.
    """
    bands = log_mel(
        resample_audio(to_mono(samples), sample_rate, 16000), 16000, mels=PICTURE_BANDS,
        window_seconds=0.025, hop_seconds=0.01,
    )  # fmt: skip
    grey = np.clip(255 * (1 - bands / PICTURE_FLOOR_DB), 0, 255).round().astype(np.uint8)
    return np.repeat(grey.T[::-1, :, None], 3, axis=2)


def _fixed_seconds(extractor: Any, model_type: object) -> float | None:
    """Return the longest window in seconds that a model reads; None: it has no limit."""
    if model_type == "whisper":
        return float(extractor.chunk_length)
    if model_type == "clap":
        return float(extractor.max_length_s)
    if model_type == "audio-spectrogram-transformer":
        return float(extractor.max_length) / 100  # its rows are 10 ms apart
    return None


def _load(kind: Any, folder: Path) -> Any:
    load: Callable[..., Any] = kind.from_pretrained
    try:
        return load(folder, local_files_only=True)
    except Exception as error:  # transformers raises OSError, ValueError, KeyError and others
        raise WeightsError(
            f"{folder}: {kind.__name__} cannot be made from the files in it: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


def tokens_of(rows: Tensor) -> np.ndarray:
    """Join the t tokens of each of a clip's n rows: float32 (n, t, D) -> (n * t, D)."""
    array: np.ndarray = rows.reshape(-1, rows.shape[-1]).numpy()
    return array
