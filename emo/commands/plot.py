"""The command `emo plot`: figures of runs for a paper."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines


class Figures(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """Kinds of figures."""

    confusion = "confusion"
    curves = "curves"
    compare = "compare"


class Normalisation(str, Enum):  # noqa: UP042
    """What the cells of a confusion are divided by."""

    true = "true"
    pred = "pred"
    all = "all"
    none = "none"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo plot confusion runs/audio --out confusion.pdf --width 3.3",
            "emo plot compare runs/* --out compare.svg",
        ),
    )(plot)


def plot(
    what: Annotated[Figures, Argument(metavar="WHAT", help="confusion, curves or compare.")],
    runs: Annotated[list[Path], Argument(metavar="RUN", help="Folders from `emo fit-head`.")],
    out: Annotated[
        Path,
        Option(metavar="FILE", help="The figure: .pdf, .svg or .png.", callback=written),
    ],
    width: Annotated[
        float | None, Option(metavar="NUMBER", help="Width in inches; default: as it must be.")
    ] = None,
    height: Annotated[
        float | None, Option(metavar="NUMBER", help="Height in inches; default: as it must be.")
    ] = None,
    normalize: Annotated[
        Normalisation,
        Option(
            metavar="HOW",
            help="Divide cells of a confusion by their true class, predicted class (pred), all, or "
            "nothing (none).",
        ),
    ] = Normalisation.true,
    title: Annotated[str | None, Option(metavar="TEXT", help="The title; none: no title.")] = None,
    target: Annotated[
        str | None, Option(metavar="NAME", help="Target of the runs; default: each run's first.")
    ] = None,
    split: Annotated[
        str, Option(metavar="SPLIT", help="Split of a confusion; default: test, else val.")
    ] = "",
) -> None:
    """Draw confusions, training curves or scores of runs."""
    from emo.heads.runs.figures.folders import FigureOptions, plot_runs

    options = FigureOptions(
        width, height, normalize.value, "" if title == "none" else title, target, split
    )
    notes = plot_runs(what.value, runs, out, options)
    print(fit_lines("\n".join([f"wrote {out}", *(f"- {note}" for note in notes)])))
