"""`emo fit-head`: manifest and stores in, a trained head and the evidence out."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from emo import plugins
from emo.heads.data import Data, read_data
from emo.heads.folder import run_folder, write_run
from emo.heads.head import LIBRARY, Head
from emo.heads.loop import Outcome, Round, probabilities_of, train_head
from emo.heads.options import FitOptions
from emo.heads.report import FitResult
from emo.heads.scores import Scores
from emo.manifest import Manifest

__all__ = ["FitOptions", "FitResult", "fit_head"]


def fit_head(
    manifest: Manifest,
    features: Sequence[Path],
    out: Path | None,
    options: FitOptions,
    *,
    progress: bool | None = None,
) -> FitResult:
    """Fit a head with every seed, choose rounds by ``val``, score ``test`` once, write the run.

    Args:
        manifest: the clips.
        features: stores from ``emo extract``.
        out: the run's folder, replaced if it holds an older run; None: nothing is written.
        options: what is asked.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: options, manifest, stores and folder from which no run can be made.
    """
    started = time.monotonic()
    kind = plugins.load(LIBRARY, options.head, Head)  # type: ignore[type-abstract]
    head_options: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(_threads(options.threads))
        data = read_data(
            manifest,
            features,
            target=options.target,
            streams=options.streams,
            allow_missing=options.allow_missing,
            seed=options.first_seed,
        )

        def build() -> Head:
            return kind(data.dims, {data.target: len(data.classes)}, options=head_options)

        outcomes, probabilities = _fit_seeds(build, data, options, _bar(options, progress))
        result = FitResult(
            options=options,
            head_options=dataclasses.asdict(head_options),
            data=data,
            manifest=manifest,
            features=tuple(features),
            outcomes=outcomes,
            scores=_score(data, options, probabilities),
            seconds=time.monotonic() - started,
            out=out,
        )
        if folder is not None:
            write_run(folder, result)
    return result


def _fit_seeds(
    build: Callable[[], Head], data: Data, options: FitOptions, bar: "tqdm[Any]"
) -> tuple[tuple[Outcome, ...], dict[str, np.ndarray]]:
    """Heads of all seeds, and the probabilities (S, N, C) they give each split."""
    trained = build()
    with torch.no_grad():
        pooled = {name: trained.pool(split.batch) for name, split in data.splits.items()}
    outcomes: list[Outcome] = []
    found: dict[str, list[np.ndarray]] = {name: [] for name in pooled}

    def watch(done: Round) -> None:
        bar.set_postfix_str(f"seed {done.seed}, val weighted F1 {done.val_weighted_f1:.3f}")
        bar.update()

    with bar:
        for seed in options.all_seeds:
            if outcomes and outcomes[0].is_exact:  # another seed would give the same
                outcomes.append(dataclasses.replace(outcomes[0], seed=seed))
                for tables in found.values():
                    tables.append(tables[0])
                continue
            outcome = train_head(
                build, pooled["train"], pooled["val"], options.loop, seed=seed, watch=watch
            )
            outcomes.append(outcome)
            trained.load_state_dict(outcome.state)
            for name, batch in pooled.items():
                found[name].append(probabilities_of(trained, batch, data.target))
    return tuple(outcomes), {name: np.stack(tables) for name, tables in found.items()}


def _score(
    data: Data, options: FitOptions, probabilities: Mapping[str, np.ndarray]
) -> dict[str, Scores]:
    labels = data.splits["train"].batch.targets[data.target]
    return {
        name: data.splits[name].answers.score(
            table,
            seeds=options.all_seeds,
            majority=int(labels.bincount().argmax()),
            bootstrap_seed=None if name == "train" else options.first_seed,
        )
        for name, table in probabilities.items()
    }


def _bar(options: FitOptions, progress: bool | None) -> "tqdm[Any]":
    is_shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(desc=f"fit {options.head}", unit=" rounds", disable=not is_shown, file=sys.stderr)


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Set torch's threads inside the block only."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
