"""`emo zero-shot`: classes by their names, without training, written as a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import OptionError, line_of, plural
from emo.heads.metrics.measures import title_of
from emo.heads.metrics.scores import Scores
from emo.heads.runs.files import RUN_FORMAT_VERSION, Column, check_free, write_table
from emo.heads.runs.predictions import probability_columns
from emo.heads.runs.write import run_folder, write_document
from emo.machine.table import fit_lines, format_table, json_text
from emo.manifest import Clip, Manifest
from emo.predict.similarity.classes import (
    average_precisions,
    calibration_of,
    class_cosines,
    class_labels,
    class_vectors,
)
from emo.predict.similarity.queries import TextQuery, text_vectors
from emo.predict.similarity.search import SearchOptions
from emo.predict.similarity.stored import find_stream, read_clips, read_vectors
from emo.store.backend.location import Location
from emo.store.store import Store

_ONE_LABEL = (
    "the clips have several labels, but a softmax shares 1 among the classes: at most one exceeds "
    "0.5 and is predicted. Read the mean average precision, which ranks the clips by cosine"
)
USUAL_TARGET = "label"
"""Column of the labels where none is named."""
UNSPLIT = "test"
"""Split of clips that have none: nothing was trained, so all of them may be scored."""


@dataclass(frozen=True)
class ZeroShotReport:
    """Predictions of zero-shot classes, and their scores if labels are known."""

    out: Path
    """Folder of the run."""
    counts: dict[str, int]
    """Class -> number of clips."""
    scores: dict[str, dict[str, Any]]
    """Split -> scores as in ``run.json``; empty without labels."""
    lines: tuple[str, ...]
    """What was done, as sentences."""

    def table(self) -> str:
        """Return counts and scores as text tables, then what was done."""
        tables = [format_table([{"prediction": k, "clips": n} for k, n in self.counts.items()])]
        rows = [
            {"split": split, "clips": found["clips"],
             **{title_of(name): value for name, value in found["mean"].items()}}
            for split, found in self.scores.items()
        ]  # fmt: skip
        tables += [format_table(rows)] if rows else []
        return "\n".join(["\n\n".join(tables), *(fit_lines(line_of(x)) for x in self.lines)])

    def json(self) -> str:
        """Return the counts and scores as one JSON document."""
        return json_text(
            {"out": str(self.out), "counts": self.counts, "scores": self.scores,
             "notes": [*self.lines]}
        )  # fmt: skip


def zero_shot(
    store_path: Location | str, prompts: dict[str, list[str]], options: SearchOptions, *,
    out: Path, target: str | None = None, overwrite: bool = False,
) -> ZeroShotReport:  # fmt: skip
    """Classify the clips of a store by the cosines with prompts of classes; write a run.

    Args:
        store_path: the store.
        prompts: class -> its prompts.
        options: the stream, the clips, the pooling, the weights.
        out: folder of the run.
        target: column of the manifest with labels; None: ``label``, which need not exist.
        overwrite: replace a run in ``out``.

    Raises:
        EmoError: ``out`` holds a run, the stream or the weights cannot be found, the spaces
            differ, or a label is none of the classes.
    """
    if not overwrite:
        check_free(out)
    clips = read_clips(options.manifest, options.where, options.columns)
    if target is not None:
        _check_target(target, clips)
    stream = find_stream(Store(store_path), options.stream)
    classes = tuple(prompts)
    texts = [TextQuery(f"{name}/{k}", text) for name, own in prompts.items()
             for k, text in enumerate(own)]  # fmt: skip
    vectors, notes, facts = text_vectors(stream, texts, options.weights, noun="prompt")
    wanted = class_vectors(vectors, [len(own) for own in prompts.values()], classes)
    found = read_vectors(
        stream, None if clips is None else [clip.id for clip in clips], pooling=options.pooling
    )
    calibration = calibration_of(facts, stream.stream)
    cosines = class_cosines(found.vectors, wanted)
    probabilities = calibration.probabilities(cosines)
    lines = [
        f"{len(found.vectors):,} clips of {stream.name}; {len(texts):,} prompts of "
        f"{len(classes):,} classes; cosine, {options.pooling} of the tokens",
        f"probabilities: {'sigmoid' if calibration.is_sigmoid else 'softmax'} of "
        f"{calibration.scale:.4g} × cosine"
        + (f" {calibration.bias:+.4g}" if calibration.bias else "")
        + ("" if calibration.is_known else "; the weights state no factor, so 100 was taken"),
    ]
    if found.left_out:
        lines.append(f"left out, without this stream: {plural(found.left_out, 'clip')}")
    by_id = {clip.id: clip for clip in clips or ()}
    rows = [by_id.get(clip_id, Clip(clip_id)) for clip_id in found.vectors.ids]
    run = _Run(classes, cosines, probabilities, rows, target or USUAL_TARGET)
    if unsplit := sum(not clip.split for clip in rows):
        lines.append(f"{plural(unsplit, 'clip')} without split: counted as {UNSPLIT}")
    task, scores = run.write(out, stream.name, stream.folder.recipe.fingerprint, options, prompts)
    if task == "multilabel" and not calibration.is_sigmoid:
        lines.append(_ONE_LABEL)
    counted = np.bincount(probabilities.argmax(1), minlength=len(classes))
    counts = {name: int(n) for name, n in zip(classes, counted, strict=True)}
    return ZeroShotReport(out, counts, scores, (*lines, *notes, f"wrote {out}"))


def _check_target(target: str, clips: Sequence[Clip] | None) -> None:
    """Raise OptionError unless some clip has a label in the column ``target``."""
    if clips is None:
        raise OptionError(f"--target {target} goes with --manifest, which holds the column")
    if not any(clip.targets.get(target) for clip in clips):
        columns = sorted({name for clip in clips for name in clip.targets})
        raise OptionError(
            f"--target {target}: no clip of the manifest has a label in this column; columns of "
            f"labels: {', '.join(columns[:8]) or 'none'}"
        )


@dataclass(frozen=True, eq=False)
class _Run:
    """What is written into the folder of a run."""

    classes: tuple[str, ...]
    cosines: np.ndarray
    """float32 (N, C), by which the clips of a class are ranked: softmax changes their order."""
    probabilities: np.ndarray
    """float32 (N, C)."""
    clips: Sequence[Clip]
    """The N clips."""
    target: str
    """Name of the column of labels."""

    def write(
        self, out: Path, stream: str, fingerprint: str, options: SearchOptions,
        prompts: dict[str, list[str]],
    ) -> tuple[str, dict[str, dict[str, Any]]]:  # fmt: skip
        """Write ``run.json`` and ``predictions.csv``; return the task and the scores by split."""
        task, scores = self._scores()
        document = {
            "format_version": RUN_FORMAT_VERSION, "target": self.target, "classes": [*self.classes],
            "targets": [{"name": self.target, "task": task, "classes": [*self.classes]}],
            "head": {"name": "zero_shot", "options": {"prompts": prompts}},
            "streams": {stream: {"dim": 1, "fingerprint": fingerprint}},
            "options": {"first_seed": 0}, "metrics": scores,
            **_manifest_entry(options.manifest),
        }  # fmt: skip
        predicted = self.probabilities.argmax(1)
        names = [self.classes[k] for k in predicted]
        if task == "multilabel":
            names = ["|".join(self.classes[k] for k in np.flatnonzero(row > 0.5)) or "none"
                     for row in self.probabilities]  # fmt: skip
        columns: dict[str, Column] = {
            "id": [clip.id for clip in self.clips],
            "split": [clip.split or UNSPLIT for clip in self.clips],
            "seed": [0] * len(self.clips),
            "label": [clip.targets.get(self.target, "") for clip in self.clips],
            "prediction": names,
            **probability_columns(self.classes, self.probabilities, all_classes=False),
        }
        with run_folder(out) as folder:
            write_table(folder / "predictions.csv", columns)
            write_document(folder, document)
        return task, scores

    def _scores(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """Return the task, and the scores of each split that has labels."""
        known = [k for k, clip in enumerate(self.clips) if clip.targets.get(self.target)]
        if not known:
            return "classify", {}
        cells = [self.clips[k].targets[self.target] for k in known]
        task, labels = class_labels(cells, self.classes)
        splits = np.array([self.clips[k].split or UNSPLIT for k in known])
        scores = {}
        for split in dict.fromkeys(splits.tolist()):
            rows = np.flatnonzero(splits == split)
            own = np.array(known)[rows]
            table = self.probabilities[own]
            majority = 0.0 if task == "multilabel" else float(np.bincount(labels[rows]).argmax())
            made = Scores(self.classes, (0,), labels[rows], table[None], majority, 0, task=task)
            scores[split] = made.to_json()
            if task == "multilabel":
                precision = float(np.nanmean(average_precisions(self.cosines[own], labels[rows])))
                for entry in (scores[split]["mean"], scores[split]["seeds"]["0"]):
                    entry["mean_average_precision"] = precision
                scores[split]["std"]["mean_average_precision"] = 0.0
        return task, scores


def _manifest_entry(manifest: Path | Manifest | None) -> dict[str, dict[str, str]]:
    """Return the entry of ``run.json`` that names the manifest; empty without one."""
    path = manifest.path if isinstance(manifest, Manifest) else manifest
    return {} if path is None else {"manifest": {"path": str(path.absolute())}}
