"""Base class of all backbones with weights: loading, precision, batches and gradients."""

import atexit
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from emo.extract.backbone import Backbone, Inputs, recipe_options
from emo.extract.models.adapted import adapted_folders, read_known_ids, seen_clips
from emo.extract.models.bounded_build import bounded_build
from emo.extract.models.device import DeviceCopies
from emo.extract.models.options import ModelOptions
from emo.extract.models.rewrite import Changes, changes_of, check_merged, write_layout
from emo.extract.models.skeleton import locate_configs, tensor_paths
from emo.extract.models.weights import Found, Weights, locate_weights, origin_of
from emo.store.adapted import FACT, SeenClips
from emo.store.recipe import Recipe, StreamSpec

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Value of the option ``dtype`` -> type for autocast; fp32 uses none."""
ModelRows = Tensor | tuple[Tensor, ...]
"""Input of a model for n rows (frames, windows or texts): a tensor (n, …), or several of them."""
Forward = Callable[..., Tensor]
"""Forward pass: rows (n, …) on the device, one argument for each input tensor -> result (n, …)."""


@dataclass(frozen=True)
class BasePart:
    """Where a network is in the model that other libraries load from the same files."""

    within: str = ""
    """Name of the network in that model; empty: it is that model."""
    module: str = ""
    """Module of that model's class; empty: it is not known."""
    class_name: str = ""
    """Name of that model's class."""


