"""`emo compare`: rank runs by their scores, from their run.json and predictions.csv alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emo import plugins
from emo.errors import FitError, OptionError, listed, plural
from emo.heads.data.targets import targets_of
from emo.heads.metrics.measures import values_words
from emo.heads.runs.comparing.ablated import ablated_streams, marks_of
from emo.heads.runs.comparing.baseline import BaselineTests, against_baseline
from emo.heads.runs.comparing.paired_bootstrap import Paired, paired_bootstrap
from emo.heads.runs.comparing.paired_ranks import are_ranked, paired_ranks
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.files import RUN_FILE, read_document, shown_path
from emo.machine.table import fit_lines, format_table

DESCRIBING = ("head", "streams", "scored on", "clips", "seeds")
"""Columns that are named once above the table when all its runs agree in them."""
_LONG_FOLDER = 12
"""Letters above which the folder that all runs lie in is named once above their table."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Ranked runs, and the difference of two of them."""

    runs: tuple[ScoredRun, ...]
    """All runs, those of one target together, the best first."""
    paired: Paired | None
    """Difference of two runs; None: not computed."""
    notes: tuple[str, ...]
    """What a reader of the scores must know."""
    interval_over: str = ""
    """What intervals are drawn over; empty: dialogues where there are any, else clips."""
    baseline: BaselineTests | None = None
    """Tests of all runs against one; None: not computed."""

    def table(self) -> str:
        """Return one table for each target and task, then the difference, then the notes."""
        parts, over = [], self.interval_over
        tasks_of: dict[str, set[str]] = {}
        for run in self.runs:
            tasks_of.setdefault(run.target.name, set()).add(run.target.task)
        for target, task in dict.fromkeys(_table_of(run) for run in self.runs):
            runs = [run for run in self.runs if _table_of(run) == (target, task)]
            title = target if len(tasks_of[target]) == 1 else f"{target} ({task})"
            drawn = " or ".join(dict.fromkeys(values_words(run.drawn_over(over)) for run in runs))
            parts.append(
                f"{title}{_ranking(runs, over)}\n"
                f"mean ± std over seeds, interval: bootstrap over {drawn}"
            )
        if self.paired is not None:
            parts.append(self.paired.table())
        if self.baseline is not None:
            parts.append(self.baseline.table())
        if self.notes:
            parts.append("\n".join(fit_lines(f"- {note}") for note in self.notes))
        return "\n\n".join(parts)


def compare_runs(
    runs: Sequence[Path],
    *,
    pair: tuple[Path, Path] | None = None,
    target: str | None = None,
    seed: int = 0,
    interval_over: str = "",
    baseline: Path | None = None,
    correction: str = "holm",
) -> Comparison:
    """Rank runs by their scores, and test the difference of two.

    Args:
        runs: folders of fits and cross-validations; a folder that is no run is left out.
        pair: the two runs whose difference is tested; None: the runs, if there are exactly two.
        target: target that is compared; None: each run's first target.
        seed: seed of the bootstrap.
        interval_over: ``clip``, ``dialogue`` or a column that intervals are drawn over; empty:
            dialogues where there are any, else clips.
        baseline: run that all others are tested against; None: no tests.
        correction: how p values of these tests are corrected: ``holm`` or ``none``.

    Raises:
        OptionError: both a pair and a baseline.
        FitError: no run, a damaged run, or two runs without a common target or clip.
    """
    if pair is not None and baseline is not None:
        raise OptionError("--pair and --baseline: expected one of them")
    found, notes = [], []
    for path in dict.fromkeys(runs):
        if path.is_dir() and not (path / RUN_FILE).is_file():
            notes.append(f"{path} holds no {RUN_FILE}: left out{_hint_at_runs(path)}")
        else:
            found.append(scored_run(path, target))
    if not found:
        hint = "".join(map(_hint_at_runs, runs)) or "; emo fit-head --out makes one"
        raise FitError(f"{', '.join(map(str, runs))}: no run{hint}")
    if baseline is not None:
        return _with_baseline(found, scored_run(baseline, target), notes, correction, seed=seed,
                              over=interval_over)  # fmt: skip
    two = [scored_run(path, target) for path in pair] if pair else found
    is_pair = pair is not None or (len(two) == 2 and len({_table_of(run) for run in two}) == 1)
    paired = None
    if is_pair:
        test = paired_ranks if are_ranked(*two) else paired_bootstrap
        paired = test(two[0], two[1], seed=seed, over=interval_over)
    ranked = _ranked(found)
    return Comparison(ranked, paired, (*notes, *_notes_on(ranked)), interval_over)


def _hint_at_runs(folder: Path) -> str:
    """Return the end of a sentence that names the runs in a folder; empty: it has none."""
    inner = sum(1 for _ in folder.glob(f"*/{RUN_FILE}"))
    return f"; it holds {plural(inner, 'run')}: give {folder / '*'}" if inner else ""


