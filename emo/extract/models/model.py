"""Backbones with weights: what they share about loading, precision and batches."""

import atexit
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from emo.extract.backbone import Backbone, recipe_options
from emo.extract.models.device import DeviceCopies
from emo.extract.models.options import ModelOptions
from emo.extract.models.weights import Found, Weights, locate_weights
from emo.store.recipe import Recipe, StreamSpec

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
ModelRows = Tensor | tuple[Tensor, ...]
"""(n, …): what n rows (frames, windows, texts) put into a model; several when it reads several."""
Forward = Callable[..., Tensor]
"""Rows (n, …) on the device, one argument each -> (n, …)."""


class Model(Backbone):
    """A backbone with weights. A subclass writes ``weights``, ``streams``, ``build``, ``prepare``,
    ``encode`` and ``write_tiny``.
    """

    options: ModelOptions
    version: ClassVar[int] = 1
    """Raised whenever the code changes the numbers."""
    row_count: int = 32
    """Rows (frames, windows, texts) that go through the model together; set by the pipeline,
    halved when the device has no memory left."""

    def __init__(self, options: Any, *, device: str) -> None:
        """Keep what all methods need."""
        self.options, self.device = options, torch.device(device)
        self.copies = DeviceCopies(self.device)

    @classmethod
    @abstractmethod
    def weights(cls, options: Any) -> Weights:
        """The files."""

    @classmethod
    @abstractmethod
    def streams(cls, options: Any, found: Found) -> dict[str, StreamSpec]:
        """The streams, read from the configuration; builds no model."""

    @classmethod
    @abstractmethod
    def build(cls, options: Any, found: Found, *, device: str) -> Self:
        """The model with its weights, in eval mode, on ``device``."""

    @classmethod
    @abstractmethod
    def write_tiny(cls, folder: Path) -> Any:
        """Write small random weights as their authors would name them; returns the options."""

    @classmethod
    def recipe(cls, options: Any) -> Recipe:
        """As in the contract; the weights are hashed, their place is not kept."""
        found = locate_weights(cls.weights(options))
        name = cls.__module__.rpartition(".")[2]
        return Recipe(
            name, cls.streams(options, found), recipe_options(options),
            weights=found.digest, version=cls.version, facts=cls.facts(options, found),
        )  # fmt: skip

    @classmethod
    def facts(cls, options: Any, found: Found) -> dict[str, Any]:
        """What readers of the tokens may want to know (``Recipe.facts``); most have nothing."""
        return {}

    @classmethod
    def load(cls, options: Any, *, device: str) -> Self:
        """As in the contract."""
        return cls.build(options, locate_weights(cls.weights(options)), device=device)

    @classmethod
    def tiny(cls) -> Self:
        """As in the contract: small random weights are written, then really loaded."""
        return cls.load(_tiny_options(cls), device="cpu")

    def run(self, forward: Forward, clips: Sequence[ModelRows]) -> list[Tensor]:
        """Rows of many clips through the model together, each clip's result as if it were alone.

        Only rows of the same shape share a batch: nothing is ever padded. Halves the batch when
        memory runs out, down to one row.

        Args:
            forward: without gradients, under autocast when ``dtype`` says so.
            clips: (n_i, …) each, on the CPU; the rest of the shape may differ between clips.

        Returns:
            For each clip (n_i, …) float32 on the CPU.
        """
        tuples = [rows if isinstance(rows, tuple) else (rows,) for rows in clips]
        groups: dict[tuple[torch.Size, ...], list[int]] = {}
        for index, rows in enumerate(tuples):
            groups.setdefault(tuple(part.shape[1:] for part in rows), []).append(index)
        results: list[Tensor] = [torch.empty(0)] * len(clips)
        for members in groups.values():
            columns = zip(*(tuples[index] for index in members), strict=True)
            done = self._in_batches(forward, [torch.cat(column) for column in columns])
            counts = [len(tuples[index][0]) for index in members]
            for index, part in zip(members, torch.split(done, counts), strict=True):
                results[index] = part
        return results

    def _in_batches(self, forward: Forward, rows: Sequence[Tensor]) -> Tensor:
        done: list[Tensor] = []
        start = 0
        while start < len(rows[0]):
            batch = [part[start : start + self.row_count] for part in rows]
            try:
                with torch.inference_mode(), self._autocast():
                    moved = [self.copies.send(part) for part in batch]
                    done.append(self.copies.fetch(forward(*moved)))
            except (RuntimeError, MemoryError) as error:
                if len(batch[0]) == 1 or not _is_out_of_memory(error):
                    raise
                self.row_count = max(1, len(batch[0]) // 2)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            start += len(batch[0])
        self.copies.wait()
        return torch.cat(done)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.options.dtype == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=PRECISIONS[self.options.dtype])


def to_numpy(tokens: Tensor) -> np.ndarray:
    """(T, D) as ``encode`` returns it: float32."""
    array: np.ndarray = tokens.float().numpy()
    return array


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        "can't allocate memory" in str(error)
    )


@lru_cache
def _tiny_options(kind: type[Model]) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="emo-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind.write_tiny(folder)
