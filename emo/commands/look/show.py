"""The commands `emo show`, `emo rerun` and `emo log`: what made a run, and what is done with it."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import AllowCode, Root, near, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines, format_facts, json_text, shown


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        cls=SectionedCommand, epilog=examples("emo show runs/audio", "emo show features/classic")
    )(show)
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo rerun runs/audio", "emo rerun runs/audio --features features --out again"
        ),
    )(rerun)
    app.command(
        cls=SectionedCommand,
        epilog=examples("emo log runs/audio --to wandb", "emo log runs/* --to mlflow --project a"),
    )(log)


def show(
    path: Annotated[
        str, Argument(metavar="PATH", help="A run, a store, or a recipe's folder in a store.")
    ],
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what made a run, a store or a recipe."""
    from emo.heads.runs.show import show

    found = show(path)
    if json:
        print(shown(json_text({title: dict(lines) for title, lines in found.items()}, indent=2)))
        return
    for number, (title, lines) in enumerate(found.items()):
        print(fit_lines(f"\n{title}" if number else title))
        print(format_facts(lines, indent="  "))


def rerun(
    run: Annotated[Path, Argument(metavar="RUN", help="A folder from `emo fit-head`.")],
    manifest: Annotated[
        Path | None,
        Option(metavar="MANIFEST", help="Manifest of the run, if it is not where it was."),
    ] = None,
    features: Annotated[
        list[str],
        Option(metavar="STORE", help="Stores of the run, if they are not where they were; repeat."),
    ] = [],
    root: Root = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="RUN",
            help="Folder of the new run; default: RUN-again beside it.",
            callback=written,
        ),
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Do a run again, and say whether its scores are the same."""
    from emo.heads.fitting.rerun import rerun

    copy = near(run)
    if copy != run and out is None:
        raise typer.BadParameter(f"{run}: the new run of one in a bucket needs --out")
    report = rerun(copy, out, manifest=manifest, features=features, root=root)
    print(fit_lines(report.table()))


def log(
    runs: Annotated[
        list[Path],
        Argument(
            metavar="RUN",
            help="Runs of `emo fit-head` or folders of several, here or in a bucket.",
            callback=near,
        ),
    ],
    to: Annotated[str, Option(metavar="NAME", help="A tracker of `emo list trackers`.")],
    project: Annotated[
        str, Option(metavar="NAME", help="Name under which the tracker gathers runs.")
    ] = "emo",
) -> None:
    """Write runs for W&B, MLflow or TensorBoard.

    A run that was logged before is replaced. Nothing of clips, people or folders is written.
    """
    from emo.report.trackers.log import log_runs

    print(fit_lines(log_runs(runs, to, project=project)))
