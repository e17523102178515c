"""Fits and scores the heads of all seeds, once clips are read and splits are cut."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from emo.heads.data.data import Data
from emo.heads.data.targets import Target
from emo.heads.fitting.missing_streams import WHOLE, take_away, variants
from emo.heads.fitting.parallel import has_small_steps, one_thread, side_by_side, slots
from emo.heads.fitting.request import Build, FitRequest, check_served
from emo.heads.head import Batch
from emo.heads.metrics.scores import Scores
from emo.heads.options import FitOptions
from emo.heads.runs.result import FitResult
from emo.heads.training.checkpoint import Checkpoints
from emo.heads.training.inference import outputs_of
from emo.heads.training.loop import train_head
from emo.heads.training.outcome import Outcome, Round

Outputs = dict[tuple[str, str], dict[str, np.ndarray]]
"""By split and variant (see ``emo/heads/missing.py``), by target: (S, rows, C)."""


def fit_data(
    data: Data,
    asked: FitRequest,
    started: float,
    *,
    checkpoints: Checkpoints | None,
    tell: Callable[[Round], None] = lambda _: None,
) -> FitResult:
    """Fit and score the heads of all seeds.

    Args:
        data: the clips, split.
        asked: of the run.
        started: when the clock was, for ``seconds``.
        checkpoints: where finished seeds are kept and found.
        tell: hears every round, those of several seeds in turns.
    """
    check_served(asked.kind, data, asked.options)
    asked.initials.check(data)

    build = Build(asked.kind, data.dims, data.widths, asked.head_options, asked.initials)
    outcomes, tables = _fit_seeds(build, data, asked.options, checkpoints, tell)
    scores = _score(data, asked.options, tables)
    return FitResult(
        options=asked.options,
        head_options=dataclasses.asdict(asked.head_options),
        data=data,
        manifest=asked.manifest,
        features=asked.features,
        outcomes=outcomes,
        all_scores={target: of_variants[WHOLE] for target, of_variants in scores.items()},
        missing={
            target: {name: found for name, found in of_variants.items() if name != WHOLE}
            for target, of_variants in scores.items()
        },
        seconds=time.monotonic() - started,
        out=asked.out,
        inherited=asked.initials.known,
    )


def _fit_seeds(
    build: Build,
    data: Data,
    options: FitOptions,
    checkpoints: Checkpoints | None,
    tell: Callable[[Round], None],
) -> tuple[tuple[Outcome, ...], Outputs]:
    """Heads of all seeds, and what they give."""
    trained = build()
    with torch.no_grad():
        pooled = {
            (split, variant): trained.pool(batch)
            for split, variant, batch in _conditions(data, options)
        }
    # of a solver another seed would give the same
    seeds = options.all_seeds[:1] if trained.is_solved else options.all_seeds
    work = _FitSeed(build, pooled, data.targets, options, checkpoints)
    are_small = has_small_steps(trained, pooled["train", WHOLE], options.batch_size)
    at_once = slots(len(seeds), is_small=are_small)
    with one_thread(are_small or at_once > 1):
        fitted = list(side_by_side(work, seeds.__getitem__, len(seeds), at_once=at_once, tell=tell))
    outcomes = tuple(outcome for outcome, _ in fitted)
    tables = [tables for _, tables in fitted]
    if trained.is_solved:
        outcomes = tuple(dataclasses.replace(outcomes[0], seed=s) for s in options.all_seeds)
        tables *= options.seeds
    return outcomes, {
        key: {target: np.stack([of[key][target] for of in tables]) for target in data.widths}
        for key in pooled
    }


@dataclass(frozen=True, eq=False)
class _FitSeed:
    """The head of a seed, from what was kept or trained now, and what it gives."""

    build: Build
    pooled: Mapping[tuple[str, str], Batch]
    """By split and variant."""
    targets: Sequence[Target]
    options: FitOptions
    checkpoints: Checkpoints | None

    def __call__(
        self, seed: int, tell: Callable[[Round], None]
    ) -> tuple[Outcome, dict[tuple[str, str], dict[str, np.ndarray]]]:
        """``tell`` hears every round."""
        outcome = self.checkpoints.read_finished(seed) if self.checkpoints else None
        if outcome is None:
            outcome = train_head(
                self.build, self.pooled["train", WHOLE], self.pooled["val", WHOLE],
                self.options.loop, seed=seed, watch=tell, checkpoints=self.checkpoints,
            )  # fmt: skip
            if self.checkpoints is not None:
                self.checkpoints.write_finished(outcome)
        head = self.build()
        head.load_state_dict(outcome.state)
        return outcome, {
            key: outputs_of(head, batch, self.targets) for key, batch in self.pooled.items()
        }


def _conditions(data: Data, options: FitOptions) -> Iterator[tuple[str, str, Batch]]:
    """Split, variant, clips: all as they are, and with ``--missing`` without some streams."""
    for split, found in data.splits.items():
        yield split, WHOLE, found.batch
        if options.missing and split != "train":
            for variant, absent in variants(tuple(data.dims)).items():
                yield split, variant, take_away(found.batch, absent)


def _score(
    data: Data, options: FitOptions, outputs: Outputs
) -> dict[str, dict[str, dict[str, Scores]]]:
    """By target, by variant, by split; each split is scored once."""
    found: dict[str, dict[str, dict[str, Scores]]] = {}
    for target in data.targets:
        labels = data.splits["train"].batch.targets[target.name]
        majority = target.centre if target.task == "regress" else 0
        if target.task == "classify":
            majority = int(labels[labels >= 0].bincount().argmax())
        found[target.name] = {}
        for split in data.splits:
            tables = {key[1]: out[target.name] for key, out in outputs.items() if key[0] == split}
            scores = (
                data.splits[split]
                .answers[target.name]
                .score_all(
                    tables,
                    seeds=options.all_seeds,
                    majority=majority,
                    bootstrap_seed=None if split == "train" else options.first_seed,
                )
            )
            for variant, each in scores.items():
                of_splits = found[target.name].setdefault(variant, {})
                if len(each.labels):  # of a target that nobody labelled there, there is no score
                    of_splits[split] = each
    return found


@contextlib.contextmanager
def bar_of_rounds(
    asked: FitRequest, title: str, progress: bool | None
) -> Iterator[Callable[[Round], None]]:
    """A bar on stderr that is told of rounds; ``progress`` None: if that is a terminal."""
    is_shown = sys.stderr.isatty() if progress is None else progress
    with tqdm(
        desc=f"fit {asked.options.head}", unit=" rounds", disable=not is_shown, file=sys.stderr
    ) as bar:

        def tell(done: Round) -> None:
            bar.set_postfix_str(f"seed {done.seed}, val {title} {done.val_score:.3f}")
            bar.update()

        yield tell
