"""The command `emo`: each command parses, calls one function, prints.

Results go to stdout, progress to stderr. Exit codes: 0 done; 1 an error the user can mend (one
line on stderr); 2 wrong usage; 3 finished, but some clips failed; 75 stopped by a signal after
committing what was finished (run the same command again); 130 interrupted.
"""

import errno
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from emo.cli_manifest import manifest_app
from emo.cli_options import Columns, Options, Root, pairs, rows_of
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

Manifests = Annotated[Path, Argument(help="The clips: CSV, TSV, JSONL or Parquet.")]
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
    heads = "heads"
    executors = "executors"
    presets = "presets"


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
        backbone, option, name=name, shared={k: v.value for k, v in shared.items() if v}
    )
    options = ExtractOptions(
        executor, workers, device, part_clips, batch_clips, rows_of(batch_size), retry_failed,
        changed.value,
    )  # fmt: skip
    report = extract(clips, out, asks, options, is_dry_run=dry_run)
    print("\n".join(report_lines(report, asks, is_dry_run=dry_run)))
    raise typer.Exit(0 if dry_run else report.exit_code)


@app.command(
    epilog="Example: emo fit-head m.csv --stream classic/audio --target emotion --seeds 5 "
    "--out runs/audio"
)
def fit_head(
    manifest: Manifests = Path("manifest.csv"),
    features: Annotated[list[Path], Option(help="Store(s) from `emo extract`; repeat to fuse.")] = [
        Path("features")
    ],
    head: Annotated[
        str | None, Option(help="See `emo list heads`; default: attention_pool.")
    ] = None,
    preset: Annotated[
        str | None, Option(help="Features, head and options of one of `emo list presets`.")
    ] = None,
    target: Annotated[
        list[str], Option(help="The column to predict; repeat; default: label.")
    ] = [],
    task: Annotated[
        list[str],
        Option(help="[TARGET=]classify, multilabel, regress or pairs; default: by cells."),
    ] = [],
    target_weight: Annotated[list[str], Option(help="TARGET=factor in the loss; repeat.")] = [],
    stream: Annotated[
        list[str], Option(help="RECIPE or RECIPE/STREAM; repeat; default: all in the store.")
    ] = [],
    out: Annotated[Path, Option(help="The run's folder.")] = Path("runs/latest"),
    option: Options = [],
    column: Columns = [],
    root: Root = None,
    cv: Annotated[
        str | None,
        Option(help="Cross-validate: a column, each value left out once; or a number of folds."),
    ] = None,
    is_ablation: Annotated[
        bool, Option("--ablate", help="Fit every subset of the streams, each to a folder in --out.")
    ] = False,
    seeds: Annotated[int, Option(help="Fits; the table shows mean ± std.")] = 1,
    epochs: Annotated[int | None, Option(help="At most so many.")] = None,
    batch_size: Annotated[int | None, Option(help="Clips a step.")] = None,
    learning_rate: Annotated[float | None, Option(help="AdamW's.")] = None,
    weight_decay: Annotated[float | None, Option(help="AdamW's.")] = None,
    label_smoothing: Annotated[float | None, Option(help="0 to 1.")] = None,
    class_weights: Annotated[
        bool, Option("--class-weights", help="Weight the loss by inverse class frequency.")
    ] = False,
    patience: Annotated[int | None, Option(help="Epochs without a better val score.")] = None,
    warmup: Annotated[float | None, Option(help="Share of the steps with a rising rate.")] = None,
    decay: Annotated[str | None, Option(help="constant, linear or cosine.")] = None,
    focal: Annotated[float | None, Option(help="Exponent of the focal loss.")] = None,
    mixup: Annotated[float | None, Option(help="Alpha of mixup.")] = None,
    mixup_probability: Annotated[float | None, Option(help="Share of the steps with it.")] = None,
    spec_augment: Annotated[list[str], Option(help="A log-mel stream to mask; repeat.")] = [],
    modality_dropout: Annotated[float | None, Option(help="Share of streams dropped.")] = None,
    accumulate: Annotated[int | None, Option(help="Batches a step.")] = None,
    bf16: Annotated[bool, Option("--bf16", help="Run the head in bfloat16.")] = False,
    max_samples: Annotated[int | None, Option(help="Clips of each split, for a look.")] = None,
    search: Annotated[int | None, Option(help="Trials of options, judged on val.")] = None,
    allow_missing: Annotated[
        float | None, Option(help="Share of clips that may lack features.")
    ] = None,
) -> None:
    """Fit a light head on cached features and report weighted F1 per split."""
    from emo.heads.asked import fit_options
    from emo.heads.fit import fit_head
    from emo.manifest import read_manifest

    clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
    given: dict[str, Any] = {
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "weight_decay": weight_decay, "label_smoothing": label_smoothing,
        "patience": patience, "allow_missing": allow_missing, "warmup": warmup, "decay": decay,
        "focal": focal, "mixup": mixup, "mixup_probability": mixup_probability,
        "modality_dropout": modality_dropout, "accumulate": accumulate,
        "max_samples": max_samples, "search": search, "seeds": seeds,
        "class_weights": class_weights or None,
        "bf16": bf16 or None, "spec_augment": tuple(spec_augment) or None,
        "streams": tuple(stream) or None, "head": head,
    }  # fmt: skip
    options = fit_options(
        {name: value for name, value in given.items() if value is not None},
        targets=target, tasks=task, weights=target_weight, option=option, preset=preset,
    )  # fmt: skip
    if is_ablation:
        from emo.heads.ablate import ablate

        print(ablate(clips, features, out, options, by=cv).table())
        return
    if cv is not None:
        from emo.heads.cross import cross_validate

        print(cross_validate(clips, features, out, options, by=cv).table())
        return
    result = fit_head(clips, features, out, options)
    print(result.table())


