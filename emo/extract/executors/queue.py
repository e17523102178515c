"""Writes a job and starts nothing: any number of `emo job work` do it, on any machines."""

from collections.abc import Sequence
from typing import Any

from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.job.folder import JobFolder
from emo.extract.job.paths import typed


class Queue(Executor):
    """Leaves the parts to workers that somebody else starts, such as a job of Kubernetes."""

    is_scheduler = True

    def __init__(self, workers: int | None, options: Any) -> None:
        """``workers`` has no meaning here: each `emo job work` has its own."""

    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Return the command that starts a worker."""
        return JobReport(worker_command=f"emo job work {typed(folder.path)}")
