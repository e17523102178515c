"""What a reader must know before quoting a number of a page."""

import re
from collections.abc import Iterator

import numpy as np

from emo.errors import FitError, listed, plural
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.comparing.changed_numbers import changed_lines, origin_words
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.figures.folders import is_exact
from emo.report.board import BoardFacts
from emo.report.context import Context
from emo.report.group import Group, by_split
from emo.report.names import replaced
from emo.report.rows import number_text
from emo.report.sections.val_choice import chosen_by_val

FEW_ROWS, FEW_OF_CLASS, FEW_VAL_ROWS, FEW_UNITS = 100, 10, 30, 20
"""Numbers of scored rows, of rows of one class, of rows of val that chose a run, and of dialogues
or speakers that intervals are drawn over, below which a caution is given. A bootstrap of few groups
gives too narrow intervals (Cameron, Gelbach and Miller 2008)."""
_ROUNDED = 0.002
"""Difference of two scores that rounding in the table of predictions may make."""
_LEFT_OUT = re.compile(r"without features: left out \(([^()]*)\)\Z")
"""End of a note of a fit on clips that have no tokens, with their numbers by split."""


def cautions_of(group: Group, board: BoardFacts, context: Context) -> tuple[str, ...]:
    """Return the cautions on a group of runs, as sentences."""
    found = [
        *_on_choice(group, board, context), *_on_rows(group, board, context),
        *_on_people(group, context),
        *(line for run in group.ranked for line in _on_files(group, run, context)),
        *(line for run in group.ranked for line in _on_run(run, context)),
    ]  # fmt: skip
    return tuple(dict.fromkeys(replaced(each, context.run_names) for each in found))


def _on_choice(group: Group, board: BoardFacts, context: Context) -> Iterator[str]:
    """Iterate over cautions on how the best run was chosen."""
    is_val, many = group.runs[0].split == "val", len(group.runs) > 1
    if is_val:
        yield (
            "The runs have no test split: these are scores on val, on which the kept round was "
            "chosen, so that they are too good."
        )
    if many:
        yield f"The best of {len(group.runs)} runs on the same rows scores too well by chance: " + (
            "keep clips apart that none of them has seen, and score the chosen run once on these."
            if is_val else "choose by val, and report how many were tried."
        )  # fmt: skip
    told = [run.document.get("settings_before", 0) for run in group.runs]
    before = max(each if isinstance(each, int) else 0 for each in told)
    if before >= len(group.runs):
        yield (
            f"The test clips were scored under {plural(before, 'other setting')} before: choose by "
            "val, and report how many were tried."
        )
    yield from _on_val(group, board, context)
    baseline, mean = board.ranking[0].baseline, board.ranking[0].mean
    if baseline is not None and (mean >= baseline) == board.is_lower_better:
        yield "The best run is no better than the baseline that sees no input."


def _on_val(group: Group, board: BoardFacts, context: Context) -> Iterator[str]:
    """Iterate over cautions on what val says of several runs."""
    choice = chosen_by_val(group)
    if choice.has_other_clips:
        yield (
            "The runs were scored on different val clips, so that val cannot choose between them: "
            "fit them again with the same splits."
        )
    if choice.tied:
        names = listed([context.run_names[run.path] for run in choice.tied])
        yield (
            f"val cannot tell {names} apart: they share its best score. To take the one that is "
            "best on test is to choose by test."
        )
    if choice.run is None:
        return
    chosen = context.run_names[choice.run.path]
    if chosen != board.ranking[0].name:
        row = next(row for row in board.ranking if row.name == chosen)
        yield (
            f"val would have chosen {row.name}, whose {board.headline} is "
            f"{number_text(row.mean, board.decimals)}: that is the number to quote."
        )
    clips = by_split(choice.run)["val"].get("clips", 0)
    if clips < FEW_VAL_ROWS:
        yield f"val has only {plural(clips, 'clip')}: on others it may choose another run."


def _on_rows(group: Group, board: BoardFacts, context: Context) -> Iterator[str]:
    """Iterate over cautions on the number of rows and of seeds, and on intervals."""
    if board.rows < FEW_ROWS:
        yield f"Only {board.counted} scored: expect other numbers on other data."
    run = group.runs[0]
    counts = {name: each["clips"] for name, each in run.metrics.get("classes", {}).items()}
    few = [name for name in board.classes if counts and counts.get(name, 0) < FEW_OF_CLASS]
    if few and len(board.classes) <= 40:
        yield f"Fewer than {FEW_OF_CLASS} scored {board.units} of {listed(few)}."
    names = [
        context.run_names[each.path] for each in group.ranked
        if len(each.metrics["seeds"]) < 2 and each.is_fitted and not is_exact(each.document)
    ]  # fmt: skip
    if names:
        yield f"One seed alone of {listed(names)}: how much training varies is not known."
    yield from _on_intervals(group, board)


