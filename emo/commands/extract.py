"""The command `emo extract`: new jobs, parts of a job, going on with one, and how far it is."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from emo.commands.options import Columns, Options, Root, pairs, rows_of, written

_EXAMPLE = (
    "Example: emo extract m.csv --backbone classic --workers 2    "
    "emo extract m.csv --backbone languagebind --executor slurm --partition gpu --gpus-per-task 1 "
    "--time 4:00:00 --max-parallel 32    emo extract --status features   "
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


def register(app: typer.Typer) -> None:
    """Give the command to ``app``."""
    app.command(epilog=_EXAMPLE)(extract)


def extract(
    context: typer.Context,
    manifest: Annotated[Path, Argument(help="The clips: CSV, TSV, JSONL or Parquet.")] = Path(
        "manifest.csv"
    ),
    backbone: Annotated[
        list[str], Option(help="PLUGIN, PLUGIN:RECIPE or module:Class; repeat.")
    ] = ["classic"],
    out: Annotated[
        str,
        Option(metavar="PLACE", help="The store: a folder, or s3://bucket/name, gs://, az://."),
    ] = "features",
    option: Options = [],
    name: Annotated[str | None, Option("--as", help="Name the only backbone's recipe.")] = None,
    column: Columns = [],
    root: Root = None,
    executor: Annotated[
        str | None, Option(help="See `emo list executors`; default: local.")
    ] = None,
    workers: Annotated[
        int | None, Option(help="Processes (of a Slurm task too), Ray workers; default: 1 a GPU.")
    ] = None,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    part_clips: Annotated[
        int | None, Option(help="Clips committed together; default 256, fewer when few or large.")
    ] = None,
    batch_clips: Annotated[
        int | None, Option(help="Clips the models get together; default 16, GPU 64, texts 256.")
    ] = None,
    batch_size: Annotated[
        str, Option(help="auto, or rows (frames, windows, texts) the model sees at once.")
    ] = "auto",
    dtype: Annotated[Precision | None, Option(help="Precision of the models.")] = None,
    faces: Annotated[FaceChoice | None, Option(help="Which faces are cropped.")] = None,
    strict_media: Annotated[
        bool, Option("--strict-media", help="Fail clips whose media are damaged or cut.")
    ] = False,
    retry_failed: Annotated[bool, Option("--retry-failed", help="Do failed clips again.")] = False,
    changed: Annotated[Changed, Option(help="Clips changed under their id.")] = Changed.stop,
    dry_run: Annotated[
        bool,
        Option("--dry-run", help="Only say what would be done; with Slurm: write, not submit."),
    ] = False,
    retries: Annotated[
        int | None,
        Option(help="Times that parts whose worker died are done again; Slurm: resubmitted."),
    ] = None,
    parts_per_task: Annotated[int | None, Option(help="Slurm: parts of one task.")] = None,
    max_parallel: Annotated[int | None, Option(help="Slurm: tasks at the same time.")] = None,
    max_array_size: Annotated[int | None, Option(help="Slurm: default: the site's.")] = None,
    cpus_per_task: Annotated[int | None, Option(help="Slurm, Ray: of a task or worker.")] = None,
    gpus_per_task: Annotated[float | None, Option(help="Slurm, Ray: of a task or worker.")] = None,
    partition: Annotated[str | None, Option(help="Slurm.")] = None,
    account: Annotated[str | None, Option(help="Slurm.")] = None,
    qos: Annotated[str | None, Option(help="Slurm.")] = None,
    time: Annotated[str | None, Option(help="Slurm: limit of a task, such as 4:00:00.")] = None,
    constraint: Annotated[str | None, Option(help="Slurm.")] = None,
    sbatch_arg: Annotated[
        list[str], Option(help="Slurm: a further #SBATCH option, --sbatch-arg=--mem=32G; repeat.")
    ] = [],
    env_setup: Annotated[
        list[str], Option(help="Slurm: a shell line before python, 'module load cuda'; repeat.")
    ] = [],
    anyway: Annotated[
        bool, Option("--anyway", help="Slurm: submit clips that an earlier job has in the queue.")
    ] = False,
    address: Annotated[str | None, Option(help="Ray: auto or HOST:PORT of a cluster.")] = None,
    jobs: Annotated[
        Path | None,
        Option(
            help="Of a store in a bucket: folder for its jobs, seen by all workers [emo-jobs].",
            callback=written,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        Option(metavar="PLACE", help="A job folder or store: run what is missing of the job."),
    ] = None,
    status: Annotated[
        str | None, Option(metavar="PLACE", help="A job folder or store: how far the job is.")
    ] = None,
    watch: Annotated[bool, Option("--watch", help="With --status: until the job is over.")] = False,
    plan: Annotated[
        str | None,
        Option(metavar="PLACE", help="A job folder or store: run parts of it here; see --part."),
    ] = None,
    part: Annotated[
        str | None, Option(help="With --plan: 3, 0-7 or 1,5-6; default: all parts.")
    ] = None,
) -> None:
    """Write frozen embeddings of every clip into a store; what is there already is kept."""
    given: dict[str, Any] = {
        "retries": retries, "parts_per_task": parts_per_task, "max_parallel": max_parallel,
        "max_array_size": max_array_size, "cpus_per_task": cpus_per_task,
        "gpus_per_task": gpus_per_task, "partition": partition, "account": account, "qos": qos,
        "time": time, "constraint": constraint, "sbatch_arg": tuple(sbatch_arg),
        "env_setup": tuple(env_setup), "address": address,
    }  # fmt: skip
    resources = {key: value for key, value in given.items() if value not in (None, ())}
    _check_mode(
        context,
        {
            "status": {"watch", "jobs"},
            "plan": {"part", "workers", "jobs"},
            "resume": {"executor", "workers", "dry_run", "jobs", *given},
        },
    )
    if status is not None:
        _status(status, jobs, watch=watch)
    elif plan is not None:
        from emo.extract.resume import run_parts

        _leave(run_parts(plan, part, jobs=jobs, workers=workers), is_dry_run=False)
    elif resume is not None:
        from emo.extract.resume import resume as go_on

        again = go_on(
            resume, jobs=jobs, executor=executor, workers=workers, resources=resources,
            is_dry_run=dry_run,
        )  # fmt: skip
        _leave(again, is_dry_run=dry_run)
    from emo.extract.job.request import requests_from_words
    from emo.extract.job.resources import Resources
    from emo.extract.report import report_lines
    from emo.extract.run import ExtractOptions
    from emo.extract.run import extract as run
    from emo.manifest import read_manifest

    clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
    shared = {"dtype": dtype, "faces": faces}
    requests = requests_from_words(
        backbone, option, name=name, shared={k: v.value for k, v in shared.items() if v},
        manifest=clips,
    )  # fmt: skip
    options = ExtractOptions(
        executor or "local", workers, device, part_clips, batch_clips, rows_of(batch_size),
        strict_media, retry_failed, changed.value, anyway, Resources(**resources), jobs,
    )  # fmt: skip
    report = run(clips, out, requests, options, is_dry_run=dry_run)
    print("\n".join(report_lines(report, requests, is_dry_run=dry_run)))
    _show_stages(report.job)
    raise typer.Exit(0 if dry_run else report.exit_code)


def _check_mode(context: typer.Context, allowed: dict[str, set[str]]) -> None:
    """Options of another way to use the command are refused instead of being passed over."""
    given = {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    modes = sorted(given & allowed.keys())
    if len(modes) > 1:
        raise typer.BadParameter("give one of --resume, --status and --plan")
    for name, words in (("part", "--plan JOB"), ("watch", "--status JOB")):
        if name in given and words.split()[0][2:] not in given:
            raise typer.BadParameter(f"--{name} needs {words}")
    for mode in modes:
        if others := sorted(given - allowed[mode] - {mode}):
            names = ", ".join("--" + name.replace("_", "-") for name in others)
            raise typer.BadParameter(f"--{mode} goes by the job's own options, not by {names}")


def _status(path: str, jobs: Path | None, *, watch: bool) -> None:
    from emo.extract.job.status import status as look
    from emo.extract.job.status import watch as look_often

    if watch:
        look_often(path, lambda found: print(found.table() + "\n", flush=True), jobs=jobs)
    else:
        print(look(path, jobs).table())
    raise typer.Exit


def _leave(report: Any, *, is_dry_run: bool) -> None:
    from emo.extract.report import resume_lines

    print("\n".join(resume_lines(report, is_dry_run=is_dry_run)))
    _show_stages(report.job)
    raise typer.Exit(0 if is_dry_run else report.job.exit_code)


def _show_stages(job: Any) -> None:
    """Where the time went, on stderr; nothing after a short job."""
    from emo.extract.job.timings import stage_lines

    for line in stage_lines(job.work):
        print(line, file=sys.stderr)
