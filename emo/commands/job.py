"""The commands `emo job status`, `watch`, `resume`, `run` and `work`: show and continue a job."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer import Argument, Option

from emo.commands.flags.executor_options import given_options, with_executor_options
from emo.commands.flags.options import AllowCode, AllowHost, written
from emo.commands.flags.sections import OF_EXECUTORS, SectionedCommand, examples
from emo.machine.table import fit_lines

job_app = typer.Typer(
    help="Show, watch, resume or run a job that `emo extract` planned.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Job = Annotated[
    str, Argument(metavar="JOB", help="A job folder, or a store, which means its newest job.")
]
Jobs = Annotated[
    str | None,
    Option(
        metavar="FOLDER",
        help="Folder, or s3://…, of the job folders of a store in a bucket; default: the store.",
    ),
]


@job_app.command(
    cls=SectionedCommand,
    epilog=examples("emo job status features", "emo job status features/.jobs/0001"),
)
def status(job: Job = "features", jobs: Jobs = None) -> None:
    """Show how far a job is, how fast, and what failed."""
    show_status(job, jobs)


@job_app.command(
    cls=SectionedCommand,
    epilog=examples(
        "emo job watch features", "emo job watch features --html ~/public_html/job.html"
    ),
)
def watch(
    job: Job = "features",
    html: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Also write a page, again and again, which names no clip and no path.",
            callback=written,
        ),
    ] = None,
    ids: Annotated[
        bool, Option("--ids", help="With --html: name a clip for each kind of failure.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Show the status of a job every few seconds until it is over."""
    if ids and html is None:
        raise typer.BadParameter("--ids: only with --html")
    show_status(job, jobs, is_repeated=True, html=html, has_ids=ids)


class _ResumeCommand(SectionedCommand):
    """The help of `emo job resume`."""

    sections: ClassVar[Mapping[str, str]] = {
        "Going on": "executor workers option dry_run jobs",
        OF_EXECUTORS: "",
    }


@job_app.command(
    cls=_ResumeCommand,
    epilog=examples(
        "emo job resume features",
        "emo job resume features --executor local --workers 2",
        more="Clips that failed are done: the same `emo extract` as before with --retry-failed "
        "tries them again.",
    ),
)
@with_executor_options
def resume(
    job: Job = "features",
    executor: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="See `emo list executors`, or module:Class, whose options are given with -o; "
            "default: the job's own.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Option(metavar="N", help="Processes or Ray workers; default: as the job says."),
    ] = None,
    option: Annotated[
        list[str],
        Option("-o", metavar="NAME=VALUE", help="An option of an executor without a flag; repeat."),
    ] = [],
    dry_run: Annotated[
        bool, Option("--dry-run", help="Only say what would be done; Slurm: write the scripts.")
    ] = False,
    jobs: Jobs = None,
    allow_host: AllowHost = [],
    allow_code: AllowCode = False,
    **executor_options: Any,
) -> None:
    """Run the parts of a job that still lack clips."""
    resume_job(
        job, jobs, executor=executor, workers=workers, words=option,
        options=given_options(executor_options), is_dry_run=dry_run,
    )  # fmt: skip


@job_app.command(
    cls=SectionedCommand,
    epilog=examples("emo job run features/.jobs/0001 --part 3", "emo job run features --part 0-7"),
)
def run(
    job: Job = "features",
    part: Annotated[
        str | None,
        Option(metavar="PARTS", help="Numbers of parts: 3, 0-7 or 1,5-6; default: all parts."),
    ] = None,
    workers: Annotated[
        int | None, Option(metavar="N", help="Worker processes; default: one for each GPU, or one.")
    ] = None,
    jobs: Jobs = None,
    allow_host: AllowHost = [],
    allow_code: AllowCode = False,
) -> None:
    """Run parts of a job on this machine."""
    run_job(job, jobs, part=part, workers=workers)


@job_app.command(
    cls=SectionedCommand,
    epilog=examples(
        "emo job work s3://bucket/features",
        "emo job work s3://bucket/features/.jobs/0001 --workers 2",
        more="Any number of these share a job, on any machines; one that is killed is replaced by "
        "the others. Exit codes: 0 no part is left, 1 parts were given up, 3 some clips failed, "
        "75 stopped by a signal (start it again).",
    ),
)
def work(
    job: Job = "features",
    workers: Annotated[
        int | None, Option(metavar="N", help="Worker processes; default: one for each GPU, or one.")
    ] = None,
    jobs: Jobs = None,
    allow_host: AllowHost = [],
    allow_code: AllowCode = False,
) -> None:
    """Do parts of a job beside other workers, until it lacks none."""
    from emo.extract.resume import work as work_on

    report = work_on(job, jobs=jobs_location(jobs), workers=workers)
    _print_and_exit(report, is_dry_run=False)


def jobs_location(words: str | None) -> Any:
    """Return the location that ``--jobs`` names; None: it is not given."""
    if words is None:
        return None
    from emo.store.backend.location import location

    return location(words)


def show_status(
    job: str,
    jobs: str | None,
    *,
    is_repeated: bool = False,
    html: Path | None = None,
    has_ids: bool = False,
) -> None:
    """Print the status of a job, once or until it is over; then also as a page, if wanted."""
    from emo.extract.job.status.page import write_job_page
    from emo.extract.job.status.status import status as look
    from emo.extract.job.status.status import watch as look_often

    def show(seen: Any) -> None:
        if html is not None:
            write_job_page(html, seen, has_ids=has_ids)
        print(fit_lines(seen.table()) + "\n", flush=True)

    if is_repeated:
        look_often(job, show, jobs=jobs_location(jobs))
    else:
        print(fit_lines(look(job, jobs_location(jobs)).table()))


def resume_job(
    job: str,
    jobs: str | None,
    *,
    executor: str | None,
    workers: int | None,
    options: dict[str, Any],
    words: list[str],
    is_dry_run: bool,
) -> None:
    """Resume a job, print how that ended, and exit with its code."""
    from emo.extract.resume import resume

    report = resume(
        job, jobs=jobs_location(jobs), executor=executor, workers=workers, executor_options=options,
        words=words, is_dry_run=is_dry_run,
    )  # fmt: skip
    _print_and_exit(report, is_dry_run=is_dry_run)


def run_job(job: str, jobs: str | None, *, part: str | None, workers: int | None) -> None:
    """Run parts of a job here, print how that ended, and exit with its code."""
    from emo.extract.resume import run_parts

    _print_and_exit(
        run_parts(job, part, jobs=jobs_location(jobs), workers=workers), is_dry_run=False
    )


def print_stages(job: Any) -> None:
    """Print on stderr how busy each stage was; nothing after a short job."""
    from emo.extract.job.timings import stage_lines

    for line in stage_lines(job.work):
        print(fit_lines(line), file=sys.stderr)


def _print_and_exit(report: Any, *, is_dry_run: bool) -> None:
    from emo.extract.report import resume_lines

    print(fit_lines("\n".join(resume_lines(report, is_dry_run=is_dry_run))))
    print_stages(report.job)
    raise typer.Exit(0 if is_dry_run else report.job.exit_code)