def _on_intervals(group: Group, board: BoardFacts) -> Iterator[str]:
    """Iterate over cautions on what intervals are drawn over, and on those without a width."""
    try:
        units = group.units(group.ranked[0])
        count = board.rows if units is None else len(np.unique(units))
    except FitError:  # of a column of a manifest that is not there any more
        units, count = np.zeros(0), FEW_UNITS
    if units is None and board.unit == "clip":
        yield (
            "Intervals are drawn over single clips, as if each were of another person; clips of "
            "one speaker or dialogue are alike, so that they are rather too narrow."
        )
    elif units is not None and count < FEW_UNITS:
        yield (
            f"Intervals are drawn over only {board.drawn}: of so few they are rather too narrow, "
            "and tell little about others."
        )
    best = board.ranking[0]
    if best.interval is not None and best.interval[0] == best.interval[1]:
        yield (
            f"The interval of {best.name} has no width, because all resamples score alike: that "
            "does not make the score certain. Other clips may give another one."
        )


def _on_people(group: Group, context: Context) -> Iterator[str]:
    """Iterate over cautions on speakers who are in train as well as among the scored clips."""
    run = group.runs[0]
    clips = context.manifests.clips(run.document)
    if "folds" in run.document or not clips:
        return
    scored = {clips[each].speaker for each in group.rows[run.path].ids if each in clips} - {None}
    trained = {clip.speaker for clip in clips.values() if clip.split == "train"}
    if len(scored) == 1 and len(group.rows[run.path]) > 1:
        yield "All scored clips are of one speaker: other people may give other scores."
    if both := scored & trained:
        yield (
            f"{len(both):,} of {plural(len(scored), 'scored speaker')} are also in train: the "
            "scores say little about people whom the head has not met."
        )


def _on_files(group: Group, run: ScoredRun, context: Context) -> Iterator[str]:
    """Iterate over cautions on a table of predictions that does not give the run's scores."""
    rows, name = group.rows[run.path], context.run_names[run.path]
    count, told = len(rows), run.metrics["mean"]
    if count != run.metrics["clips"]:
        yield (
            f"{name}: run.json has scores of {plural(run.metrics['clips'], 'row')}, its table of "
            f"predictions has {count:,}: one of them was changed."
        )
        return
    scores = {"mae": rows.errors} if rows.task == "regress" else {"accuracy": rows.is_right}
    for score, each in scores.items():
        found = float(each.mean())
        kept = told.get(score)
        if kept is not None and abs(found - kept) > _ROUNDED * max(1.0, abs(kept)):
            yield (
                f"{name}: {title_of(score)} is {number_text(kept)} in run.json, but "
                f"{number_text(found)} by its table of predictions: one of them was changed."
            )


def _on_run(run: ScoredRun, context: Context) -> Iterator[str]:
    """Iterate over cautions that a run's own ``run.json`` gives."""
    document, name = run.document, context.run_names[run.path]
    if run.is_transductive:
        yield (
            f"{name} is transductive: its tokens were scaled with statistics of the scored clips "
            "too, but with no label of them."
        )
    for told in document.get("seen", ()):
        yield f"{name}: {told}"
    for line in changed_lines(document):
        yield f"{name} was {origin_words(document)}; since then: {line}."
    if left := _left_out(run):
        every = "" if run.target.task == "pairs" else f" of {left + run.metrics['clips']:,}"
        kind = "clips" if "folds" in document else f"{run.split} clips"
        yield (
            f"{name}: {left:,}{every} {kind} were not scored, because they have no features; the "
            "numbers are those of the others alone."
        )
    absent = run.metrics.get("absent", {}).get("clips")
    if absent:
        yield f"{name}: {plural(absent, 'row')} without any tokens, counted as wrong."
    if HEADLINES[run.target.task] not in run.metrics.get("interval", {}):
        yield f"{name} has no interval."


def _left_out(run: ScoredRun) -> int:
    """Return the number of clips that should be scored, but had no features, by the run's notes."""
    wanted = ("all", "train", "val", "test") if "folds" in run.document else (run.split,)
    notes = run.document.get("notes", [])
    found = [_LEFT_OUT.search(note) for note in notes if isinstance(note, str)]
    parts = [part.split(" of ") for each in found if each for part in each[1].split(", ")]
    return sum(int(part[0]) for part in parts if len(part) == 2 and part[1] in wanted
               and part[0].isascii() and part[0].isdecimal())  # fmt: skip
