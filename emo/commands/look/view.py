"""The command `emo view`: runs or a manifest with the media of every clip, in the browser."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import Columns, Root, pairs
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo view manifest.csv",
            "emo view runs/a runs/b --features features",
            "emo view manifest.csv --features features --port 8321",
        ),
    )(view)


def view(
    paths: Annotated[
        list[Path],
        Argument(metavar="RUN…|MANIFEST", help="Folders from `emo fit-head`, or one manifest."),
    ] = [Path("manifest.csv")],
    features: Annotated[
        list[str],
        Option(
            metavar="STORE",
            help="Store whose tokens, failures and face crops are shown; repeat.",
        ),
    ] = [],
    manifest: Annotated[
        Path | None,
        Option(metavar="MANIFEST", help="Manifest of the clips of runs; default: that of each."),
    ] = None,
    root: Root = None,
    column: Columns = [],
    port: Annotated[
        int, Option(metavar="N", help="Port on this machine, 127.0.0.1; 0: a free one.")
    ] = 0,
    open_: Annotated[bool, Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Show runs or clips with their media in the browser.

    The page is on this machine alone, at an address with a random token that is printed. ^C ends.
    """
    from emo.report.view.server import ViewServer, serve_until_interrupted
    from emo.report.view.view import ViewOptions, open_browser, view_pages

    options = ViewOptions(manifest, root, pairs(column, "--column"), tuple(features))
    pages = view_pages(paths, options)
    with ExitStack() as stack:
        server = ViewServer(pages.answer, port=port)
        print(fit_lines(f"{server.url}\n^C ends"), flush=True)
        if open_:
            open_browser(server, stack)
        serve_until_interrupted(server)
