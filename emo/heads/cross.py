"""`emo fit-head --cv`: a head for each fold, the scores of all folds together, and each alone."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import FitError, OptionError
from emo.heads.cross_report import CrossResult, FoldResult
from emo.heads.data import Data, asked_scalings, split_data
from emo.heads.files import RUN_FILE, file_name
from emo.heads.fit import FitOptions, FitResult, forget, kept_beside, kept_for, threads
from emo.heads.folder import document_of, run_folder, writing
from emo.heads.folds import Fold, Folds, cut_folds
from emo.heads.head import Batch
from emo.heads.ledger import record
from emo.heads.loaded import Loaded, load_clips
from emo.heads.plots import plot_confusion, plot_numbers
from emo.heads.question import name_of_folds, name_of_run, question_of
from emo.heads.scores import Scores
from emo.heads.seeds import Asked, asked_of, fit_data
from emo.heads.targets import fit_target
from emo.manifest import Manifest
from emo.store.place import Place


def cross_validate(
    manifest: Manifest,
    features: Sequence[Place],
    out: Path | None,
    options: FitOptions,
    *,
    by: str,
    within: Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> CrossResult:
    """Fit heads fold after fold, choose rounds by each fold's ``val``, score its ``test`` once.

    Args:
        manifest: the clips; its splits do not count.
        features: stores from ``emo extract``.
        out: the run's folder, with scores and predictions and without a head; None: not written.
        options: what is asked.
        by: a column, of which each value is left out once; or the number of folds.
        within: as of :func:`emo.heads.ledger.record`.
        resume: go on with what an interrupted cross-validation of this run left.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: as of :func:`emo.heads.fit.fit_head` and :func:`emo.heads.folds.cut_folds`.
    """
    if options.search:
        raise OptionError(
            "--search and --cv: each fold would choose other values; search on the manifest's own "
            "val first, then give the values found to --cv"
        )
    started = time.monotonic()
    asked = asked_of(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        stack.enter_context(kept_for(out))
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(threads(options.threads))
        loaded = _load(asked)
        cut = _cut(loaded, asked, by)
        first: FitResult | None = None
        folds, notes, questions = [], [], []
        if not resume:
            forget(out)
        for number, (fold, data) in enumerate(_data_of_folds(loaded, cut, asked, by)):
            questions.append(question_of(data, options))
            with _named(by, fold):
                kept = kept_beside(out, data, options, resume=resume, part=f"fold-{number}")
                fitted = fit_data(data, asked, started, checkpoints=kept, progress=progress)
            known = {*loaded.notes, *fold.splits.notes}
            notes += [f"fold {fold.name}: {note}" for note in data.notes if note not in known]
            folds.append(_kept(fold, fitted))
            first = first or fitted
        assert first is not None  # there are at least two folds
        notes = [*loaded.notes, *notes, *_notes_on(manifest, cut)]
        pooled = dataclasses.replace(
            first,
            data=_data(loaded, first.data, notes),
            all_scores={name: {"test": pool([f.scores[name] for f in folds if name in f.scores])}
                        for name in loaded.tasks},
            missing={name: _pool_variants([f.missing[name] for f in folds if name in f.scores])
                     for name in loaded.tasks},
            seconds=time.monotonic() - started,
            question=name_of_run(name_of_folds(questions, by), options),
        )  # fmt: skip
        result = CrossResult(by, cut.how, pooled, tuple(folds))
        if folder is not None and out is not None:
            with writing(out):
                tested = [clip_id for fold in folds for clip_id in fold.test.ids]
                question = name_of_folds(questions, by)
                earlier = record(out, tested, list(loaded.tasks), question, within=within)
                pooled = dataclasses.replace(pooled, earlier=earlier)
                result = dataclasses.replace(result, pooled=pooled)
                _write(folder, result)
    return result


def question_of_folds(asked: Asked, by: str) -> str:
    """What a cross-validation of this writes as ``question`` into its ``run.json``."""
    loaded = _load(asked)
    folds = _data_of_folds(loaded, _cut(loaded, asked, by), asked, by)
    questions = [question_of(data, asked.options) for _, data in folds]
    return name_of_run(name_of_folds(questions, by), asked.options)


def pool(parts: Sequence[Scores]) -> Scores:
    """The scores of several folds as those of one split; the dialogues of folds are others."""
    groups, count = [], 0
    for part in parts:
        if part.groups is not None and len(part.groups):
            groups.append(part.groups + count)
            count += int(part.groups.max()) + 1
    return dataclasses.replace(
        parts[0],
        labels=np.concatenate([part.labels for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts], axis=1),
        majority=np.concatenate([np.full(len(part.labels), part.majority) for part in parts]),
        rows=None,
        groups=np.concatenate(groups) if groups else None,
    )


def _pool_variants(folds: Sequence[Mapping[str, Scores]]) -> dict[str, dict[str, Scores]]:
    """By variant of ``--missing``, as of a fit."""
    return {variant: {"test": pool([fold[variant] for fold in folds])} for variant in folds[0]}


def _load(asked: Asked) -> Loaded:
    """All labelled clips, those of the manifest's ``test`` too."""
    kind, options = asked.kind, asked.options
    return load_clips(asked.manifest, asked.features, options, unit=kind.unit, uses_splits=False)


