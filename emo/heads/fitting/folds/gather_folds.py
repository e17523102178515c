"""Gather the results of all folds of a cross-validation into one."""

import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np

from emo.heads.data.data import Data
from emo.heads.data.folds import Folds
from emo.heads.data.load import LabelledClips
from emo.heads.data.targets import Target, fit_target
from emo.heads.fitting.folds.fold_fit import FittedFold
from emo.heads.fitting.request import FitRequest
from emo.heads.metrics.scores import Scores
from emo.heads.runs.cross_result import CrossResult, FoldResult
from emo.heads.runs.result import FitResult
from emo.heads.training.diverged import DivergedError
from emo.heads.training.fingerprint import hash_of_folds, hash_of_run
from emo.manifest import Manifest


def gather_folds(
    fitted: Sequence[FittedFold],
    loaded: LabelledClips,
    folds: Folds,
    request: FitRequest,
    *,
    by: str,
    started: float,
    notes: Sequence[str],
) -> CrossResult:
    """Return the result of a cross-validation: each fold, and all folds as one ``test``.

    A seed that diverged in one fold counts in no fold.

    Args:
        fitted: the folds' results, in order.
        loaded: all clips of the cross-validation.
        folds: the folds.
        request: request of the run.
        by: how folds are made, as typed after ``--cv``.
        started: monotonic time in seconds at which the run began.
        notes: notes that come before those on clips and folds.

    Raises:
        DivergedError: every seed diverged in some fold.
    """
    seeds = _common_seeds(fitted)
    results = [_with_seeds(each.fold, seeds) for each in fitted]
    question = hash_of_folds([each.question for each in fitted], by)
    all_notes = (
        *notes,
        *loaded.notes,
        *_notes_of_folds(fitted),
        *_notes_on_folds(request.manifest, folds),
    )
    pooled = FitResult(
        options=request.options,
        head_options=dataclasses.asdict(request.head_options),
        data=Data(
            all_targets(loaded),
            loaded.sources,
            {},
            {},
            all_notes,
            loaded.drawn.over,
            loaded.speakers,
        ),
        manifest=request.manifest,
        features=request.features,
        outcomes=tuple(done for done in fitted[0].outcomes if done.seed in seeds),
        all_scores={
            name: {"test": pool_scores([f.scores[name] for f in results if name in f.scores])}
            for name in loaded.tasks
        },
        missing={
            name: _pool_variants([f.missing[name] for f in results if name in f.scores])
            for name in loaded.tasks
        },
        seconds=time.monotonic() - started,
        out=request.out,
        question=hash_of_run(question, request.options),
        inherited=request.initial.clip_ids,
    )
    return CrossResult(by, folds.how, pooled, tuple(results))


def _common_seeds(fitted: Sequence[FittedFold]) -> list[int]:
    """Return the seeds that diverged in no fold.

    Raises:
        DivergedError: there is none.
    """
    found = [[done.seed for done in each.outcomes] for each in fitted]
    common = [seed for seed in found[0] if all(seed in seeds for seeds in found)]
    if not common:
        raise DivergedError("every seed diverged in some fold. Try a smaller --learning-rate.")
    return common


def _with_seeds(fold: FoldResult, seeds: Sequence[int]) -> FoldResult:
    """Return the result of a fold with some of its seeds alone."""
    return dataclasses.replace(
        fold,
        scores={target: scores.select(seeds) for target, scores in fold.scores.items()},
        missing={
            target: {name: scores.select(seeds) for name, scores in variants.items()}
            for target, variants in fold.missing.items()
        },
        history=tuple(done for done in fold.history if done.seed in seeds),
    )


def pool_scores(parts: Sequence[Scores]) -> Scores:
    """Join the scores of several folds into those of one split of all their clips.

    A dialogue with clips in several folds is one group.
    """
    groups = [part.groups for part in parts if part.groups is not None]
    return dataclasses.replace(
        parts[0],
        labels=np.concatenate([part.labels for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts], axis=1),
        majority=np.concatenate([np.full(len(part.labels), part.majority) for part in parts]),
        rows=None,
        groups=np.concatenate(groups) if groups else None,
        by={name: np.concatenate([part.by[name] for part in parts]) for name in parts[0].by},
    )


def all_targets(loaded: LabelledClips) -> tuple[Target, ...]:
    """Return the targets of a cross-validation; each fold was checked to have their classes."""
    return tuple(
        fit_target(name, task, [clip.targets.get(name) for clip in loaded.clips])
        for name, task in loaded.tasks.items()
    )


def _pool_variants(folds: Sequence[Mapping[str, Scores]]) -> dict[str, dict[str, Scores]]:
    """Join the scores of each variant of ``--missing`` over all folds."""
    return {
        variant: {"test": pool_scores([fold[variant] for fold in folds])} for variant in folds[0]
    }


def _notes_of_folds(fitted: Sequence[FittedFold]) -> list[str]:
    """Return each note once, with the name of its fold, or of all folds that have it in common."""
    names: dict[str, list[str]] = {}
    for each in fitted:
        for note in each.notes:
            names.setdefault(note, []).append(each.fold.name)
    return [
        f"{'every fold' if len(found) == len(fitted) > 1 else 'fold ' + ', '.join(found)}: {note}"
        for note, found in names.items()
    ]


def _notes_on_folds(manifest: Manifest, folds: Folds) -> list[str]:
    """Return what a reader of the scores must know about the folds."""
    ways = dict.fromkeys(
        note.rpartition("cut from train, ")[2] for fold in folds.folds for note in fold.splits.notes
    )
    notes = [f"val of each fold: cut from its train, {' or '.join(ways)}"]
    renamed = {
        clip.dialogue
        for clip in manifest.clips
        if clip.split and clip.dialogue and clip.dialogue.startswith(f"{clip.split}/")
    }
    if renamed:
        notes.append(
            f"{len(renamed)} dialogues are told apart by their split ({min(renamed)} …), as one "
            "name stands in several splits; empty the split column if it is the same dialogue"
        )
    if any(clip.split for clip in manifest.clips):
        notes.append("the manifest's splits do not count: its test clips take part in training")
    return notes
