"""`emo dataset`: check a download in its published layout and write its manifest."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo dataset meld MELD.Raw/ --out m.csv",
            "emo dataset iemocap IEMOCAP/ --map label exc=hap,xxx= --out m.csv",
        ),
    )(dataset)


def dataset(
    name: Annotated[str, Argument(metavar="NAME", help="A data set of `emo list datasets`.")],
    folder: Annotated[Path, Argument(metavar="FOLDER", help="The download, as published.")],
    out: Annotated[
        Path, Option(metavar="MANIFEST", help="The manifest to write.", callback=written)
    ] = Path("manifest.csv"),
    option: Annotated[
        list[str],
        Option(
            "-o",
            metavar="NAME=VALUE",
            help="An option of the data set, see `emo list datasets NAME`; repeat.",
        ),
    ] = [],
    label_map: Annotated[
        tuple[str, str] | None,
        Option(
            "--map",
            metavar="COLUMN OLD=NEW,OLD=",
            help="Rename or merge the classes of a column; OLD= leaves a class without label.",
        ),
    ] = None,
    is_partial: Annotated[
        bool, Option("--partial", help="Write what is there although something is missing.")
    ] = False,
    missing: Annotated[
        Path | None,
        Option(
            metavar="FILE", help="Write the list of all that is missing here.", callback=written
        ),
    ] = None,
    is_pickle: Annotated[
        bool,
        Option("--allow-pickle", help="Read a pickle of captions (msvd), of text and lists only."),
    ] = False,
    is_fast: Annotated[
        bool, Option("--fast", help="Only look whether files are there, open none.")
    ] = False,
    workers: Annotated[
        int, Option(metavar="N", help="Files that are opened at the same time.")
    ] = 2,
) -> None:
    """Check a downloaded data set and write its manifest.

    The exit code is 1 when something is missing.
    """
    from emo.datasets.labels import parse_maps
    from emo.datasets.make import DatasetRequest, make_manifest

    maps = parse_maps([label_map] if label_map else [])
    options = pairs(option, "-o") | ({"allow_pickle": "yes"} if is_pickle else {})
    request = DatasetRequest(options, maps, is_partial, not is_fast, workers, missing)
    report = make_manifest(name, folder, out=out, request=request)
    print(fit_lines(report.text()))
    raise typer.Exit(1 if report.root is None else 0)