def _cut(loaded: Loaded, asked: Asked, by: str) -> Folds:
    return cut_folds(
        loaded.clips,
        loaded.strata,
        by,
        seed=asked.options.first_seed,
        unit=asked.kind.unit,
        are_classes=loaded.are_strata_classes,
    )


def _data_of_folds(
    loaded: Loaded, cut: Folds, asked: Asked, by: str
) -> Iterator[tuple[Fold, Data]]:
    """Fold after fold, each with the classes and the scaling of its own train."""
    scalings = {**asked_scalings(loaded.sources, asked.options), **asked.initials.scalings}
    for fold in cut.folds:
        with _named(by, fold):
            data = split_data(loaded, fold.splits, unit=asked.kind.unit, scalings=scalings)
        yield fold, data


@contextlib.contextmanager
def _named(by: str, fold: Fold) -> Iterator[None]:
    """Name the fold in an error."""
    try:
        yield
    except FitError as error:
        raise FitError(f"--cv {by}, fold {fold.name}: {error}") from error


def _kept(fold: Fold, fitted: FitResult) -> FoldResult:
    test = fitted.data.splits["test"]
    return FoldResult(
        fold.name,
        {name: len(rows) for name, rows in fold.splits.rows.items()},
        dataclasses.replace(test, batch=Batch({}, pairs=test.batch.pairs)),
        {name: found["test"] for name, found in fitted.all_scores.items() if "test" in found},
        {
            name: {variant: found["test"] for variant, found in variants.items() if "test" in found}
            for name, variants in fitted.missing.items()
        },
        tuple(done for outcome in fitted.outcomes for done in outcome.history),
    )


def _notes_on(manifest: Manifest, cut: Folds) -> list[str]:
    """What a reader of the scores must know about the folds."""
    ways = dict.fromkeys(
        note.rpartition("cut from train, ")[2] for fold in cut.folds for note in fold.splits.notes
    )
    notes = [f"val of each fold: cut from its train, {' or '.join(ways)}"]
    if any(clip.split for clip in manifest.clips):
        notes.append("the manifest's splits do not count: its test clips take part in training")
    return notes


def _data(loaded: Loaded, data: Data, notes: Sequence[str]) -> Data:
    """Targets of all folds; the classes are the same in each, which was checked."""
    targets = tuple(
        fit_target(name, task, [clip.targets.get(name) for clip in loaded.clips])
        for name, task in loaded.tasks.items()
    )
    return dataclasses.replace(data, targets=targets, splits={}, notes=tuple(notes))


def _write(folder: Path, result: CrossResult) -> None:
    """``run.json``, ``predictions.csv``, ``history.csv`` and a plot; there is no head to keep."""
    import pandas as pd  # a second to import

    for target in result.pooled.data.targets:
        mark = "" if target.name == result.pooled.data.target else f"-{file_name(target.name)}"
        result.predictions_of(target).to_csv(folder / f"predictions{mark}.csv", index=False)
        if target.task in ("classify", "pairs"):
            plot_confusion(folder / f"confusion{mark}.png", result.pooled, target)
        elif target.task == "regress":
            plot_numbers(folder / f"numbers{mark}.png", result.pooled, target)
    history = [
        {"fold": fold.name, **dataclasses.asdict(row)}
        for fold in result.folds
        for row in fold.history
    ]
    frame = pd.DataFrame(history).rename(columns={"val_score": f"val_{result.pooled.headline}"})
    frame.to_csv(folder / "history.csv", index=False, float_format="%.6g")
    text = json.dumps(_document(result), indent=2, ensure_ascii=False)
    (folder / RUN_FILE).write_text(text + "\n", encoding="utf-8")


def _document(result: CrossResult) -> dict[str, Any]:
    """As of a fit; ``folds`` instead of what was kept."""
    document = document_of(result.pooled)
    for name in ("kept", "splits"):
        del document[name]
    document["folds"] = {
        "by": result.by,
        "how": result.how,
        "each": [
            {
                "name": fold.name,
                "splits": fold.counts,
                "metrics": {
                    target.name: fold.metrics_of(target.name)
                    for target in result.pooled.data.targets
                },
            }
            for fold in result.folds
        ],
    }
    return document
