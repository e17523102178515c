"""The commands `emo score` and `emo submit`: official scores, and the files that tasks want."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.options import pairs, written


class Tasks(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """Whose files `emo submit` can write."""

    semeval2024 = "semeval2024"


def register(app: typer.Typer) -> None:
    """Give the commands to ``app``."""
    app.command(epilog=_SCORE)(score)
    app.command(epilog=_SUBMIT)(submit)


_SCORE = (
    "Example: emo score predictions.csv --gold test.csv --metric weighted_f1    "
    "emo score submissions/ --gold hidden.csv"
)
_SUBMIT = "Example: emo submit semeval2024 runs/joint --out submission"


def score(
    predictions: Annotated[
        Path, Argument(help="CSV, JSON …, a run, or a folder of them: then a ranked table.")
    ],
    gold: Annotated[Path, Option(help="The labels: a table with ids, a manifest, or JSON.")],
    metric: Annotated[
        str | None, Option(help="See `emo list metrics`; default: by the labels.")
    ] = None,
    classes: Annotated[
        str | None, Option(help="a,b,c: all classes; default: those of the labels.")
    ] = None,
    column: Annotated[
        list[str],
        Option(
            "--column",
            help="id=, prediction= (of the predictions), gold_id=, label= (of gold) NAME; repeat.",
        ),
    ] = [],
    split: Annotated[
        str | None, Option(help="train, val, test or all; default: test if there is one.")
    ] = None,
    target: Annotated[str | None, Option(help="Of a run; default: its first.")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score predictions by official metrics. Exit 3 if some of a folder cannot be scored."""
    from emo.score.score import ScoreOptions, classes_of
    from emo.score.score import score as score_all

    columns = pairs(column, "--column")
    odd = columns.keys() - {"id", "prediction", "gold_id", "label"}
    if odd:
        raise typer.BadParameter(f"--column {odd.pop()}: expected id, prediction, gold_id or label")
    options = ScoreOptions(metric, classes_of(classes), columns, split, target)
    report = score_all(predictions, gold, options)
    print(report.json() if json else report.table())
    raise typer.Exit(report.exit_code)


def submit(
    task: Annotated[Tasks, Argument(help="Whose rules.")],
    run: Annotated[Path, Argument(help="A folder from `emo fit-head` with a target of pairs.")],
    out: Annotated[Path, Option(help="The folder to write to.", callback=written)] = Path(
        "submission"
    ),
    split: Annotated[str, Option(help="Whose conversations.")] = "test",
    seed: Annotated[int | None, Option(help="Of the run; default: the one it kept.")] = None,
    manifest: Annotated[Path | None, Option(help="The run's, if it is not where it was.")] = None,
    predictions: Annotated[
        Path | None, Option(help="From `emo predict --manifest`: of clips without known labels.")
    ] = None,
) -> None:
    """Write the files that a shared task takes, and check them by its rules."""
    from emo.score.submit import submit_semeval

    report = submit_semeval(
        run, out, split=split, seed=None if seed is None else str(seed), manifest=manifest,
        predictions=predictions,
    )  # fmt: skip
    print(report.table())
