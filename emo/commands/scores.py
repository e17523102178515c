"""The commands `emo score` and `emo submit`: official scores, and the files that tasks want."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines


class Tasks(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """Shared tasks whose files `emo submit` can write."""

    semeval2024 = "semeval2024"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo score predictions.csv --gold test.csv --metric weighted_f1",
            "emo score submissions/ --gold hidden.csv --html board.html",
            "emo score results.json --gold captions.csv --metric retrieval",
            "emo score p.csv --gold q.csv --metric accuracy --by speaker",
        ),
    )(score)
    app.command(
        cls=SectionedCommand,
        epilog=examples("emo submit semeval2024 runs/joint --out submission"),
    )(submit)


def score(
    predictions: Annotated[
        Path,
        Argument(
            metavar="PREDICTIONS",
            help="A table, a JSON file or a run; or a folder of them, which are ranked.",
        ),
    ],
    gold: Annotated[
        Path,
        Option(metavar="FILE", help="The true labels: a table with ids, a manifest, or JSON."),
    ],
    metric: Annotated[
        str | None,
        Option(metavar="NAME", help="A metric of `emo list metrics`; default: by the labels."),
    ] = None,
    classes: Annotated[
        str | None,
        Option(metavar="A,B,C", help="All classes there are; default: those of the labels."),
    ] = None,
    column: Annotated[
        list[str],
        Option(
            "--column",
            metavar="OURS=THEIRS",
            help="Name a column of the predictions (id=, prediction=) or of the labels (gold_id=, "
            "label=); repeat.",
        ),
    ] = [],
    is_open: Annotated[
        bool,
        Option(
            "--open", help="Count as wrong: classes that the labels lack, and missing predictions."
        ),
    ] = False,
    split: Annotated[
        str | None,
        Option(metavar="SPLIT", help="train, val, test or all; default: test if there is one."),
    ] = None,
    target: Annotated[
        str | None, Option(metavar="NAME", help="Target of a run; default: its first.")
    ] = None,
    by: Annotated[
        str | None,
        Option(
            metavar="COLUMN",
            help="Print rows and scores by the values of a column of the labels, such as speaker; "
            "question_word is told by the question if there is no such column.",
        ),
    ] = None,
    video_to_text: Annotated[
        str,
        Option(
            metavar="HOW",
            help="With --metric retrieval, for items of several queries: own (the best of them "
            "counts, the others do not count against it) or grouped (CLIP4Clip's: items by their "
            "best query).",
        ),
    ] = "own",
    answers: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="JSON with the number of each answer, for predictions that are numbers (ALPRO's "
            "ans2label.json).",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Also write the ranking as one HTML page, with 95 % intervals.",
            callback=written,
        ),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Score predictions by official metrics.

    The exit code is 3 if some files of a folder cannot be scored.
    """
    from emo.score.score import ScoreOptions, classes_of
    from emo.score.score import score as score_all

    columns = pairs(column, "--column")
    odd = columns.keys() - {"id", "prediction", "gold_id", "label"}
    if odd:
        raise typer.BadParameter(f"--column {odd.pop()}: expected id, prediction, gold_id or label")
    options = ScoreOptions(metric, classes_of(classes), columns, split, target, is_open, by,
                           video_to_text, answers, html is not None)  # fmt: skip
    report = score_all(predictions, gold, options)
    print(report.json() if json else fit_lines(report.table()))
    if html is not None:
        from emo.report.leaderboard import leaderboard_page
        from emo.report.write import write_html

        write_html(leaderboard_page(report), html)
        if not json:
            print(fit_lines(f"wrote {html}"))
    raise typer.Exit(report.exit_code)


def submit(
    task: Annotated[Tasks, Argument(metavar="TASK", help="The shared task: semeval2024.")],
    run: Annotated[
        Path,
        Argument(metavar="RUN", help="A folder from `emo fit-head` with a target of pairs."),
    ],
    out: Annotated[
        Path, Option(metavar="FOLDER", help="Folder for the files.", callback=written)
    ] = Path("submission"),
    split: Annotated[
        str, Option(metavar="SPLIT", help="Split whose dialogues are written.")
    ] = "test",
    seed: Annotated[
        int | None, Option(metavar="N", help="Seed of the run; default: the one it kept.")
    ] = None,
    manifest: Annotated[
        Path | None,
        Option(metavar="MANIFEST", help="Manifest of the run, if it is not where it was."),
    ] = None,
    predictions: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Predictions from `emo predict --manifest`, for clips without known labels.",
        ),
    ] = None,
) -> None:
    """Write and check the files that a shared task takes."""
    from emo.score.submit import submit_semeval

    report = submit_semeval(
        run, out, split=split, seed=None if seed is None else str(seed), manifest=manifest,
        predictions=predictions,
    )  # fmt: skip
    print(fit_lines(report.table()))
