"""The commands `emo report` and `emo plot`: a page and figures of runs, to look at."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import Columns, Root, near, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines


class Contents(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """What of a clip's content a page can show."""

    words = "words"
    frames = "frames"
    sound = "sound"
    video = "video"


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
    """Add the commands to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo report runs/* --out report.html",
            "emo report runs/a runs/b --by speaker --by gender --anonymous",
            "emo report runs/a --media words --media frames --cards 24",
        ),
    )(report)
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo plot confusion runs/audio --out confusion.pdf --width 3.3",
            "emo plot compare runs/* --out compare.svg",
        ),
    )(plot)


def report(
    runs: Annotated[
        list[Path],
        Argument(
            metavar="RUN",
            help="Folders from `emo fit-head` or `emo adapt`, or of several; or s3://….",
            callback=near,
        ),
    ],
    out: Annotated[
        Path, Option(metavar="FILE", help="The page, one HTML file.", callback=written)
    ] = Path("report.html"),
    title: Annotated[
        str, Option(metavar="TEXT", help="Title of the page; default: the names of the runs.")
    ] = "",
    target: Annotated[
        str | None, Option(metavar="NAME", help="Target that is shown; default: all targets.")
    ] = None,
    manifest: Annotated[
        Path | None,
        Option(metavar="MANIFEST", help="Manifest of the clips; default: that of each run."),
    ] = None,
    root: Root = None,
    column: Columns = [],
    by: Annotated[
        list[str],
        Option(
            metavar="COLUMN",
            help="Show results by the values of a column of the manifest; repeat. Default: "
            "speaker.",
        ),
    ] = [],
    features: Annotated[
        list[str],
        Option(
            metavar="STORE",
            help="Store of the runs: adds a map of the tokens, and where in a clip the head looks; "
            "repeat.",
        ),
    ] = [],
    media: Annotated[
        list[Contents],
        Option(
            metavar="WHAT",
            help="Show what clips of mistakes hold: words, frames, sound or video; repeat. "
            "Default: nothing of a clip's content.",
        ),
    ] = [],
    cards: Annotated[int, Option(metavar="N", help="Number of mistakes that are shown.")] = 12,
    anonymous: Annotated[
        bool, Option("--anonymous", help="Number ids, speakers and dialogues.")
    ] = False,
) -> None:
    """Write one page on runs: scores, mistakes, what made them.

    The page is one file that loads nothing from the network. Without --media it holds nothing of a
    clip's content, and no paths.
    """
    from emo.report.options import ReportOptions
    from emo.report.write import write_report

    options = ReportOptions(
        title, target, manifest, root, pairs(column, "--column"), tuple(by), tuple(features),
        tuple(dict.fromkeys(each.value for each in media)), cards, anonymous,
    )  # fmt: skip
    notes = write_report(runs, out, options)
    print(fit_lines("\n".join([f"wrote {out}", *(f"- {note}" for note in notes)])))


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
