"""`emo dataset`: the manifest of a download in its published layout."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.options import pairs, written


def register(app: typer.Typer) -> None:
    """Give the command to ``app``."""
    app.command(
        epilog="Example: emo dataset meld MELD.Raw/ --out m.csv    "
        "emo dataset iemocap IEMOCAP/ --map label exc=hap,xxx= --out m.csv"
    )(dataset)


def dataset(
    name: Annotated[str, Argument(metavar="NAME", help="See `emo list datasets`.")],
    folder: Annotated[Path, Argument(metavar="DIR", help="The download, as published.")],
    out: Annotated[Path, Option(help="The manifest to write.", callback=written)] = Path(
        "manifest.csv"
    ),
    option: Annotated[list[str], Option("-o", help="NAME=VALUE, of the data set; repeat.")] = [],
    label_map: Annotated[
        tuple[str, str] | None,
        Option("--map", metavar="COLUMN OLD=NEW,OLD=", help="Rename, merge or drop classes."),
    ] = None,
    is_partial: Annotated[
        bool, Option("--partial", help="Write what is there although something is missing.")
    ] = False,
    missing: Annotated[
        Path | None,
        Option(help="Write the whole list of what is missing to this file.", callback=written),
    ] = None,
    is_fast: Annotated[
        bool, Option("--fast", help="Only look whether files are there, open none.")
    ] = False,
    workers: Annotated[int, Option(help="Files opened at the same time.")] = 2,
) -> None:
    """Check a download and write its manifest; exit 1 when something is missing."""
    from emo.datasets.labels import parse_maps
    from emo.datasets.make import Wish, make_manifest

    if sys.argv.count("--map") > 1:  # typer would silently keep the last
        raise typer.BadParameter("--map can be given once; write OLD=NEW,OLD=NEW for one column")
    maps = parse_maps([label_map] if label_map else [])
    wish = Wish(pairs(option, "-o"), maps, is_partial, not is_fast, workers, missing)
    report = make_manifest(name, folder, out=out, wish=wish)
    print(report.text())
    raise typer.Exit(1 if report.root is None else 0)
