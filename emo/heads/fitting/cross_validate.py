"""`emo fit-head --cv`: a head for each fold, the scores of all folds together, and each alone."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import FitError, OptionError
from emo.heads.data.data import Data, asked_scalings, split_data
from emo.heads.data.folds import Fold, Folds, cut_folds
from emo.heads.data.load import LabelledClips, load_clips
from emo.heads.data.targets import Target, fit_target
from emo.heads.fitting.fit import (
    NOTHING_LEFT,
    FitOptions,
    forget,
    kept_beside,
    kept_for,
    threads,
    was_left,
)
from emo.heads.fitting.parallel import one_thread, side_by_side, slots
from emo.heads.fitting.request import FitRequest, fit_request
from emo.heads.fitting.seeds import bar_of_rounds, fit_data
from emo.heads.head import Batch
from emo.heads.metrics.scores import Scores
from emo.heads.runs.cross_result import CrossResult, FoldResult
from emo.heads.runs.result import FitResult, titles
from emo.heads.runs.test_ledger import record
from emo.heads.runs.write import run_folder, writing_run
from emo.heads.runs.write_folds import write_folds
from emo.heads.training.fingerprint import hash_of_folds, hash_of_run, question_of
from emo.heads.training.outcome import Outcome, Round
from emo.manifest import Manifest
from emo.store.backend.location import Location

MOST_BYTES = 4 * 2**30
"""Of the scaled tokens of all folds that are fitted at once."""


def cross_validate(
    manifest: Manifest,
    features: Sequence[Location],
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
        within: as of :func:`emo.heads.runs.test_ledger.record`.
        resume: go on with what an interrupted cross-validation of this run left.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: see :func:`emo.heads.fitting.fit.fit_head` and
            :func:`emo.heads.data.folds.cut_folds`.
    """
    if options.search:
        raise OptionError(
            "--search and --cv: each fold would choose other values; search on the manifest's own "
            "val first, then give the values found to --cv"
        )
    started = time.monotonic()
    asked = fit_request(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        stack.enter_context(kept_for(out))
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(threads(options.threads))
        loaded = _load(asked)
        cut = _cut(loaded, asked, by)
        targets = _targets(loaded)
        notes = [NOTHING_LEFT] if resume and not was_left(out) else []
        if not resume:
            forget(out)
        work = _FitFold(loaded, cut, asked, by, resume)
        at_once = _folds_at_once(loaded, len(cut.folds))
        with bar_of_rounds(asked, titles(targets), progress) as tell, one_thread(at_once > 1):
            fitted = list(side_by_side(work, int, len(cut.folds), at_once=at_once, tell=tell))
        folds = [each.fold for each in fitted]
        questions = [each.question for each in fitted]
        notes += [*loaded.notes, *(note for each in fitted for note in each.notes)]
        pooled = FitResult(
            options=options,
            head_options=dataclasses.asdict(asked.head_options),
            data=Data(targets, loaded.sources, {}, {}, (*notes, *_notes_on(manifest, cut))),
            manifest=manifest,
            features=asked.features,
            outcomes=fitted[0].outcomes,
            all_scores={name: {"test": pool([f.scores[name] for f in folds if name in f.scores])}
                        for name in loaded.tasks},
            missing={name: _pool_variants([f.missing[name] for f in folds if name in f.scores])
                     for name in loaded.tasks},
            seconds=time.monotonic() - started,
            out=out,
            question=hash_of_run(hash_of_folds(questions, by), options),
            inherited=asked.initials.known,
        )  # fmt: skip
        result = CrossResult(by, cut.how, pooled, tuple(folds))
        if folder is not None and out is not None:
            with writing_run(out):
                tested = [clip_id for fold in folds for clip_id in fold.test.ids]
                question = hash_of_folds(questions, by)
                earlier = record(out, tested, list(loaded.tasks), question, within=within)
                pooled = dataclasses.replace(pooled, earlier=earlier)
                result = dataclasses.replace(result, pooled=pooled)
                write_folds(folder, result)
    return result


def question_of_folds(asked: FitRequest, by: str) -> str:
    """What a cross-validation of this writes as ``question`` into its ``run.json``."""
    loaded = _load(asked)
    datas = (_data_of(loaded, fold, asked, by) for fold in _cut(loaded, asked, by).folds)
    questions = [question_of(data, asked.options) for data in datas]
    return hash_of_run(hash_of_folds(questions, by), asked.options)


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


def _load(asked: FitRequest) -> LabelledClips:
    """All labelled clips, those of the manifest's ``test`` too."""
    kind, options = asked.kind, asked.options
    return load_clips(asked.manifest, asked.features, options, unit=kind.unit, uses_splits=False)


def _cut(loaded: LabelledClips, asked: FitRequest, by: str) -> Folds:
    return cut_folds(
        loaded.clips,
        loaded.strata,
        by,
        seed=asked.options.first_seed,
        unit=asked.kind.unit,
        are_classes=loaded.are_strata_classes,
    )


def _folds_at_once(loaded: LabelledClips, count: int) -> int:
    """As many as there is room for: each has its own scaled tokens."""
    numbers = sum(tokens.values.size for tokens in loaded.tokens.values())
    fit = int(MOST_BYTES // max(1, numbers * np.dtype(np.float32).itemsize))
    return slots(max(1, min(count, fit)), is_small=True)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What stays of a fold, and what its run says about it."""

    fold: FoldResult
    question: dict[str, Any]
    notes: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    """Without weights."""


@dataclass(frozen=True, eq=False)
class _FitFold:
    """Fits and scores the heads of the fold of a number."""

    loaded: LabelledClips
    cut: Folds
    asked: FitRequest
    by: str
    resume: bool

    def __call__(self, number: int, tell: Callable[[Round], None]) -> _Fitted:
        """``tell`` hears every round."""
        started = time.monotonic()
        fold, asked = self.cut.folds[number], self.asked
        data = _data_of(self.loaded, fold, asked, self.by)
        with _named(self.by, fold):
            kept = kept_beside(
                asked.out, data, asked.options, resume=self.resume, part=f"fold-{number}"
            )
            found = fit_data(data, asked, started, checkpoints=kept, tell=tell)
        known = {*self.loaded.notes, *fold.splits.notes}
        notes = tuple(f"fold {fold.name}: {note}" for note in data.notes if note not in known)
        outcomes = tuple(dataclasses.replace(outcome, state={}) for outcome in found.outcomes)
        return _Fitted(_kept(fold, found), question_of(data, asked.options), notes, outcomes)


def _data_of(loaded: LabelledClips, fold: Fold, asked: FitRequest, by: str) -> Data:
    """With the classes and the scaling of the fold's own train."""
    scalings = {**asked_scalings(loaded.sources, asked.options), **asked.initials.scalings}
    with _named(by, fold):
        return split_data(loaded, fold.splits, unit=asked.kind.unit, scalings=scalings)


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
    apart = {clip.dialogue for clip in manifest.clips if clip.split and clip.dialogue
             and clip.dialogue.startswith(f"{clip.split}/")}  # fmt: skip
    if apart:
        notes.append(
            f"{len(apart)} dialogues are told apart by their split ({min(apart)} …), as one name "
            "stands in several splits; empty the split column if it is the same dialogue"
        )
    if any(clip.split for clip in manifest.clips):
        notes.append("the manifest's splits do not count: its test clips take part in training")
    return notes


def _targets(loaded: LabelledClips) -> tuple[Target, ...]:
    """Of all folds; the classes are the same in each, which is checked."""
    return tuple(
        fit_target(name, task, [clip.targets.get(name) for clip in loaded.clips])
        for name, task in loaded.tasks.items()
    )
