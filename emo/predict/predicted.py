"""Predict the clips of a manifest with a run; the result holds probabilities, not files."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emo.errors import EmoError
from emo.heads.data.dialogues import pairs_of, turns_of
from emo.heads.data.targets import Target
from emo.heads.runs.predictions import probability_columns
from emo.heads.runs.run import Run, stored_tokens
from emo.manifest import Clip, Manifest
from emo.manifest.tasks import NONE, SEPARATOR
from emo.predict.features import features_of
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of all clips that have features."""

    run: Run
    """The run."""
    clips: tuple[Clip, ...]
    """The clips, in the order of the manifest."""
    tables: Mapping[str, np.ndarray]
    """Target -> float (rows, C) probabilities, or (rows, 1) numbers."""
    absent: tuple[str, ...]
    """Streams that each clip lacks, such as ``wavlm/audio``, with commas; empty: none."""
    failures: Mapping[str, str]
    """Clip without any tokens -> reason."""

    def labels(self, target: Target) -> list[str]:
        """Return the predicted classes of each row; empty for a target of numbers."""
        rows = self.tables[target.name] if target.classes else ()
        return [label_of(target, row) for row in rows]

    def frame(self, target: Target | None = None, *, all_classes: bool = True) -> pd.DataFrame:
        """Return the predictions of one target: ``id``, ``prediction``, probabilities, ``absent``.

        Args:
            target: one of the run's; None: the first.
            all_classes: False: of more than 100 classes, the five most probable.
        """
        target = target or self.run.targets[0]
        table = self.tables[target.name]
        shares = probability_columns(target.classes, table, all_classes=all_classes)
        frame = pd.DataFrame(shares, index=range(len(table)))
        frame.insert(0, "prediction", self.labels(target) or table[:, 0])
        ids = [clip.id for clip in self.clips]
        if target.task == "pairs":
            pairs = pairs_of(turns_of(self.clips))
            frame.insert(0, "id", [ids[row] for row in pairs[:, 0]])
            frame.insert(1, "cause_id", [ids[row] for row in pairs[:, 1]])
            return frame
        frame.insert(0, "id", ids)
        frame["absent"] = list(self.absent)
        return frame


def predict_clips(
    run: Run | Path,
    manifest: Manifest,
    stores: Sequence[Location | str] = (),
    *,
    options: Sequence[str] = (),
    progress: bool | None = None,
) -> Predicted:
    """Predict every clip of a manifest.

    Args:
        run: the run, or its folder.
        manifest: the clips.
        stores: stores with the clips' tokens, of which each recipe is in one; empty: extract them
            into a temporary store.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.
        progress: whether to show a bar of extraction; None: in a terminal.

    Raises:
        EmoError: the run or a store cannot be read, or no clip has features.
    """
    run = Run.load(run) if isinstance(run, Path) else run
    with tempfile.TemporaryDirectory(prefix="emo-predict-") as folder:
        store, failures = features_of(
            run, manifest, stores, Path(folder), options, progress=progress
        )
        ids = [clip.id for clip in manifest.clips if clip.id not in failures]
        streams, bare = stored_tokens(run, ids, store)
        failures |= bare
        clips = tuple(clip for clip in manifest.clips if clip.id not in failures)
        if not clips:
            first = next((f"{clip}: {reason}" for clip, reason in failures.items()), "no clips")
            raise EmoError(f"{manifest.path}: no clip has features; first: {first}")
        tables = run.predict_all(streams, turns_of(clips))
    lacking = {name: np.diff(tokens.offsets) == 0 for name, tokens in streams.items()}
    absent = tuple(
        ", ".join(name for name, is_absent in lacking.items() if is_absent[row])
        for row in range(len(clips))
    )
    return Predicted(run, clips, tables, absent, failures)


def label_of(target: Target, shares: np.ndarray) -> str:
    """Return the most probable class; for a multilabel target, all with probability > 0.5."""
    if target.task != "multilabel":
        return target.classes[int(shares.argmax())]
    chosen = [name for name, share in zip(target.classes, shares, strict=True) if share > 0.5]
    return SEPARATOR.join(chosen) or NONE
