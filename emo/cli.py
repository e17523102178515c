"""The command `emo`: each command parses, calls one function, prints.

Results go to stdout, progress to stderr. Exit codes: 0 done; 1 an error the user can mend (one
line on stderr); 2 wrong usage; 3 finished, but some clips failed; 75 stopped by a signal after
committing what was finished (run the same command again); 130 interrupted.
"""

import errno
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo import cli_dataset, cli_heads, cli_scores
from emo.cli_manifest import manifest_app
from emo.cli_options import Columns, Manifests, Options, Root, pairs, rows_of
from emo.cli_store import store_app
from emo.cli_weights import weights_app
from emo.errors import EmoError

app = typer.Typer(
    help="Extract frozen embeddings once; fit emotion heads on them all day.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
app.add_typer(manifest_app, name="manifest")
app.add_typer(store_app, name="store")
app.add_typer(weights_app, name="weights")

EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 usage, 3 some clips failed, 75 stopped by a signal (run again)."
)


class Changed(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """What to do with clips whose row or file changed since they were extracted."""

    stop = "stop"
    redo = "redo"
    keep = "keep"


class Precision(str, Enum):  # noqa: UP042
    """Of a forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class FaceChoice(str, Enum):  # noqa: UP042
    """Which faces of a frame are cropped."""

    track = "track"
    largest = "largest"
    all = "all"
    centre = "centre"


class Plugins(str, Enum):  # noqa: UP042
    """What `emo list` can list."""

    backbones = "backbones"
    datasets = "datasets"
    heads = "heads"
    executors = "executors"
    presets = "presets"
    formats = "formats"
    metrics = "metrics"


def main() -> None:
    """Run the command; an error that the user can mend is one line on stderr."""
    try:
        app()
    except EmoError as error:
        fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM):
            raise
        fail(f"{error.filename or 'write'}: {error.strerror}; choose another folder or free space")
    except KeyboardInterrupt:
        fail("interrupted; what was committed stays", 130)


def fail(message: str, code: int = 1) -> None:
    """Print the line and leave."""
    print(f"emo: error: {message}", file=sys.stderr)
    sys.exit(code)


@app.callback(invoke_without_command=True)
def emo(
    version: Annotated[bool, Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Extract frozen embeddings once; fit emotion heads on them all day."""
    if version:
        from emo import __version__

        print(f"emo-pipeline {__version__}")
        raise typer.Exit


@app.command(epilog="Example: emo extract m.csv --backbone classic --workers 2   " + EXIT_CODES)
def extract(
    manifest: Manifests = Path("manifest.csv"),
    backbone: Annotated[
        list[str], Option(help="PLUGIN, PLUGIN:RECIPE or module:Class; repeat.")
    ] = ["classic"],
    out: Annotated[Path, Option(help="The store.")] = Path("features"),
    option: Options = [],
    name: Annotated[str | None, Option("--as", help="Name the only backbone's recipe.")] = None,
    column: Columns = [],
    root: Root = None,
    executor: Annotated[str, Option(help="See `emo list executors`.")] = "local",
    workers: Annotated[int, Option(help="Processes.")] = 1,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    part_clips: Annotated[
        int | None, Option(help="Clips committed together; default 256, fewer when few or large.")
    ] = None,
    batch_clips: Annotated[int, Option(help="Clips handed to the model together.")] = 16,
    batch_size: Annotated[
        str, Option(help="auto, or rows (frames, windows, texts) the model sees at once.")
    ] = "auto",
    dtype: Annotated[Precision | None, Option(help="Precision of the models.")] = None,
    faces: Annotated[FaceChoice | None, Option(help="Which faces are cropped.")] = None,
    retry_failed: Annotated[bool, Option("--retry-failed", help="Do failed clips again.")] = False,
    changed: Annotated[Changed, Option(help="Clips changed under their id.")] = Changed.stop,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Write frozen embeddings of every clip into a store; what is there already is kept."""
    from emo.extract.job import asks_from_words
    from emo.extract.report import report_lines
    from emo.extract.run import ExtractOptions, extract
    from emo.manifest import read_manifest

    clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
    shared = {"dtype": dtype, "faces": faces}
    asks = asks_from_words(
        backbone,
        option,
        name=name,
        shared={k: v.value for k, v in shared.items() if v},
        manifest=clips,
    )
    options = ExtractOptions(
        executor, workers, device, part_clips, batch_clips, rows_of(batch_size), retry_failed,
        changed.value,
    )  # fmt: skip
    report = extract(clips, out, asks, options, is_dry_run=dry_run)
    print("\n".join(report_lines(report, asks, is_dry_run=dry_run)))
    raise typer.Exit(0 if dry_run else report.exit_code)


cli_heads.register(app)
cli_dataset.register(app)
cli_scores.register(app)


@app.command(epilog="Example: emo check m.csv    emo check train.csv other.csv")
def check(
    manifest: Manifests = Path("manifest.csv"),
    other: Annotated[Path | None, Argument(help="Count the clips of one in the other.")] = None,
    column: Columns = [],
    root: Root = None,
    fast: Annotated[bool, Option("--fast", help="Read headers only.")] = False,
    target: Annotated[str, Option(help="The column that will be trained.")] = "label",
    workers: Annotated[int, Option(help="Files decoded at the same time.")] = 2,
) -> None:
    """Find what would spoil training: files, ids, texts, splits. Exit 1 if anything does."""
    from emo.check import check, overlap
    from emo.manifest import read_manifest

    columns = pairs(column, "--column")
    if other is not None:
        first = read_manifest(manifest, columns=columns, root=root)
        print(overlap(first, read_manifest(other, columns=columns, root=root)).table())
        return
    report = check(manifest, columns=columns, root=root, fast=fast, workers=workers, target=target)
    print(report.table())
    raise typer.Exit(1 if report.is_wrong else 0)


@app.command("list", epilog="Example: emo list heads")
def list_plugins(
    what: Annotated[Plugins, Argument(help="What to list.")],
) -> None:
    """Show what is available, and what is missing for the rest."""
    from emo.listing import plugin_table

    print(plugin_table(what.value))


@app.command(epilog="Example: emo demo --out demo")
def demo(
    out: Annotated[Path, Option(help="Folder for data, store and runs.")] = Path("demo"),
    seed: Annotated[int, Option(help="Of the synthetic data.")] = 0,
    clips: Annotated[int, Option(help="Clips of each class and speaker (10: 240 clips).")] = 10,
    workers: Annotated[int, Option(help="Processes that extract.")] = 2,
) -> None:
    """The whole way on synthetic clips made here: extract, fit-head, predict."""
    from emo.demo.run import run_demo

    print(run_demo(out, seed=seed, clips=clips, workers=workers))
