"""`emo weights …`: which model files a backbone needs, whether they are here, and fetching them."""

from typing import Annotated

import typer
from typer import Argument

from emo.commands.options import Options

weights_app = typer.Typer(
    help="Find, fetch and check the model files of a backbone.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Name = Annotated[str, Argument(help="A backbone, see `emo list backbones`.")]


@weights_app.command(epilog="Example: emo weights where languagebind")
def where(name: Name, option: Options = []) -> None:
    """List the files, where each was looked for, and whether it is there. Exit 1 if one lacks."""
    from emo.extract.models.download import weight_files, weights_of
    from emo.table import format_table

    rows = weight_files(weights_of(name, option))
    print(format_table(rows))
    raise typer.Exit(1 if any(row["state"] == "missing" for row in rows) else 0)


@weights_app.command(epilog="Example: emo weights fetch languagebind")
def fetch(name: Name, option: Options = []) -> None:
    """Download what is missing, on a machine with internet, to where `emo extract` will look."""
    from emo.extract.models.download import fetch_missing, weights_of

    for line in fetch_missing(weights_of(name, option)):
        print(line)


@weights_app.command(epilog="Example: emo weights check languagebind -o weights=/models/lb")
def check(name: Name, option: Options = []) -> None:
    """Load the model once and say its hash, streams and parameters: the files are whole."""
    from emo.extract.models.download import check_weights

    print(check_weights(name, option))
