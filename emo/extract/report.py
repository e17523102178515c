"""What `emo extract` prints: the plan of a dry run, or how a job ended."""

from collections.abc import Sequence

from emo.extract.job import Ask
from emo.extract.run import ExtractReport
from emo.table import format_bytes, format_table

SHOWN_FAILURES = 10


def report_lines(report: ExtractReport, asks: Sequence[Ask], *, is_dry_run: bool) -> list[str]:
    """The lines for stdout."""
    lines = [format_table([_row(ask, report) for ask in asks]), ""]
    if is_dry_run:
        size = format_bytes(report.forecast_bytes)
        parts = len(report.plan.parts)
        return [*lines, f"would do {report.plan.clips:,} clips in {parts:,} parts, about {size}"]
    if not report.plan.parts:
        lines.append(f"nothing to do; store: {report.store}")
    else:
        lines.append(
            f"did {report.job.clips:,} of {report.plan.clips:,} clips; store: {report.store}"
        )
    lines += _failure_lines(report)
    lines += [f"lost: {line}" for line in report.job.lost]
    if report.job.is_stopped:
        lines.append(
            "stopped by a signal; finished clips are committed: run the same command again"
        )
    return lines


def _row(ask: Ask, report: ExtractReport) -> dict[str, object]:
    todo = [part.todo[ask.name] for part in report.plan.parts if ask.name in part.todo]
    return {
        "recipe": ask.name,
        "streams": ", ".join(
            f"{name} (T, {spec.dim})" for name, spec in ask.recipe.streams.items()
        ),
        "to do": sum(len(part.ids) for part in todo),
        "done before": report.plan.done.get(ask.name, 0),
        "failed": len(report.failures.get(ask.name, {})),
    }


def _failure_lines(report: ExtractReport) -> list[str]:
    reasons = [
        (name, clip_id, reason)
        for name, failures in report.failures.items()
        for clip_id, reason in sorted(failures.items())
    ]
    lines = [f"failed: {clip_id} ({name}): {reason}" for name, clip_id, reason in reasons]
    if len(lines) > SHOWN_FAILURES:
        rest = len(lines) - SHOWN_FAILURES
        lines = [*lines[:SHOWN_FAILURES], f"… and {rest} more: emo store failures {report.store}"]
    return lines