class Model(Backbone):
    """Contract of a backbone with weights.

    A subclass implements ``weights``, ``streams``, ``build``, ``write_tiny``, ``needs``,
    ``tokens``, ``prepare``, ``forward`` and ``networks``.
    """

    options: ModelOptions
    version: ClassVar[int] = 2  # 2: sound at its own time, pictures as they are shown
    """Version of the code, part of the recipe; raised whenever the code changes the numbers."""
    row_count: int = 32
    """Rows (frames, windows or texts) that go through the model together. The pipeline sets it, and
    it is halved when the device runs out of memory."""
    has_values: bool = True
    """False: a skeleton, whose tensors have shapes alone, so that code that looks at values fails.
    """
    is_training: bool = False
    """Whether ``forward`` keeps gradients; :meth:`training` sets it. The ``train`` and ``eval``
    modes of the networks (dropout, BatchNorm) are independent of it."""

    def __init__(self, options: Any, *, device: str) -> None:
        """Keep the options and the device."""
        self.options, self.device = options, torch.device(device)
        self.copies = DeviceCopies(self.device)

    @classmethod
    @abstractmethod
    def weights(cls, options: Any) -> Weights:
        """Return which weight files the backbone needs and where they are looked for."""

    @classmethod
    @abstractmethod
    def streams(cls, options: Any, found: Found) -> dict[str, StreamSpec]:
        """Return the streams, from the configuration files and without building the model.

        Args:
            options: instance of ``Options``.
            found: the weight files.
        """

    @classmethod
    @abstractmethod
    def build(cls, options: Any, found: Found, *, device: str) -> Self:
        """Build the backbone and load its weights, in eval mode, on ``device``.

        Args:
            options: instance of ``Options``.
            found: the weight files.
            device: ``cpu``, ``cuda:0`` …
        """

    @classmethod
    @abstractmethod
    def write_tiny(cls, folder: Path) -> Any:
        """Write small random weights in the format of the original ones; return the options."""

    @classmethod
    def recipe(cls, options: Any) -> Recipe:
        """Return the streams and the fingerprint; the weights count by their hash, not their path.

        Raises:
            WeightsError: weight files are missing.
        """
        found = locate_weights(cls.weights(options))
        name, seen = cls.__module__.rpartition(".")[2], seen_clips(found)
        facts = {"weights": origin_of(cls.weights(options), found), **cls.facts(options, found)}
        return Recipe(
            name, cls.streams(options, found), recipe_options(options),
            weights=found.digest, version=cls.version,
            facts=facts | ({FACT: seen.facts} if seen else {}),
        )  # fmt: skip

    @classmethod
    def seen_clips(cls, options: Any) -> SeenClips:
        """Return the clips that the weights were adapted on by `emo adapt`; usually none."""
        return seen_clips(locate_weights(cls.weights(options)))

    @classmethod
    def adaptations(cls, options: Any) -> dict[Path, frozenset[str]]:
        """Return the folders of `emo adapt` in which the weights lie; usually none.

        Returns:
            Folder -> ids of all clips of that adaptation, those of test included.

        Raises:
            WeightsError: the list of the clips is missing or damaged.
        """
        found = locate_weights(cls.weights(options)).paths.values()
        folders = adapted_folders(path for paths in found for path in paths)
        return {folder: read_known_ids(folder) for folder in sorted(folders)}

    @classmethod
    def facts(cls, options: Any, found: Found) -> dict[str, Any]:
        """Return facts for readers of the tokens, kept as ``Recipe.facts``; by default none."""
        return {}

    @classmethod
    def load(cls, options: Any, *, device: str) -> Self:
        """Find the weight files and build the backbone on ``device``.

        Raises:
            WeightsError: weight files are missing or damaged, or describe a model that is much
                larger than they are.
        """
        found = locate_weights(cls.weights(options))
        with bounded_build(found):
            return cls.build(options, found, device=device)

    @classmethod
    def skeleton(cls, options: Any) -> Self:
        """Build the networks on torch's device ``meta``, from the configuration files alone.

        They have the names and shapes of the real ones and take no memory. ``prepare`` works as
        with weights; ``forward`` inside :meth:`training` gives tensors without values, but not
        for a few types of transformers (DeBERTa, SigLIP 2), whose code asks for values.

        Raises:
            WeightsError: a configuration or a tokenizer is missing.
        """
        found = locate_configs(cls.weights(options))
        with bounded_build(found):
            model = cls.build(options, found, device="meta")
        model.has_values = False
        return model

    def write(self, folder: Path) -> dict[str, Path]:
        """Write the weights, as they are now, in the layout of the files they were loaded from.

        The same options load them, but for the folders that are returned; the tokens then are the
        same bits. Tensors that were not loaded (a classifier) are copied.

        Args:
            folder: gets a folder for each option of :meth:`networks`; none of them may exist.

        Returns:
            Option -> its new value, such as ``{"weights": folder / "weights"}``.

        Raises:
            WeightsError: the base's files are gone, a folder is there already, or the networks
                have adapters that were not merged.
        """
        for network in self.networks().values():
            check_merged(network.state_dict())
        weights = self.weights(self.options)
        found = locate_weights(weights)
        return write_layout(weights, found, folder, self.changes(weights, found))

    def changes(self, weights: Weights, found: Found) -> dict[Path, Changes]:
        """Return the tensors that differ from the base's, for each file by the names in it.

        A backbone whose names differ from those in its files overrides this.
        """
        return {
            path: changed
            for option, network in self.networks().items()
            for path, changed in changes_of(
                network.state_dict(), tensor_paths(weights, found, option)
            ).items()
        }

    def unreached(self, batch: Sequence[Inputs]) -> list[str]:
        """Return the parameters that the tokens do not depend on: unused poolers, classifiers.

        One forward pass finds them; no gradient is computed.

        Args:
            batch: inputs of clips that together have every stream; a skeleton needs them as well.

        Returns:
            ``OPTION.PARAMETER`` for each.
        """
        named = {
            f"{option}.{name}": parameter
            for option, network in self.networks().items()
            for name, parameter in network.named_parameters()
            if parameter.requires_grad
        }
        with self.training(), torch.enable_grad():
            tokens = [each for clip in self.forward(batch) for each in clip.values()]
        reached = leaves_of(tokens)
        return [name for name, parameter in named.items() if id(parameter) not in reached]

    @classmethod
    def tiny(cls) -> Self:
        """Write small random weights to a temporary folder and load them like real ones."""
        return cls.load(_tiny_options(cls), device="cpu")

    @abstractmethod
    def forward(self, batch: Sequence[Inputs]) -> list[dict[str, Tensor]]:
        """Compute the tokens of a batch of clips as tensors.

        Inside :meth:`training` they lie on the device, with gradients if torch's grad mode is on,
        and precision is left to the caller's autocast. Outside they are copied to the CPU, without
        gradients, in the precision of the option ``dtype``.

        Args:
            batch: the ``inputs`` of B prepared clips; streams may be missing in some or all.

        Returns:
            For each of the B clips ``{stream: float32 (T, D)}``, without the streams that it lacks.
        """

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Return the networks by the option that says where their weights lie.

        Several networks of one option are parts of one ``ModuleDict``, by stream. ``forward`` calls
        the returned modules, so that layers which are replaced inside them take part.
        """

    def part_of_base(self, option: str) -> BasePart:
        """Return where a network of :meth:`networks` is in the model that others load.

        By default it is that model. Adapters of the peft library are named by it.
        """
        return BasePart()

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Compute the tokens of a batch of clips: :meth:`forward` without gradients, as arrays."""
        with self.training(is_on=False):
            found = self.forward(batch)
        return [{name: to_numpy(tokens) for name, tokens in clip.items()} for clip in found]

    @classmethod
    def plain_inputs(cls, inputs: Inputs) -> dict[str, Any]:
        """Return a clip's inputs as dicts, lists and tensors, to be stored; by default unchanged.

        :meth:`inputs_of` is the inverse.
        """
        return dict(inputs)

    @classmethod
    def inputs_of(cls, plain: Inputs) -> Inputs:
        """Return the inputs that :meth:`plain_inputs` made plain; by default unchanged."""
        return plain

    @contextmanager
    def training(self, *, is_on: bool = True) -> Iterator[None]:
        """Let ``forward`` keep gradients inside the block; with ``is_on=False`` not, as usual."""
        before, self.is_training = self.is_training, is_on
        try:
            yield
        finally:
            self.is_training = before

    def run_having(
        self, forward: Forward, batch: Sequence[Inputs], name: str
    ) -> Iterator[tuple[int, Tensor]]:
        """Run the input ``name`` of the clips that have it; see :meth:`run`.

        Args:
            forward: the forward pass.
            batch: inputs of B clips.
            name: name of the input, rows (n, …) of a clip.

        Returns:
            Index of a clip in the batch, and its result (n, …), for each clip that has the input.
        """
        having = [index for index, inputs in enumerate(batch) if name in inputs]
        done = self.run(forward, [batch[index][name] for index in having])
        return zip(having, done, strict=True)

    def run(self, forward: Forward, clips: Sequence[ModelRows]) -> list[Tensor]:
        """Run the rows of several clips through the model in common batches.

        Only rows of the same shape share a batch, so that nothing is padded and each clip gets the
        result that it would get alone. The batch is halved when memory runs out, down to one row.
        Inside :meth:`training` it is not, and results stay on the device with their gradients.

        Args:
            forward: the forward pass; called without gradients, under autocast if ``dtype`` is not
                fp32.
            clips: for each clip its rows (n_i, …) on the CPU, in one or several tensors; clips may
                differ in the shape of their rows.

        Returns:
            For each clip float32 (n_i, …) on the CPU; inside :meth:`training` on the device.
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
        """Run rows of one shape through the model, ``row_count`` at a time: float32 (n, …)."""
        if self.is_training:
            return self._with_gradients(forward, rows)
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

    def _with_gradients(self, forward: Forward, rows: Sequence[Tensor]) -> Tensor:
        """Run rows in the batches of extraction; float32 (n, …) on the device, with gradients."""
        done = []
        for start in range(0, len(rows[0]), self.row_count):
            batch = [part[start : start + self.row_count] for part in rows]
            done.append(forward(*(self.copies.send(part) for part in batch)).float())
        return torch.cat(done)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.options.dtype == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=PRECISIONS[self.options.dtype])


def to_numpy(tokens: Tensor) -> np.ndarray:
    """Convert tokens (T, D) to the float32 array (T, D) that ``encode`` returns."""
    array: np.ndarray = tokens.float().numpy()
    return array


def leaves_of(results: Sequence[Tensor]) -> set[int]:
    """Return the ``id`` of each parameter that results were computed from, by autograd's graph."""
    waiting: list[Any] = [each.grad_fn for each in results if each.grad_fn is not None]
    seen, leaves = set(waiting), set()
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            leaves.add(id(node.variable))
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)
    return leaves


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
