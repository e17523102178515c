"""What a reader must know before quoting a number of a page."""

from collections.abc import Iterator

from emo.errors import listed, plural
from emo.heads.metrics.measures import HEADLINES
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.report.board import BoardFacts, Group
from emo.report.context import Context
from emo.report.names import replaced

FEW_ROWS, FEW_OF_CLASS = 100, 10
"""Numbers of scored rows, and of rows of one class, below which a caution is given."""


def cautions_of(group: Group, board: BoardFacts, context: Context) -> tuple[str, ...]:
    """Return the cautions on a group of runs, as sentences."""
    found = [
        *_on_choice(group, board), *_on_rows(group, board), *_on_people(group, context),
        *(line for run in group.ranked for line in _on_run(run, context)),
    ]  # fmt: skip
    return tuple(dict.fromkeys(replaced(each, context.run_names) for each in found))


def _on_choice(group: Group, board: BoardFacts) -> Iterator[str]:
    """Iterate over cautions on how the best run was chosen."""
    best = board.ranking[0].name
    if group.runs[0].split == "val":
        yield (
            "The runs have no test split: these are scores on val, on which the kept round was "
            "chosen, so that they are too good."
        )
    if len(group.runs) > 1:
        yield (
            f"The best of {len(group.runs)} runs on the same rows scores too well by chance: "
            "choose by val, and report how many were tried."
        )
    told = [run.document.get("settings_before", 0) for run in group.runs]
    before = max(each if isinstance(each, int) else 0 for each in told)
    if before >= len(group.runs):
        yield (
            f"The test clips were scored under {plural(before, 'other setting')} before: choose by "
            "val, and report how many were tried."
        )
    if board.chosen_by_val and board.chosen_by_val != best:
        row = next(row for row in board.ranking if row.name == board.chosen_by_val)
        yield (
            f"val would have chosen {row.name}, whose {board.headline} is {row.mean:.3f}: that is "
            "the number to quote."
        )
    baseline, mean = board.ranking[0].baseline, board.ranking[0].mean
    if baseline is not None and (mean >= baseline) == board.is_lower_better:
        yield "The best run is no better than the baseline that sees no input."


def _on_rows(group: Group, board: BoardFacts) -> Iterator[str]:
    """Iterate over cautions on the number of rows, of seeds, and what intervals are drawn over."""
    if board.rows < FEW_ROWS:
        yield f"Only {board.counted} scored: expect other numbers on other data."
    run = group.runs[0]
    counts = {name: each["clips"] for name, each in run.metrics.get("classes", {}).items()}
    few = [name for name in board.classes if counts and counts.get(name, 0) < FEW_OF_CLASS]
    if few and len(board.classes) <= 40:
        yield f"Fewer than {FEW_OF_CLASS} scored {board.units} of {listed(few)}."
    names = [row.name for row in board.ranking if row.kind == "run" and len(row.seeds) < 2]
    if names and not _is_exact(group):
        yield f"One seed alone of {listed(names)}: how much training varies is not known."
    if run.drawn_over() == "clip" and board.unit == "clip":
        yield (
            "Intervals are drawn over single clips, as if each were of another person; clips of "
            "one speaker or dialogue are alike, so that they are rather too narrow."
        )


def _is_exact(group: Group) -> bool:
    """Return whether the heads of all runs are solved exactly, so that each seed gives the same."""
    heads = [run.document["head"] for run in group.runs]
    return all(head.get("options", {}).get("solver", "adamw") != "adamw" for head in heads)


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
    absent = run.metrics.get("absent", {}).get("clips")
    if absent:
        yield f"{name}: {plural(absent, 'row')} without any tokens, counted as wrong."
    if HEADLINES[run.target.task] not in run.metrics.get("interval", {}):
        yield f"{name} has no interval."
