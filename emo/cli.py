"""The command `emo`: each command parses, calls one function, prints.

Results go to stdout, progress to stderr. Exit codes: 0 done; 1 an error the user can mend (one
line on stderr); 2 wrong usage; 3 finished, but some clips failed; 75 stopped by a signal after
committing what was finished (run the same command again); 130 interrupted.
"""

import atexit
import contextlib
import errno
import gc
import os
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands import adapt as cli_adapt
from emo.commands import dataset as cli_dataset
from emo.commands import extract as cli_extract
from emo.commands import fit_head as cli_fit_head
from emo.commands import heads as cli_heads
from emo.commands import scores as cli_scores
from emo.commands import serve as cli_serve
from emo.commands import similarity as cli_similarity
from emo.commands.flags.options import AllowHost, Columns, Manifests, Root, pairs, written
from emo.commands.flags.sections import SectionedCommand, SectionedGroup, examples
from emo.commands.job import job_app
from emo.commands.look import report as cli_report
from emo.commands.look import show as cli_show
from emo.commands.look import view as cli_view
from emo.commands.manifest import manifest_app
from emo.commands.store import store_app
from emo.commands.weights import weights_app
from emo.errors import EmoError, system_reason
from emo.machine.libraries import EXTRAS, missing_library
from emo.machine.processor import choose_waiting
from emo.machine.streams import print_anything
from emo.machine.table import fit_lines, shown
from emo.machine.warning_lines import print_warnings_as_lines
from emo.plugins import error_text, forget_trust, where_in_own_code

app = typer.Typer(
    cls=SectionedGroup,
    help="Extract frozen embeddings once; fit emotion heads on them all day.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
app.add_typer(job_app, name="job")
app.add_typer(manifest_app, name="manifest")
app.add_typer(store_app, name="store")
app.add_typer(weights_app, name="weights")


class Plugins(str, Enum):  # noqa: UP042
    """Kinds of things that `emo list` lists."""

    backbones = "backbones"
    datasets = "datasets"
    heads = "heads"
    executors = "executors"
    presets = "presets"
    formats = "formats"
    metrics = "metrics"
    models = "models"
    trackers = "trackers"


_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EROFS, errno.EPERM,
    errno.ESTALE, errno.ENAMETOOLONG,
}  # fmt: skip
"""Errors of disks that people can mend; others are errors of emo and show where they arose."""
_KINDS = ", ".join(kind.value for kind in Plugins)


def main() -> None:
    """Run the command; an error that the user can mend is one line on stderr."""
    choose_waiting(sys.argv[1:])
    print_anything()
    forget_trust()
    print_warnings_as_lines()
    # A command leaves with the million objects of its libraries, which Python would search for
    # garbage: half a second with torch.
    atexit.register(gc.freeze)
    try:
        try:
            app()
        except SystemExit:
            sys.stdout.flush()  # what fails at Python's own exit is no error of one line
            raise
    except BrokenPipeError:  # the reader, such as `head`, has what it wanted
        _close_stdout()
        sys.exit(1)
    except EmoError as error:
        fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] not in EXTRAS:
            raise
        fail(missing_library(error, f"emo {' '.join(sys.argv[1:2])}"))
    except OSError as error:
        if error.errno not in _DISK:
            raise
        name = error.filename or "standard output"  # all files that are written are named
        fail(f"{name}: {system_reason(error)}; choose another folder or free space")
    except Exception as error:
        where = where_in_own_code(error)
        if where is None:
            raise
        fail(f"{where}: {error_text(error)}")
    except KeyboardInterrupt:
        fail("interrupted; what was committed stays", 130)


def _close_stdout() -> None:
    """Let Python's exit find nothing to write: it would print the same error once more."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def fail(message: str, code: int = 1) -> None:
    """Print an error line on stderr and exit with ``code``."""
    print(shown(f"emo: error: {message}"), file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _close_stdout()
    sys.exit(code)


@app.callback(invoke_without_command=True)
def emo(
    version: Annotated[bool, Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Extract frozen embeddings once; fit emotion heads on them all day."""
    if version:
        from emo import __version__

        print(f"emo-pipeline {__version__}")
        raise typer.Exit


cli_extract.register(app)
cli_fit_head.register(app)
cli_adapt.register(app)
cli_heads.register(app)
cli_dataset.register(app)
cli_report.register(app)
cli_scores.register(app)
cli_show.register(app)
cli_similarity.register(app)
cli_serve.register(app)
cli_view.register(app)


@app.command(
    cls=SectionedCommand, epilog=examples("emo check m.csv", "emo check train.csv other.csv")
)
def check(
    manifest: Manifests = Path("manifest.csv"),
    other: Annotated[
        Path | None,
        Argument(metavar="OTHER", help="Another manifest: count the clips that stand in both."),
    ] = None,
    column: Columns = [],
    root: Root = None,
    allow_host: AllowHost = [],
    fast: Annotated[
        bool, Option("--fast", help="Read only the headers of media files, decode nothing.")
    ] = False,
    target: Annotated[
        str, Option(metavar="COLUMN", help="The column that a head will be trained to predict.")
    ] = "label",
    task: Annotated[
        str | None,
        Option(
            metavar="TASK",
            help="classify, multilabel, regress or pairs; default: told by the cells.",
        ),
    ] = None,
    workers: Annotated[
        int, Option(metavar="N", help="Files that are decoded at the same time.")
    ] = 2,
) -> None:
    """Find what would spoil training in a manifest and its files.

    The exit code is 1 if anything does.
    """
    from emo.datasets.check import check, overlap
    from emo.manifest import read_manifest

    columns = pairs(column, "--column")
    if other is not None:
        first = read_manifest(manifest, columns=columns, root=root)
        second = read_manifest(other, columns=columns, root=root)
        print(fit_lines(overlap(first, second).table()))
        return
    report = check(
        manifest, columns=columns, root=root, fast=fast, workers=workers, target=target,
        task=task.removeprefix(f"{target}=") if task else None,
    )  # fmt: skip
    print(fit_lines(report.table()))
    raise typer.Exit(1 if report.is_wrong else 0)


@app.command(
    "list", cls=SectionedCommand, epilog=examples("emo list heads", "emo list backbones openclip")
)
def list_plugins(
    what: Annotated[Plugins, Argument(metavar="WHAT", help=f"What to list: {_KINDS}.")],
    name: Annotated[
        str | None, Argument(metavar="NAME", help="One of them, to see its options and more.")
    ] = None,
) -> None:
    """List the backbones, heads, data sets and other plugins."""
    if name is None:
        from emo.commands.lists.table import plugin_table

        print(plugin_table(what.value))
    else:
        from emo.commands.lists.one_plugin import plugin_text

        print(plugin_text(what.value, name))


@app.command(cls=SectionedCommand, epilog=examples("emo demo --out demo"))
def demo(
    out: Annotated[
        Path,
        Option(metavar="FOLDER", help="Folder for data, store and runs.", callback=written),
    ] = Path("demo"),
    seed: Annotated[int, Option(metavar="N", help="Seed of the synthetic data.")] = 0,
    clips: Annotated[
        int, Option(metavar="N", help="Clips of each class and speaker; 10 make 240 clips.")
    ] = 10,
    workers: Annotated[int, Option(metavar="N", help="Processes that extract.")] = 2,
) -> None:
    """Go the whole way on synthetic clips that are made here.

    It runs extract, fit-head and predict.
    """
    from emo.commands.demo import run_demo

    print(fit_lines(run_demo(out, seed=seed, clips=clips, workers=workers)))
