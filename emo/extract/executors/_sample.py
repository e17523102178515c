"""Run a sample of a job's clips on this machine, in a store of its own that is thrown away."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emo.errors import OptionError
from emo.extract.executor import JobReport, Progress
from emo.extract.executors.local import Local, LocalOptions
from emo.extract.job.folder import write_job
from emo.extract.job.plan import PartPlan
from emo.extract.job.request import Job
from emo.extract.job.status.forecast import Measured
from emo.extract.job.status.sample import draw, empty_store, read_sample
from emo.extract.worker.devices import devices_of


def measure_sample(
    job: Job, parts: Sequence[PartPlan], count: int, workers: int | None
) -> Measured:
    """Draw clips of a job, decode and encode them with its workers, and return what they took.

    Args:
        job: the job.
        parts: its parts.
        count: clips to measure.
        workers: processes; None: one for each GPU, or one.

    Raises:
        OptionError: the job has too few clips.
        EmoError: the workers cannot do their work.
    """
    workers = workers or len(devices_of(job.device))
    sample = draw(parts, count, workers)
    with tempfile.TemporaryDirectory(prefix="emo-sample-") as folder:
        here = replace(job, store=empty_store(Path(folder) / "store", job.requests))
        written = write_job(here, [*sample.warm_up, *sample.measured], workers=workers)
        began, clock = time.time(), time.monotonic()
        report = Local(workers, LocalOptions()).run(written, written.parts, Progress())
        _expect_whole(report)
        return read_sample(written, sample, began, time.monotonic() - clock)


def _expect_whole(report: JobReport) -> None:
    """Refuse a measurement that was stopped, or whose workers died."""
    if report.lost:
        raise OptionError(f"--sample: the workers died: {'; '.join(report.lost)}")
    if report.is_stopped:
        raise OptionError("--sample: stopped by a signal; nothing was written")
