"""The lines that `emo extract` and `emo job` print: the plan of a dry run, or how a job ended."""

from collections.abc import Mapping, Sequence

from emo.errors import line_of, plural
from emo.extract.executor import JobReport
from emo.extract.job.folder import JobFolder
from emo.extract.job.notes import notice_lines
from emo.extract.job.paths import short, typed
from emo.extract.job.request import Request
from emo.extract.resume import ResumeReport
from emo.extract.run import ExtractReport
from emo.machine.table import format_bytes, format_table

SHOWN_FAILURES = 10
"""Failed clips that are listed one by one."""


def report_lines(
    report: ExtractReport, requests: Sequence[Request], *, is_dry_run: bool
) -> list[str]:
    """Return the lines that `emo extract` prints."""
    lines = [format_table([_row(request, report) for request in requests]), ""]
    if is_dry_run:
        size = format_bytes(report.forecast_bytes)
        clips, parts = plural(report.plan.clips, "clip"), plural(len(report.plan.parts), "part")
        lines.append(f"would do {clips} in {parts}, about {size}")
        lines += report.forecast.lines() if report.forecast else []
        if lost := report.missing_files:
            lines.append(
                line_of(
                    f"note: of a few clips that were looked at, {plural(len(lost), 'file')} cannot "
                    f"be found, such as {lost[0]}; `emo check` looks at all"
                )
            )
        return lines + _written_lines(report.folder)
    if not report.plan.parts:
        lines.append(f"nothing to do; store: {report.store}")
    elif report.folder and (report.job.submitted or report.job.worker_command):
        lines += _submitted_lines(report.folder, report.job)
    else:
        every = plural(report.plan.clips, "clip")
        lines.append(f"did {report.job.clips:,} of {every}; store: {report.store}")
        lines += notice_lines(report.store, report.plan.parts, report.job.clips)
    lines += _failure_lines(report.failures, f"emo store failures {report.store}")
    lines += [line_of(f"note: {note}") for note in (report.folder.notes if report.folder else ())]
    return lines + _end_lines(report.job)


def resume_lines(report: ResumeReport, *, is_dry_run: bool) -> list[str]:
    """Return the lines that `emo job resume`, `run` and `work` print."""
    notes = [line_of(f"note: {note}") for note in report.folder.notes]
    return notes + _resumed_lines(report, is_dry_run=is_dry_run)


def _resumed_lines(report: ResumeReport, *, is_dry_run: bool) -> list[str]:
    job, parts, store = report.job, len(report.parts), short(report.folder.job.store)
    if is_dry_run:
        every = plural(len(report.folder.parts), "part")
        return [f"would do {parts:,} of {every}: {short(report.folder.path)}"]
    if not parts:
        return [f"nothing to do; store: {store}"]
    if job.submitted or job.queued or job.worker_command:
        lines = _submitted_lines(report.folder, job)
    else:
        lines = [f"did {plural(job.clips, 'clip')} of {plural(parts, 'part')}; store: {store}"]
        done = (report.folder.part(number) for number in report.parts)
        if not report.folder.job.files:
            lines += notice_lines(report.folder.job.store, done, job.clips)
    files = report.folder.job.files
    more = f"{short(files.folder)}/_failures" if files else f"emo store failures {store}"
    return lines + _failure_lines(job.failures, more) + _end_lines(job)


def _written_lines(folder: JobFolder | None) -> list[str]:
    """Return what a dry run of a scheduler wrote, and what submits it."""
    if folder is None:
        return []
    return [
        f"wrote {short(folder.path)}; look at its script, then submit it: "
        f"emo job resume {typed(folder.path)}"
    ]


def _submitted_lines(folder: JobFolder, job: JobReport) -> list[str]:
    if job.worker_command:
        return [
            f"wrote {short(folder.path)}: {plural(len(folder.parts), 'part')}",
            f"start workers, here and elsewhere: {job.worker_command}",
            f"how far it is: emo job status {typed(folder.path)}",
        ]
    queued = f"; already in Slurm's queue: {plural(job.queued, 'task')}" if job.queued else ""
    return [
        f"submitted {' '.join(job.submitted) or 'nothing'}{queued}",
        f"how far it is: emo job status {typed(folder.path)}",
    ]


def _end_lines(job: JobReport) -> list[str]:
    lines = [line_of(f"lost: {line}") for line in job.lost]
    if job.is_stopped:
        lines.append(
            "stopped by a signal; finished clips are committed: run the same command again"
        )
    return lines


def _row(request: Request, report: ExtractReport) -> dict[str, object]:
    todo = [part.todo[request.name] for part in report.plan.parts if request.name in part.todo]
    return {
        "recipe": request.name,
        "streams": ", ".join(
            f"{name} (T, {spec.dim})" for name, spec in request.recipe.streams.items()
        ),
        "to do": sum(len(part.ids) for part in todo),
        "done before": report.plan.done.get(request.name, 0),
        "failed": len(report.failures.get(request.name, {})),
    }


def _failure_lines(by_recipe: Mapping[str, Mapping[str, str]], more: str) -> list[str]:
    """Return a line for each of the first failed clips; ``more`` says where all of them are."""
    reasons = [
        (name, clip_id, reason)
        for name, failures in by_recipe.items()
        for clip_id, reason in sorted(failures.items())
    ]
    lines = [line_of(f"failed: {clip_id} ({name}): {why}") for name, clip_id, why in reasons]
    if len(lines) > SHOWN_FAILURES:
        rest = len(lines) - SHOWN_FAILURES
        lines = [*lines[:SHOWN_FAILURES], f"… and {rest} more: {more}"]
    if lines and more.startswith("emo store failures"):  # not of a job that predicts
        lines.append("to try them again: the same emo extract with --retry-failed")
    return lines
