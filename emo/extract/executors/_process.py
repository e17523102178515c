"""A worker process: gets parts over a pipe; if its parent dies, it commits its part and ends."""

from collections.abc import Sequence
from multiprocessing.connection import Connection

from emo import plugins
from emo.errors import EmoError
from emo.extract.executors._pool import Message, WorkerDied, WorkerReady
from emo.extract.job.folder import open_job
from emo.extract.job.journal import me
from emo.extract.job.logs import TaskLog
from emo.extract.models.device import BrokenDevice
from emo.extract.worker.signals import stop_on_signals
from emo.machine.warning_lines import print_warnings_as_lines
from emo.store.backend.location import Location


def serve(
    path: Location, device: str, threads: int, pipe: Connection, trusted: Sequence[str] = ()
) -> None:
    """Run parts until the parent sends None, requests a stop, or has died.

    Args:
        path: the job folder.
        device: device of the models.
        threads: number of decoding threads.
        pipe: receives part numbers and sends :data:`~emo.extract.executors._pool.Message`.
        trusted: classes that the user agreed to run, see :func:`emo.plugins.trust`.
    """
    from emo.extract.worker.open_worker import open_worker  # torch, which the parent spares

    plugins.trust(*trusted)
    print_warnings_as_lines()
    parent = _Parent(pipe)
    with stop_on_signals() as is_stop_requested:

        def is_stopping() -> bool:
            return is_stop_requested() or parent.is_gone

        try:
            folder = open_job(path)
            with (
                open_worker(folder, device=device, threads=threads) as worker,
                TaskLog(folder.logs, device=device) as log,
            ):
                for done in worker.run_each_part(
                    parent.take, log, is_stopping=is_stopping, on_clip=parent.send
                ):
                    parent.send(done)
        except EmoError as error:
            parent.send(error)
        except BrokenDevice as error:
            parent.send(WorkerDied(str(error)))


class _Parent:
    """Connection to the parent process."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.is_gone = False
        """Whether the parent closed the pipe or died."""

    def take(self, is_ahead: bool) -> int | None:
        """Ask the parent for a part and wait for the answer; None: there is none for now."""
        self.send(WorkerReady(me(), is_ahead))
        try:
            part: int | None = self.pipe.recv()
        except (EOFError, OSError):
            self.is_gone = True
            return None
        return part

    def send(self, message: Message) -> None:
        """Send a message, unless the parent is gone."""
        try:
            self.pipe.send(message)
        except OSError:
            self.is_gone = True
