"""`emo weights …`: which model files a backbone needs, whether they are here, and fetching them."""

from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import Options
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines, format_table, shown

weights_app = typer.Typer(
    help="Find, fetch and check the model files of a backbone.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
_SHOWN = ("file", "state", "MB", "from")
"""Columns of the table; the paths are listed below it, each once and in one line."""
Name = Annotated[
    str, Argument(metavar="NAME", help="A name of `emo list backbones` or `emo list models`.")
]


@weights_app.command(cls=SectionedCommand, epilog=examples("emo weights where languagebind"))
def where(name: Name, option: Options = []) -> None:
    """List the files, where each may lie, and whether it is there.

    The exit code is 1 if one is missing.
    """
    from emo.extract.models.download import weight_files, weights_of

    rows = weight_files(weights_of(name, option))
    print(format_table([{key: row[key] for key in _SHOWN} for row in rows]))
    for heading, is_here in (("here", True), ("looked for in", False)):
        if paths := _paths([row for row in rows if (row["state"] == "here") == is_here]):
            print(shown("\n".join([f"\n{heading}:", *(f"  {path}" for path in paths)])))
    raise typer.Exit(1 if any(row["state"] == "missing" for row in rows) else 0)


def _paths(rows: list[dict[str, object]]) -> list[str]:
    """Return the paths in the columns that the table does not show, each once."""
    cells = [str(text) for row in rows for key, text in row.items() if key not in _SHOWN]
    return list(dict.fromkeys(path for cell in cells for path in cell.split(", ")))


@weights_app.command(cls=SectionedCommand, epilog=examples("emo weights fetch languagebind"))
def fetch(name: Name, option: Options = []) -> None:
    """Download the files that are missing.

    Run it on a machine with internet; the files go where `emo extract` will look for them.
    """
    from emo.extract.models.download import fetch_missing, weights_of

    for line in fetch_missing(weights_of(name, option)):
        print(fit_lines(line))


@weights_app.command(
    cls=SectionedCommand,
    epilog=examples("emo weights check languagebind -o weights=/models/languagebind"),
)
def check(
    name: Name,
    option: Options = [],
    rehash: Annotated[
        bool,
        Option("--rehash", help="Compute the hash anew, although the files look unchanged."),
    ] = False,
) -> None:
    """Load the model once, and show its hash, streams and parameters.

    The hashes of large files are remembered in ~/.cache/emo/weights.json until a file changes.
    """
    from emo.extract.models.download import check_weights

    print(fit_lines(check_weights(name, option, rehash=rehash)))