def _with_baseline(
    found: Sequence[ScoredRun], first: ScoredRun, notes: Sequence[str], correction: str, *,
    seed: int, over: str,
) -> Comparison:  # fmt: skip
    """Rank runs and the baseline, and test each run against the baseline."""
    is_among = any(run.path.absolute() == first.path.absolute() for run in found)
    ranked = _ranked([*found, *([] if is_among else [first])])
    tests = against_baseline(first, ranked, correction=correction, seed=seed, over=over)
    return Comparison(ranked, None, (*notes, *_notes_on(ranked)), over, tests)


def _ranked(runs: Sequence[ScoredRun]) -> tuple[ScoredRun, ...]:
    """Return runs with those of one target together, the best first."""
    order = {table: k for k, table in enumerate(dict.fromkeys(map(_table_of, runs)))}
    return tuple(sorted(runs, key=lambda run: (order[_table_of(run)], run.rank)))


def _ranking(runs: Sequence[ScoredRun], over: str) -> str:
    """Return what all runs share, in a sentence, and the table of what differs.

    Args:
        runs: runs of one target and task.
        over: what intervals are drawn over, see :attr:`Comparison.interval_over`.
    """
    streams = ablated_streams(runs)
    ours = [_with_marks(run, run.row(over), streams) for run in runs]
    if any(run.is_transductive for run in runs):
        for run, own in zip(runs, ours, strict=True):
            own["transductive"] = "yes" if run.is_transductive else "no"
    rows = [
        row for run, own in zip(runs, ours, strict=True) for row in (own, *run.missing_rows(over))
    ]
    if streams:
        rows = [{**dict.fromkeys(ours[0], ""), **row} for row in rows]
        for row in rows:
            row.pop("streams", None)
    shared = [
        name
        for name in DESCRIBING
        if len(runs) > 1 and len({str(row.get(name)) for row in ours}) == 1
    ]
    folder = _shared_folder([row["run"] for row in ours])
    for row in ours:
        row["run"] = str(row["run"])[len(folder) :]
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in shared]
    table = format_table([{name: row.get(name) for name in names} for row in rows])
    told = "; ".join(
        [*(f"{name} {ours[0][name]}" for name in shared if name in ours[0]),
         *([f"in {folder}"] if folder else [])]
    )  # fmt: skip
    return fit_lines(f", all runs: {told}" if told else "") + f"\n\n{table}"


def _shared_folder(runs: Sequence[object]) -> str:
    """Return the folder that holds all runs, with a separator; empty if short or if several."""
    folders = {os.path.dirname(str(run)) for run in runs}
    folder = f"{folders.pop()}{os.sep}" if len(folders) == 1 < len(runs) else ""
    return folder if len(folder) > _LONG_FOLDER else ""


def _with_marks(
    run: ScoredRun, row: dict[str, object], streams: Sequence[str]
) -> dict[str, object]:
    """Return a row of the ranking, where ``streams`` is replaced by a column for each of them."""
    if not streams:
        return row
    marks = marks_of(run, streams)
    return {
        each: cell
        for name, value in row.items()
        for each, cell in (marks.items() if name == "streams" else [(name, value)])
    }


def scored_run(path: Path, target: str | None) -> ScoredRun:
    """Read what a run says about a target; None: its first target.

    Raises:
        FitError: the folder is no run, or has no such target.
    """
    document = read_document(path)
    known = {found.name: found for found in targets_of(document)}
    name = document["target"] if target is None else target
    if name not in known:
        raise FitError(f"{path}: {plugins.unknown('target', name, known)}")
    run = ScoredRun(path, document, known[name])
    run.check_scores()
    return run


def _table_of(run: ScoredRun) -> tuple[str, str]:
    """Return the target and task of a run, which decide the table in which it is ranked."""
    return run.target.name, run.target.task


def _notes_on(runs: Sequence[ScoredRun]) -> list[str]:
    """Return notes on what makes runs special: speakers, seen clips, retrieval, other clips."""
    notes = []
    if found := [shown_path(run.path) for run in runs if run.is_transductive]:
        of = "runs" if len(found) > 1 else "run"
        notes.append(
            f"transductive {of} {listed(found)}: scaled by speaker with the scored clips too, but "
            "no label of them"
        )
    notes += [
        f"{shown_path(run.path)}: {told}" for run in runs for told in run.document.get("seen", ())
    ]
    if any(are_ranked(run) for run in runs):
        notes.append(
            "the table scores the first item of each query alone, and of tied ones that with the "
            "first id; emo score --metric retrieval shows R@K, MedR and MeanR"
        )
    return [*notes, *_unlike(runs)]


def _unlike(runs: Sequence[ScoredRun]) -> list[str]:
    """Return notes on runs that were scored on other clips than the best run of their table."""
    notes = []
    best: dict[tuple[str, str], tuple[ScoredRun, frozenset[tuple[str, ...]]]] = {}
    for run in runs:
        table = run.predictions()
        keys = [name for name in ("id", "cause_id", "label") if name in table]
        clips = frozenset(table[keys].itertuples(index=False, name=None))
        first, expected = best.setdefault(_table_of(run), (run, clips))
        if clips != expected:
            notes.append(
                f"{shown_path(run.path)} was scored on other clips or labels than "
                f"{shown_path(first.path)} "
                f"({len(clips & expected):,} of {len(clips):,} are the same): their "
                "ranks in the table do not compare"
            )
    return notes
