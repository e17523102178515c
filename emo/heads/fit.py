"""`emo fit-head`: manifest and stores in, a trained head and the evidence out."""

import contextlib
import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from emo import plugins
from emo.errors import FitError, OptionError
from emo.heads import report
from emo.heads.checkpoint import Checkpoints, open_checkpoints
from emo.heads.data import Data, read_data
from emo.heads.folder import run_folder, write_run
from emo.heads.head import LIBRARY, Head
from emo.heads.initial import Initials, read_initials
from emo.heads.loop import train_head
from emo.heads.options import FitOptions
from emo.heads.outcome import Outcome, Round
from emo.heads.outputs import outputs_of
from emo.heads.question import question_of
from emo.heads.report import FitResult
from emo.heads.scores import Scores
from emo.heads.search import Search, search
from emo.manifest import Manifest

__all__ = ["FitOptions", "FitResult", "fit_head"]


def fit_head(
    manifest: Manifest,
    features: Sequence[Path],
    out: Path | None,
    options: FitOptions,
    *,
    resume: bool = False,
    progress: bool | None = None,
) -> FitResult:
    """Fit a head with every seed, choose rounds by ``val``, score ``test`` once, write the run.

    Args:
        manifest: the clips.
        features: stores from ``emo extract``.
        out: the run's folder, replaced if it holds an older run; None: nothing is written.
        options: what is asked.
        resume: go on with what an interrupted fit of this run left; without it, start anew.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: options, manifest, stores and folder from which no run can be made.
    """
    started = time.monotonic()
    asked = asked_of(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(threads(options.threads))
        data = read_data(
            manifest, features, options, unit=asked.kind.unit, scalings=asked.initials.scalings
        )
        found: Search | None = None
        if options.search:
            _check_served(asked.kind, data, options)
            found = search(asked.kind, data, options, journal=_journal(out), progress=progress)
            asked = asked_of(manifest, features, out, found.options)
        checkpoints = kept_beside(out, data, asked.options, resume=resume)
        result = fit_data(data, asked, started, checkpoints=checkpoints, progress=progress)
        if folder is not None:
            write_run(folder, result)
            if found is not None:
                found.table.to_csv(folder / "search.csv", index=False, float_format="%.6g")
    if found is not None and found.journal is not None:
        found.journal.unlink(missing_ok=True)  # its trials are in the run now
    forget(out)
    return result


def kept_beside(
    out: Path | None, data: Data, options: FitOptions, *, resume: bool, part: str = ""
) -> Checkpoints | None:
    """The checkpoints of a run (of a fold, when ``part`` names one), in a folder beside it."""
    if out is None:
        return None
    folder = _checkpoints(out) / part
    return open_checkpoints(folder, question_of(data, options), resume=resume)


def forget(out: Path | None) -> None:
    """Remove the checkpoints of a run that is written."""
    if out is not None:
        shutil.rmtree(_checkpoints(out), ignore_errors=True)


def _checkpoints(out: Path) -> Path:
    return out.with_name(f".{out.name}.fit")


def _journal(out: Path | None) -> Path | None:
    """Where an interrupted search is found again: beside the run that it is for."""
    return None if out is None else out.with_name(f".{out.name}.search")


@dataclass(frozen=True, eq=False)
class Asked:
    """What a run is made from, beside the clips themselves."""

    manifest: Manifest
    features: tuple[Path, ...]
    options: FitOptions
    kind: type[Head]
    head_options: Any
    """An instance of ``kind.Options``."""
    initials: Initials
    """Weights that parts of the head start with."""
    out: Path | None


def asked_of(
    manifest: Manifest, features: Sequence[Path], out: Path | None, options: FitOptions
) -> Asked:
    """With the head's class and its options, which are checked, and the runs to start from."""
    if options.init and options.search:
        raise OptionError("--init and --search: a search would choose other sizes than the runs'")
    kind = plugins.load(LIBRARY, options.head, Head)  # type: ignore[type-abstract]
    head_options: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    initials = read_initials(options.init, kind, options.head)
    return Asked(manifest, tuple(features), options, kind, head_options, initials, out)


def fit_data(
    data: Data,
    asked: Asked,
    started: float,
    *,
    checkpoints: Checkpoints | None,
    progress: bool | None,
) -> FitResult:
    """Fit and score the heads of all seeds; ``started`` is when the clock was, for ``seconds``."""
    _check_served(asked.kind, data, asked.options)
    asked.initials.check(data)

    def build() -> Head:
        head = asked.kind(data.dims, data.widths, options=asked.head_options)
        return asked.initials.fill(head)

    bar = _bar(asked.options, progress)
    outcomes, tables = _fit_seeds(build, data, asked.options, checkpoints, bar)
    return FitResult(
        options=asked.options,
        head_options=dataclasses.asdict(asked.head_options),
        data=data,
        manifest=asked.manifest,
        features=asked.features,
        outcomes=outcomes,
        all_scores=_score(data, asked.options, tables),
        seconds=time.monotonic() - started,
        out=asked.out,
    )


def _check_served(kind: type[Head], data: Data, options: FitOptions) -> None:
    """Refuse what the head cannot learn, before anything is trained."""
    served = {target.name: target.task for target in data.targets}
    for name, task in served.items():
        if task not in kind.tasks:
            raise FitError(
                f"head {options.head} does not serve {task} targets ({name}); it serves "
                f"{', '.join(kind.tasks)}. See emo list heads."
            )
    if options.mixup and kind.unit == "dialogue":
        raise FitError(f"head {options.head} reads whole dialogues, which mixup cannot mix")
    for stream in options.spec_augment:
        if stream not in data.dims:
            raise FitError(plugins.unknown("stream of --spec-augment", stream, data.dims))


def _fit_seeds(
    build: Callable[[], Head],
    data: Data,
    options: FitOptions,
    checkpoints: Checkpoints | None,
    bar: "tqdm[Any]",
) -> tuple[tuple[Outcome, ...], dict[str, dict[str, np.ndarray]]]:
    """Heads of all seeds, and what (S, rows, C) they give each split for each target."""
    trained = build()
    with torch.no_grad():
        pooled = {name: trained.pool(split.batch) for name, split in data.splits.items()}
    outcomes: list[Outcome] = []
    found: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in pooled}
    title = report.titles(data.targets)

    def watch(done: Round) -> None:
        bar.set_postfix_str(f"seed {done.seed}, val {title} {done.val_score:.3f}")
        bar.update()

    with bar:
        for seed in options.all_seeds:
            if outcomes and outcomes[0].is_exact:  # another seed would give the same
                outcomes.append(dataclasses.replace(outcomes[0], seed=seed))
                for tables in found.values():
                    tables.append(tables[0])
                continue
            outcome = checkpoints.finished(seed) if checkpoints else None
            if outcome is None:
                outcome = train_head(
                    build, pooled["train"], pooled["val"], options.loop, seed=seed, watch=watch,
                    checkpoints=checkpoints,
                )  # fmt: skip
                if checkpoints is not None:
                    checkpoints.finish(outcome)
            outcomes.append(outcome)
            trained.load_state_dict(outcome.state)
            for name, batch in pooled.items():
                found[name].append(outputs_of(trained, batch, data.targets))
    return tuple(outcomes), {
        name: {target: np.stack([table[target] for table in tables]) for target in data.widths}
        for name, tables in found.items()
    }


def _score(
    data: Data, options: FitOptions, tables: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, dict[str, Scores]]:
    """By target, by split."""
    found: dict[str, dict[str, Scores]] = {}
    for target in data.targets:
        labels = data.splits["train"].batch.targets[target.name]
        majority = target.centre if target.task == "regress" else 0
        if target.task == "classify":
            majority = int(labels[labels >= 0].bincount().argmax())
        found[target.name] = {
            name: data.splits[name]
            .answers[target.name]
            .score(
                table[target.name],
                seeds=options.all_seeds,
                majority=majority,
                bootstrap_seed=None if name == "train" else options.first_seed,
            )
            for name, table in tables.items()
        }
    return found


def _bar(options: FitOptions, progress: bool | None) -> "tqdm[Any]":
    is_shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(desc=f"fit {options.head}", unit=" rounds", disable=not is_shown, file=sys.stderr)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Set torch's threads inside the block only."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
