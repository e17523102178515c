"""Find faces with MTCNN and work around the known bugs of facenet-pytorch 2.5.3."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN

from emo.extract.faces.mtcnn import BatchedMtcnn
from emo.machine.memory import keep_freed_memory

_LEAST_SIDE_PIXELS = 20  # MTCNN's smallest face; it raises an error on smaller frames
_BATCH_PIXELS = 600_000  # larger batches do not fit in a CPU's caches and are slower
_GPU_BATCH_PIXELS = 2**24  # a clip's eight frames of 1080p; their first layers take 2 GB
# Messages of facenet-pytorch when a candidate lies outside its frame: torch.cat without crops; a
# mask over all candidates applied to the crops of some; an empty crop that is resized.
_OUTSIDE_FAULTS = ("non-empty list", "shape of the mask", "sizes should be greater than 0")
_EMPTY = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class FaceDetector:
    """Find faces with MTCNN; a :data:`~emo.extract.media.DetectFaces` that any thread may call.

    Only MTCNN's detection is used; :mod:`emo.extract.faces.tracks` selects and crops the faces. On
    a CPU it computes in one thread, so that the boxes are bit-identical for any number of workers.
    On a GPU it uses its own CUDA stream, beside the model's; only one thread at a time should call
    it.

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
        """Find the faces of each frame.

        Args:
            frames: uint8 (F, H, W, 3) RGB.

        Returns:
            For each frame boxes float32 (K, 4), x0 y0 x1 y1 in pixels, largest first, and their
            probabilities float32 (K,).
        """
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
            # A candidate wholly outside its frame makes detection of the whole batch fail: then
            # the frames are done one by one. Any other error, such as lack of memory, is raised.
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
