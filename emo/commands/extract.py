"""The command `emo extract`: plan what a store lacks of a manifest's clips, and compute it."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer import Option

from emo.commands.flags.executor_options import given_options, with_executor_options
from emo.commands.flags.old_flags import (
    OldPart,
    OldPlan,
    OldResume,
    OldStatus,
    OldWatch,
    run_old_flag,
)
from emo.commands.flags.options import (
    AllowHost,
    Columns,
    Manifests,
    MaxBytes,
    MaxPixels,
    MaxSeconds,
    Options,
    Root,
    Timeout,
    limit_media,
    pairs,
    rows_of,
)
from emo.commands.flags.sections import OF_EXECUTORS, SectionedCommand, examples
from emo.commands.job import Jobs, jobs_location, print_stages
from emo.commands.lists.table import without_weights
from emo.errors import WeightsError
from emo.machine.table import fit_lines

_EPILOG = examples(
    "emo extract m.csv --backbone classic --workers 2",
    "emo extract m.csv --backbone languagebind --executor slurm \\",
    "    --partition gpu --gpus-per-task 1 --time 4:00:00",
    more="`emo job` shows, watches and resumes what was begun. Exit codes: 0 done, 1 error, "
    "2 usage, 3 some clips failed, 75 stopped by a signal (run the same command again).",
)


class Changed(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """What to do with clips whose row or file changed since they were extracted."""

    stop = "stop"
    redo = "redo"
    keep = "keep"


class Precision(str, Enum):  # noqa: UP042
    """Precision of the models' forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class FaceChoice(str, Enum):  # noqa: UP042
    """Which faces of a frame are cropped."""

    track = "track"
    largest = "largest"
    all = "all"
    centre = "centre"


class _ExtractCommand(SectionedCommand):
    """The help of `emo extract`."""

    sections: ClassVar[Mapping[str, str]] = {
        "Clips and models": "backbone out option name column root allow_host dtype strict_media "
        "clip_memory max_bytes max_seconds max_pixels timeout",
        "Faces": "faces",
        "This machine": "executor workers device part_clips batch_clips batch_size",
        OF_EXECUTORS: "",
        "Going on": "retry_failed changed allow_erased anyway dry_run sample price_hour jobs",
    }


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(cls=_ExtractCommand, epilog=_EPILOG)(extract)


