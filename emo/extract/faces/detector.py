"""Finds faces with MTCNN, around the known faults of facenet-pytorch 2.5.3."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN

from emo.extract.faces.mtcnn import BatchedMtcnn

_LEAST_SIDE_PIXELS = 20  # MTCNN's smallest face; it raises on smaller frames
_BATCH_PIXELS = 600_000  # larger batches are slower on a CPU: they leave its caches
_GPU_BATCH_PIXELS = 2**24  # a clip's eight frames of 1080p; their first layers take 2 GB
# torch.cat of no crops; a mask over all candidates for the crops of some; an empty crop resized
_OUTSIDE_FAULTS = ("non-empty list", "shape of the mask", "sizes should be greater than 0")
_EMPTY = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class FaceDetector:
    """MTCNN, loaded once, called from any thread: a :data:`~emo.extract.media.DetectFaces`.

    Only ``MTCNN.detect`` is used; selecting and cropping are :mod:`emo.extract.faces.tracks`.
    On a CPU it computes in one thread, so that the boxes are the same bits however many workers
    run. On a GPU it has a CUDA stream of its own, beside the model's; only one thread at a time
    should call it.

    Source: Zhang et al. 2016 (arXiv:1604.02878); weights in the facenet-pytorch wheel.
    """

    def __init__(self, *, device: str = "cpu") -> None:
        """Load the three networks onto ``device``."""
        mtcnn = MTCNN(keep_all=True, device=torch.device(device)).eval()
        mtcnn = mtcnn.to(memory_format=torch.channels_last)  # 18 % faster on a CPU
        self._mtcnn = BatchedMtcnn(mtcnn)
        is_on_gpu = device.startswith("cuda")
        self._stream: Any = None
        if is_on_gpu:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._batch_pixels = _GPU_BATCH_PIXELS if is_on_gpu else _BATCH_PIXELS
        keep_freed_memory()

    def __call__(self, frames: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """(F, H, W, 3) uint8 RGB -> boxes (K, 4) in pixels and probabilities (K,) of each frame."""
        if min(frames.shape[1:3]) < _LEAST_SIDE_PIXELS:
            return [_EMPTY] * len(frames)
        step = max(1, self._batch_pixels // (frames.shape[1] * frames.shape[2]))
        with _one_thread(), torch.inference_mode(), self._beside_the_model():
            return [
                found
                for low in range(0, len(frames), step)
                for found in self._detect(frames[low : low + step])
            ]

    def _beside_the_model(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()

    def _detect(self, frames: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        try:
            boxes, probabilities = self._mtcnn.detect(frames)
        except (RuntimeError, ValueError, IndexError) as error:
            # A candidate wholly outside its frame breaks detect_face for the whole batch: the
            # other frames are done alone. Anything else, such as no memory left, is an error.
            if not any(fault in str(error) for fault in _OUTSIDE_FAULTS):
                raise
            if len(frames) == 1:
                return [_EMPTY]
            return [self._detect(frame[None])[0] for frame in frames]
        return [
            _EMPTY if b is None else (np.asarray(b, np.float32), np.asarray(p, np.float32))
            for b, p in zip(boxes, probabilities, strict=True)
        ]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_… of malloc.h


_MOST_BYTES = 32 * 2**20  # larger blocks come and go as ever; glibc accepts no more


_KEPT_BYTES = 2**30


@cache
def keep_freed_memory() -> bool:
    """Ask the C library, once a process; whether it agreed (only glibc can)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _MOST_BYTES) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