@app.command(epilog="Example: emo compare runs/*    emo compare runs/* --pair runs/a runs/b")
def compare(
    runs: Annotated[list[Path], Argument(help="Folders from `emo fit-head`.")] = [],
    pair: Annotated[
        tuple[Path, Path] | None,
        Option(help="The two whose difference is tested; default: the runs, if there are two."),
    ] = None,
    target: Annotated[str | None, Option(help="Default: each run's first.")] = None,
    seed: Annotated[int, Option(help="Of the resamples.")] = 0,
) -> None:
    """Rank runs by their scores, and test the difference of two on the clips of both."""
    from emo.heads.compare import compare_runs

    if not runs and pair is None:
        raise typer.BadParameter("give the folders of runs, such as runs/*")
    print(compare_runs(runs or list(pair or ()), pair=pair, target=target, seed=seed).table())


@app.command(epilog='Example: emo predict runs/audio clip.mp4 --text "I am fine."')
def predict(
    run: Annotated[Path, Argument(help="A folder from `emo fit-head`.")],
    clip: Annotated[Path | None, Argument(help="A video or audio file.")] = None,
    text: Annotated[str | None, Option(help="What is said in the clip.")] = None,
    manifest: Annotated[Path | None, Option(help="Many clips instead of one.")] = None,
    features: Annotated[Path | None, Option(help="Their store, when already extracted.")] = None,
    out: Annotated[Path, Option(help="Where many predictions go.")] = Path("predictions.csv"),
    option: Annotated[list[str], Option("-o", help="RECIPE.weights=DIR on this machine.")] = [],
    column: Columns = [],
    root: Root = None,
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Class probabilities for a new clip, with the recipes that the run was fitted on."""
    from emo.predict import predict_file, predict_manifest

    if (clip is None and text is None) == (manifest is None):
        raise typer.BadParameter("give a file, or --text, or --manifest with many clips")
    if manifest is None:
        prediction = predict_file(run, clip, text, options=option)
        print(prediction.json() if json else prediction.table())
    else:
        columns = pairs(column, "--column")
        report = predict_manifest(
            run, manifest, features, out, columns=columns, root=root, options=option
        )
        print(report.table())
        raise typer.Exit(report.exit_code)


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