@with_executor_options
def extract(
    context: typer.Context,
    manifest: Manifests = Path("manifest.csv"),
    backbone: Annotated[
        list[str],
        Option(
            metavar="NAME[:RECIPE]",
            help="A backbone or model, see `emo list backbones` and `emo list models`, or "
            "module:Class; with :RECIPE behind it, "
            "the name of its folder in the store; repeat.",
        ),
    ] = ["classic"],
    out: Annotated[
        str,
        Option(metavar="STORE", help="The store: a folder, or s3://BUCKET/NAME, gs://…, az://…."),
    ] = "features",
    option: Options = [],
    name: Annotated[
        str | None,
        Option("--as", metavar="RECIPE", help="Name the recipe, if there is one backbone."),
    ] = None,
    column: Columns = [],
    root: Root = None,
    allow_host: AllowHost = [],
    dtype: Annotated[Precision | None, Option(help="Precision of the models.")] = None,
    strict_media: Annotated[
        bool,
        Option(
            "--strict-media",
            help="Fail clips with damaged pictures or sound, or in a file that is cut.",
        ),
    ] = False,
    clip_memory: Annotated[
        float,
        Option(
            metavar="GIB",
            min=0.001,
            help="Most memory of a clip's decoded pictures and sound; a larger clip fails.",
        ),
    ] = 2.0,
    max_bytes: MaxBytes = None,
    max_seconds: MaxSeconds = None,
    max_pixels: MaxPixels = None,
    timeout: Timeout = None,
    faces: Annotated[
        FaceChoice | None,
        Option(
            metavar="MODE",
            help="Faces that are cropped: track, largest, all or centre; default: track.",
        ),
    ] = None,
    executor: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Where parts run, see `emo list executors`, or module:Class, whose options are "
            "given as -o executor.NAME=VALUE; default: local.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Processes here or of each Slurm task, or Ray workers; default: one for each GPU, "
            "or one.",
        ),
    ] = None,
    device: Annotated[
        str, Option(metavar="DEVICE", help="Where models run: auto, cpu or cuda.")
    ] = "auto",
    part_clips: Annotated[
        int | None,
        Option(metavar="N", help="Clips of a part, committed together; default: 256 or fewer."),
    ] = None,
    batch_clips: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Clips the models get together; default: 16, on a GPU 64, only texts 256.",
        ),
    ] = None,
    batch_size: Annotated[
        str,
        Option(metavar="ROWS", help="Frames, windows or texts that a model sees at once, or auto."),
    ] = "auto",
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="Try clips that failed before again.")
    ] = False,
    changed: Annotated[
        Changed, Option(help="What to do with clips whose row or file changed under the same id.")
    ] = Changed.stop,
    allow_erased: Annotated[
        bool,
        Option("--allow-erased", help="Extract clips again that `emo store erase` removed."),
    ] = False,
    anyway: Annotated[
        bool,
        Option("--anyway", help="Submit clips that an earlier job still has in Slurm's queue."),
    ] = False,
    dry_run: Annotated[
        bool,
        Option("--dry-run", help="Only say what would be done; Slurm: write the scripts."),
    ] = False,
    sample: Annotated[
        int | None,
        Option(
            metavar="N",
            help="With --dry-run: decode and encode N clips, and forecast hours, bytes, money.",
        ),
    ] = None,
    price_hour: Annotated[
        float | None,
        Option(metavar="NUMBER", help="Price of an hour of this machine, for --sample."),
    ] = None,
    jobs: Jobs = None,
    resume: OldResume = None,
    status: OldStatus = None,
    watch: OldWatch = False,
    plan: OldPlan = None,
    part: OldPart = None,
    **executor_options: Any,
) -> None:
    """Write frozen embeddings of every clip into a store.

    Clips that the store already has are kept. The work is a job, cut into parts; it can be stopped
    at any time, and the same command goes on.
    """
    run_old_flag(context)
    limit_media(max_bytes, max_seconds, max_pixels, timeout)
    from emo.extract.executor import OWNER, options_from_words
    from emo.extract.job.request import requests_from_words
    from emo.extract.report import report_lines
    from emo.extract.run import ExtractOptions
    from emo.extract.run import extract as run
    from emo.manifest import read_manifest

    executor = executor or "local"
    words = [word for word in option if word.startswith(f"{OWNER}.")]
    given = given_options(executor_options) | options_from_words(executor, words)
    clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
    shared = {"dtype": dtype, "faces": faces}
    try:
        requests = requests_from_words(
            backbone, [word for word in option if word not in words], name=name,
            shared={k: v.value for k, v in shared.items() if v}, manifest=clips,
        )  # fmt: skip
    except WeightsError as error:
        works = f"works without weights: --backbone {', '.join(without_weights())}"
        raise WeightsError(error.args[0], more_lines=(*error.more_lines, works)) from error
    options = ExtractOptions(
        executor, workers, device, part_clips, batch_clips, rows_of(batch_size),
        strict_media, retry_failed, changed.value, anyway, given, jobs=jobs_location(jobs),
        may_be_erased=allow_erased, sample=sample, price_hour=price_hour,
        clip_bytes=round(clip_memory * (1 << 30)),
    )  # fmt: skip
    report = run(clips, out, requests, options, is_dry_run=dry_run)
    print(fit_lines("\n".join(report_lines(report, requests, is_dry_run=dry_run))))
    print_stages(report.job)
    raise typer.Exit(0 if dry_run else report.exit_code)
