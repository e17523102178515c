"""Fit and score the heads of all seeds of one run, given clips that are read and split."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emo.heads.data.data import Data
from emo.heads.data.targets import Target, score_unit
from emo.heads.fitting.missing_streams import ALL_STREAMS, missing_variants, without_streams
from emo.heads.fitting.parallel import run_parallel, slots
from emo.heads.fitting.request import Build, FitRequest, check_request
from emo.heads.fitting.threads import has_small_steps, torch_threads
from emo.heads.head import Batch, Head
from emo.heads.metrics.scores import Scores
from emo.heads.options import FitOptions
from emo.heads.runs.result import FitResult, score_title
from emo.heads.training.checkpoint import Checkpoints
from emo.heads.training.diverged import DivergedError, check_outputs
from emo.heads.training.inference import outputs_of
from emo.heads.training.loop import train_head
from emo.heads.training.outcome import Outcome, Round
from emo.heads.training.pooling import pool_batch
from emo.machine.progress import progress_bar

Outputs = dict[tuple[str, str], dict[str, np.ndarray]]
"""By (split, variant of ``missing_streams.py``), then by target: outputs of the heads, float32
(rows, C) of one seed or (S, rows, C) of all."""


def fit_seeds(
    data: Data,
    request: FitRequest,
    started: float,
    *,
    checkpoints: Checkpoints | None,
    on_round: Callable[[Round], None] = lambda _: None,
) -> FitResult:
    """Fit and score the heads of all seeds; a seed that diverges is left out, with a note.

    Args:
        data: clips of the fit, in splits.
        request: request of the run.
        started: monotonic time in seconds at which the run began.
        checkpoints: where the work on seeds is kept and found again; None: nowhere.
        on_round: called after each round; rounds of seeds that are fitted in parallel alternate.

    Raises:
        EmoError: the head does not fit the request, every seed diverged, or a process died.
    """
    check_request(request.kind, data, request.options)
    request.initial.check_splits(data)

    build = Build(request.kind, data.dims, data.widths, request.head_options, request.initial)
    outcomes, outputs, notes = _train_seeds(build, data, request.options, checkpoints, on_round)
    data = dataclasses.replace(data, notes=(*data.notes, *notes))
    return result_of(data, request, outcomes, outputs, started)


def result_of(
    data: Data,
    request: FitRequest,
    outcomes: tuple[Outcome, ...],
    outputs: Outputs,
    started: float,
) -> FitResult:
    """Score the outputs of trained heads.

    Args:
        data: clips of the fit, in splits; their labels can be compared once.
        request: request of the run.
        outcomes: the trained heads of S seeds.
        outputs: their outputs, float32 (S, rows, C).
        started: monotonic time in seconds at which the run began.
    """
    scores = _score(data, request.options, outputs, tuple(done.seed for done in outcomes))
    return FitResult(
        options=request.options,
        head_options=dataclasses.asdict(request.head_options),
        data=data,
        manifest=request.manifest,
        features=request.features,
        outcomes=outcomes,
        all_scores={target: of_variants[ALL_STREAMS] for target, of_variants in scores.items()},
        missing={
            target: {name: found for name, found in of_variants.items() if name != ALL_STREAMS}
            for target, of_variants in scores.items()
        },
        seconds=time.monotonic() - started,
        out=request.out,
        inherited=request.initial.clip_ids,
    )


def _train_seeds(
    build: Build,
    data: Data,
    options: FitOptions,
    checkpoints: Checkpoints | None,
    on_round: Callable[[Round], None],
) -> tuple[tuple[Outcome, ...], Outputs, list[str]]:
    """Train the heads of all seeds.

    Returns:
        The outcomes of the S seeds that did not diverge, their outputs, float32 (S, rows, C), and
        a note on each seed that did.

    Raises:
        DivergedError: every seed diverged.
    """
    head = build()
    pooled = {
        (split, variant): pool_batch(head, batch)
        for split, variant, batch in _variant_batches(data, options)
    }
    # a solver gives the same head for every seed
    seeds = options.all_seeds[:1] if head.is_solved else options.all_seeds
    work = _FitSeed(build, pooled, data.targets, options, checkpoints)
    is_small = has_small_steps(head, pooled["train", ALL_STREAMS], options.loop.batch_size)
    processes = slots(len(seeds), is_small=is_small)
    with torch_threads(1 if is_small or processes > 1 else None):
        found = list(
            run_parallel(work, seeds.__getitem__, len(seeds), processes=processes, report=on_round)
        )
    diverged = [each for each in found if isinstance(each, DivergedError)]
    fitted = [each for each in found if not isinstance(each, DivergedError)]
    if not fitted:
        more = f"; so did {len(diverged) - 1} other seeds" if len(diverged) > 1 else ""
        raise DivergedError(
            f"no head could be trained: {diverged[0]}{more}. Try a smaller --learning-rate, or "
            "look for very large numbers in the features."
        )
    outcomes = tuple(_complete(outcome, build(), data.targets) for outcome, _ in fitted)
    outputs = [outputs for _, outputs in fitted]
    if head.is_solved:
        outcomes = tuple(dataclasses.replace(outcomes[0], seed=s) for s in options.all_seeds)
        outputs *= options.seeds
    stacked = {
        key: {target: np.stack([of[key][target] for of in outputs]) for target in data.widths}
        for key in pooled
    }
    notes = [f"{error}: left out" for error in diverged]
    if (choice := outcomes[0].choice) is not None:
        notes.append(choice.words(score_title(data.targets, options.loop.choose_by)))
    if settings := outcomes[0].settings:
        chosen = " and ".join(f"{name}={value:g}" for name, value in settings.items())
        notes.append(f"{chosen} chosen on val, of {len(outcomes[0].history)} candidates")
    if options.loop.refit:
        notes.append("refit on train and val; val is scored by the head before it")
    return outcomes, stacked, notes


def _complete(outcome: Outcome, head: Head, targets: Sequence[Target]) -> Outcome:
    """Return an outcome with the settings that its head chose, and scores in the label's units.

    Args:
        outcome: what a seed gave; a number's score is that of standardised labels.
        head: an untrained head, which gets the outcome's weights.
        targets: what the head predicts; the mean score of several ones has no unit.
    """
    head.load_state_dict(outcome.kept)
    found = outcome.times(score_unit(targets))
    return dataclasses.replace(found, settings=head.chosen_settings)


@dataclass(frozen=True, eq=False)
class _FitSeed:
    """Trains the head of one seed, or reads it if it was finished, and computes its outputs."""

    build: Build
    pooled: Mapping[tuple[str, str], Batch]
    """Pooled clips by (split, variant)."""
    targets: Sequence[Target]
    options: FitOptions
    checkpoints: Checkpoints | None

    def __call__(
        self, seed: int, report: Callable[[Round], None]
    ) -> tuple[Outcome, Outputs] | DivergedError:
        """Return the outcome of a seed and its outputs, float32 (rows, C), or why it diverged.

        Args:
            seed: the seed.
            report: called after each round, whose score is in the label's unit.
        """
        unit = score_unit(self.targets)
        try:
            return self._fit(seed, lambda done: report(done.times(unit)))
        except DivergedError as error:
            return error

    def _fit(self, seed: int, report: Callable[[Round], None]) -> tuple[Outcome, Outputs]:
        """Return the outcome of a seed and its outputs, float32 (rows, C).

        Raises:
            DivergedError: a loss, a weight or an output is not finite.
        """
        outcome = self.checkpoints.read_finished(seed) if self.checkpoints else None
        if outcome is None:
            outcome = train_head(
                self.build, self.pooled["train", ALL_STREAMS], self.pooled["val", ALL_STREAMS],
                self.options.loop, seed=seed, on_round=report, checkpoints=self.checkpoints,
            )  # fmt: skip
            if self.checkpoints is not None:
                self.checkpoints.write_finished(outcome)
        head = self.build()
        is_short = not self.options.all_probabilities
        outputs: Outputs = {}
        for key, batch in self.pooled.items():
            head.load_state_dict(outcome.state if key[0] == "val" else outcome.kept)
            outputs[key] = outputs_of(head, batch, self.targets, is_short=is_short)
        by_name = {" ".join(key).strip(): found for key, found in outputs.items()}
        check_outputs(outcome, by_name, self.options.loop.learning_rate)
        return outcome, outputs


def _variant_batches(data: Data, options: FitOptions) -> Iterator[tuple[str, str, Batch]]:
    """Yield (split, variant, clips) to score: each split, and for ``--missing`` its variants."""
    for split, found in data.splits.items():
        yield split, ALL_STREAMS, found.batch
        if options.missing and split != "train":
            for variant, absent in missing_variants(tuple(data.dims)).items():
                yield split, variant, without_streams(found.batch, absent)


def _score(
    data: Data, options: FitOptions, outputs: Outputs, seeds: tuple[int, ...]
) -> dict[str, dict[str, dict[str, Scores]]]:
    """Score each split once; return the scores by target, variant and split."""
    found: dict[str, dict[str, dict[str, Scores]]] = {}
    for target in data.targets:
        labels = data.splits["train"].batch.targets[target.name]
        majority = target.centre if target.task == "regress" else 0
        if target.task == "classify":
            majority = int(labels[labels >= 0].bincount().argmax())
        found[target.name] = {}
        for split in data.splits:
            tables = {key[1]: out[target.name] for key, out in outputs.items() if key[0] == split}
            scores = data.splits[split].answers[target.name].score_all(
                tables, seeds=seeds, majority=majority,
                bootstrap_seed=None if split == "train" else options.first_seed,
            )  # fmt: skip
            for variant, each in scores.items():
                of_splits = found[target.name].setdefault(variant, {})
                if len(each.labels):  # a split without any label of the target has no score
                    of_splits[split] = each
    return found


@contextlib.contextmanager
def round_bar(
    request: FitRequest, title: str, progress: bool | None
) -> Iterator[Callable[[Round], None]]:
    """Show a bar of rounds on stderr inside the block.

    Args:
        request: request of the run.
        title: name of the score on val.
        progress: whether to show the bar; None: only if stderr is a terminal.

    Yields:
        A function to call after each round.
    """
    with progress_bar(shown=progress, desc=f"fit {request.options.head}", unit=" rounds") as bar:

        def on_round(done: Round) -> None:
            bar.set_postfix_str(f"seed {done.seed}, val {title} {done.val_score:.3f}")
            bar.update()

        yield on_round
