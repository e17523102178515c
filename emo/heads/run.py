"""A finished run, read back: its head with its scaling, ready to predict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from emo import plugins
from emo.errors import FitError
from emo.heads.data import scale_streams
from emo.heads.folder import FORMAT_VERSION, RUN_FILE, WEIGHTS_FILE
from emo.heads.head import LIBRARY, Batch, Head
from emo.heads.loop import probabilities_of
from emo.heads.scale import Scaling
from emo.ragged import Ragged
from emo.store.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Run:
    """What `emo fit-head` wrote.

    Example::

        run = Run.load(Path("runs/latest"))
        tokens = {name: store.read(name, ids) for name in run.streams}
        probabilities = run.predict(tokens)  # (N, C), in the order of run.classes
    """

    path: Path
    document: dict[str, Any]
    """``run.json``."""
    recipes: dict[str, Recipe]
    """By name in the store, what made the tokens that the head was fitted on."""
    scalings: dict[str, Scaling]
    head: Head

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read a run folder.

        Raises:
            FitError: there is none, or it is damaged or of a newer version.
        """
        document = _read_document(path)
        try:
            tensors = load_file(path / WEIGHTS_FILE)
            name, options = document["head"]["name"], document["head"]["options"]
            kind = plugins.load(LIBRARY, name, Head)  # type: ignore[type-abstract]
            dims = {stream: spec["dim"] for stream, spec in document["streams"].items()}
            classes = {document["target"]: len(document["classes"])}
            head = kind(dims, classes, options=kind.Options(**options))
            weights = {
                key.removeprefix("head/"): tensor
                for key, tensor in tensors.items()
                if key.startswith("head/")
            }
            head.load_state_dict(weights)
            scalings = {
                stream: Scaling(
                    tensors[f"scaling/{stream}/centre"], tensors[f"scaling/{stream}/scale"]
                )
                for stream in dims
            }
            recipes = {
                recipe: Recipe.from_json(value) for recipe, value in document["recipes"].items()
            }
        except (KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
            raise FitError(
                f"{path}: damaged, or made by another version of its head: {error!r}. "
                "Fit it again with emo fit-head."
            ) from error
        return cls(path, document, recipes, scalings, head)

    @property
    def target(self) -> str:
        """What the head predicts."""
        return str(self.document["target"])

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return tuple(self.document["classes"])

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """``{"classic/audio": {"fingerprint": …, "dim": …}}``, what :meth:`predict` reads."""
        return dict(self.document["streams"])

    def predict(self, streams: Mapping[str, Ragged]) -> np.ndarray:
        """Class probabilities (N, C), float32; streams beyond the run's own are ignored.

        Args:
            streams: tokens as stored, by stream, of the same N clips; length 0: absent.

        Raises:
            FitError: a stream is missing, or has another width or number of clips.
        """
        for name, spec in self.streams.items():
            if name not in streams:
                raise FitError(
                    f"{self.path}: the run reads stream {name!r}; "
                    f"got {', '.join(streams) or 'none'}"
                )
            if streams[name].width != spec["dim"]:
                raise FitError(
                    f"{self.path}: stream {name!r}: expected tokens of width {spec['dim']}, "
                    f"got {streams[name].width}"
                )
        counts = {name: len(streams[name]) for name in self.streams}
        if len(set(counts.values())) != 1:
            raise FitError(f"{self.path}: expected the same clips in every stream, got {counts}")
        if not next(iter(counts.values())):
            return np.zeros((0, len(self.classes)), np.float32)
        batch = Batch(scale_streams(streams, self.scalings))
        return probabilities_of(self.head, batch, self.target)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise FitError(
            f"{path} is no run folder ({RUN_FILE}: {error.strerror}); emo fit-head --out makes one"
        ) from error
    except ValueError as error:
        raise FitError(f"{path / RUN_FILE}: damaged: {error}. Fit it again.") from error
    if document.get("format_version") != FORMAT_VERSION:
        raise FitError(
            f"{path}: expected a run of format {FORMAT_VERSION}, got "
            f"{document.get('format_version')}; update emo, or fit again"
        )
    return document
