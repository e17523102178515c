"""Open the worker of a job: it extracts tokens, or makes a file for each part."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from emo import plugins
from emo.extract.job.folder import JobError, JobFolder
from emo.extract.job.logs import TaskLog
from emo.extract.worker.part_runner import run_each_part
from emo.extract.worker.part_worker import PartWorker, TakePart
from emo.extract.worker.reports import PartDone, PartReport
from emo.extract.worker.worker import Worker

MAKERS = {"predict": "emo.predict.scale.part_maker:PredictionMaker"}
"""Name in a job folder -> class that makes the files of the job's parts."""


def open_worker(folder: JobFolder, *, device: str, threads: int) -> PartWorker:
    """Return the worker of a job, which loads what all parts need.

    Args:
        folder: the job.
        device: device of the models.
        threads: number of threads that may work.

    Raises:
        EmoError: what the job reads is not there, or this version of emo does not know its kind.
    """
    files = folder.job.files
    if files is None:
        return ExtractionWorker(folder, device, threads)
    if files.maker not in MAKERS:
        raise JobError(f"{folder.path}: {plugins.unknown('kind of job', files.maker, MAKERS)}")
    kind = plugins.load("", MAKERS[files.maker], PartWorker)  # type: ignore[type-abstract]
    return kind(folder, device, threads)


class ExtractionWorker(PartWorker):
    """Extracts the tokens that the store lacks of each part."""

    def __init__(self, folder: JobFolder, device: str, threads: int) -> None:
        """Start the decoding threads; a model is loaded when the first part needs it."""
        self._folder = folder
        self._worker = Worker(replace(folder.job, device=device, threads=threads))

    def close(self) -> None:
        """End the decoding threads."""
        self._worker.__exit__()

    def run_each_part(
        self,
        take: TakePart,
        log: TaskLog,
        *,
        is_stopping: Callable[[], bool],
        on_clip: Callable[[bool], None],
    ) -> Iterator[PartReport | PartDone]:
        """Decode, encode and commit one part after the other."""
        return run_each_part(
            self._worker, self._folder, take, log, is_stopping=is_stopping, on_clip=on_clip
        )
