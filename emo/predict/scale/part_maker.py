"""The worker of a job of predictions: predicts and commits one part after the other."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch

from emo.errors import FitError
from emo.extract.job.folder import JobError, JobFolder
from emo.extract.job.logs import TaskLog
from emo.extract.job.request import PartFiles
from emo.extract.worker.metrics import JobMetrics
from emo.extract.worker.part_worker import PartWorker, TakePart
from emo.extract.worker.reports import PartDone, PartReport
from emo.heads.runs.files import RUN_FILE
from emo.heads.runs.in_bucket import far_run, near_run
from emo.heads.runs.run import Run
from emo.machine.untrusted.documents import DocumentError, checked
from emo.machine.untrusted.kinds import Fields, ListOf
from emo.predict.scale.prediction_parts import PredictionParts, part_file, run_hash
from emo.predict.scale.tokens import ChunkTokens
from emo.predict.scale.write_chunk import PartsOptions, chunk_name, write_chunk
from emo.store.backend.location import Location, location

MAKER = "predict"
"""What a job folder calls this worker, and the recipe of its failures."""
REPORTED_FAILURES = 10
"""Failed clips of a part that are reported; the part's file of failures has all."""
_OPTIONS = Fields(
    {
        "run": str, "hash": str, "features": ListOf(str), "all_probabilities": bool,
        "spreadsheet_safe": bool,
    }
)  # fmt: skip


def part_files(
    run: Run,
    run_path: Path | str,
    features: Sequence[Location | str],
    parts: PredictionParts,
    options: PartsOptions,
) -> PartFiles:
    """Return what the workers of a job of predictions need besides the clips.

    Args:
        run: the run.
        run_path: its folder, or its URL in a bucket, of which each machine makes its own copy.
        features: stores with the clips' tokens.
        parts: where the parts are committed.
        options: what is written.
    """
    head = str(run.document["head"]["name"])
    words = {
        "run": str(far_run(run_path) or os.path.abspath(run_path)),
        "hash": run_hash(run.path),
        "features": [str(location(each).absolute()) for each in features],
        "all_probabilities": options.all_probabilities,
        "spreadsheet_safe": options.spreadsheet_safe,
    }
    return PartFiles(MAKER, parts.folder, (head,) if ":" in head else (), words)


class PredictionMaker(PartWorker):
    """Predicts the clips of each part and commits the part."""

    def __init__(self, folder: JobFolder, device: str, threads: int) -> None:
        """Load the run and open the stores.

        Raises:
            EmoError: the job folder is damaged, a store cannot be read, or the run is another one
                than when the job was planned, or is not there.
        """
        assert folder.job.files is not None
        try:
            words = checked(dict(folder.job.files.options), _OPTIONS)
        except DocumentError as error:
            raise JobError(f"{folder.path}: damaged job folder: job.json: {error}") from error
        path = near_run(words["run"])
        if not (path / RUN_FILE).is_file():
            raise FitError(
                f"{path} is no run folder on this machine; workers need the run at the path where "
                "the job was planned, or in a bucket: emo predict s3://…"
            )
        if run_hash(path) != words["hash"]:
            raise FitError(
                f"{words['run']}: the run is another one than when {folder.path} was planned; run "
                "the same `emo predict` command again"
            )
        torch.set_num_threads(max(1, threads))
        run = Run.load(path)
        self._folder = folder
        self._tokens = ChunkTokens.of_stores(run, words["features"])
        self._options = PartsOptions(words["all_probabilities"], words["spreadsheet_safe"])
        self._parts = PredictionParts(
            folder.job.store, words["hash"], [target.name for target in run.targets]
        )
        self._metrics = JobMetrics(folder.path, [MAKER])

    def close(self) -> None:
        """Release the parts of the stores."""
        self._tokens.forget()

    def run_each_part(
        self,
        take: TakePart,
        log: TaskLog,
        *,
        is_stopping: Callable[[], bool],
        on_clip: Callable[[bool], None],
    ) -> Iterator[PartReport | PartDone]:
        """Predict and commit one part after the other; one that is there is left as it is."""
        while not is_stopping() and (number := take(False)) is not None:
            yield self._run_part(number, log, on_clip)
            yield PartDone(number)

    def _run_part(self, number: int, log: TaskLog, on_clip: Callable[[bool], None]) -> PartReport:
        began = time.perf_counter()
        part, journal = self._folder.part(number), self._folder.journal(number)
        if part.todo.keys() <= {part_file(name) for name in self._parts.names()}:
            return PartReport(0, {}, is_stopped=False, wall_seconds=0.0)
        journal.begin(clip.id for clip in part.clips)
        try:
            state = self._tokens.state(part.clips)
            if part_file(chunk_name(state, self._options)) not in part.todo:
                raise FitError(
                    f"part {number} of {self._folder.path}: the features of its clips changed "
                    "since the job was planned; run the same `emo predict` command again"
                )
            done = write_chunk(part.clips, state, self._parts, self._tokens, self._options)
        finally:  # an exception is no death of this process
            journal.end()
        failures = done.failures
        for clip in part.clips:
            failed = {MAKER: failures[clip.id]} if clip.id in failures else {}
            if failed:
                log.write("clip", part=number, clip=clip.id, seconds={}, failed=failed)
            self._metrics.count_clip(failed)
            on_clip(bool(failed))
        seconds = time.perf_counter() - began
        shown = dict(islice(failures.items(), REPORTED_FAILURES))
        report = PartReport(len(part.clips), {MAKER: shown}, is_stopped=False, wall_seconds=seconds)
        log.write("commit", part=number, clips=report.clips, wall_seconds=round(seconds, 4))
        self._metrics.commit(report.work)
        return report
