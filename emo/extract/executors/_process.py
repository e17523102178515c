"""A worker process: takes parts from its parent by a pipe, and outlives it by one commit."""

from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from emo.errors import EmoError
from emo.extract.executors._pool import Message, WorkerDied, WorkerReady
from emo.extract.job.folder import open_job
from emo.extract.job.journal import me
from emo.extract.job.logs import TaskLog
from emo.extract.job.request import Job
from emo.extract.models.device import BrokenDevice
from emo.extract.worker import part_runner as careful
from emo.extract.worker.signals import stop_on_signals
from emo.extract.worker.worker import Worker


def serve(path: Path, device: str, threads: int, pipe: Connection) -> None:
    """Do parts as they come until the parent sends None, asks for a stop, or is gone.

    Args:
        path: the job folder.
        device: for the models.
        threads: that decode.
        pipe: parts come in; a bool a clip, reports, PartDone, errors and Ready go out.
    """
    parent = _Parent(pipe)
    with stop_on_signals() as is_told:

        def is_stopping() -> bool:
            return is_told() or parent.is_gone

        try:
            folder = open_job(path)
            job: Job = replace(folder.job, device=device, threads=threads)
            with Worker(job) as worker, TaskLog(folder.logs, device=device) as log:
                for done in careful.run_each_part(
                    worker, folder, parent.take, log, is_stopping=is_stopping, on_clip=parent.tell
                ):
                    parent.tell(done)
        except EmoError as error:
            parent.tell(error)
        except BrokenDevice as error:
            parent.tell(WorkerDied(str(error)))


class _Parent:
    """The side that hands out parts; when it is killed, its workers commit what is finished."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.is_gone = pipe, False

    def take(self, is_ahead: bool) -> int | None:
        """The next part; None: there is none."""
        self.tell(WorkerReady(me(), is_ahead))
        try:
            part: int | None = self.pipe.recv()
        except (EOFError, OSError):
            self.is_gone = True
            return None
        return part

    def tell(self, message: Message) -> None:
        try:
            self.pipe.send(message)
        except OSError:
            self.is_gone = True
