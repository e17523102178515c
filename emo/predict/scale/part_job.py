"""Hand the parts of a manifest that are missing to an executor, as a job folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo.extract.executor import JobReport, clip_bar, make_executor
from emo.extract.job.already_queued import refuse_queued
from emo.extract.job.folder import JobFolder, write_job
from emo.extract.job.ownership import sign
from emo.extract.job.paths import jobs_home
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import Job, PartFiles
from emo.heads.runs.run import Run
from emo.manifest import Clip
from emo.predict.scale.chunked_manifest import ChunkedManifest
from emo.predict.scale.prediction_parts import part_file
from emo.store.backend.location import Location


@dataclass(frozen=True)
class PartJobs:
    """Where parts are predicted."""

    executor: str = "local"
    """Name of the executor."""
    workers: int | None = None
    """Processes on this machine or in each Slurm task, or Ray workers; None: this process, or as
    many as fit."""
    executor_options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the executor's ``Options`` by name; the others have their defaults."""
    folder: Location | None = None
    """Folder, visible to all workers, for the job folders of predictions in a bucket; None: below
    the predictions, or in ``emo-jobs`` for an executor whose workers read a job from a disk."""
    is_anyway: bool = False
    """Whether to submit clips that an earlier job has in the scheduler's queue already."""

    @property
    def is_here(self) -> bool:
        """Whether this process predicts the parts, without a job folder."""
        return self.executor == "local" and self.workers in (None, 1) and not self.executor_options


HERE = PartJobs()
"""The parts are predicted in this process, one after the other."""


@dataclass(frozen=True)
class PlannedParts:
    """The parts to do, read from the manifest each time that they are gone through."""

    run: Run
    """The run."""
    source: ChunkedManifest
    """The manifest."""
    names: Sequence[str]
    """Name of the part of each chunk."""
    missing: frozenset[str]
    """Names of the parts to do."""

    def __iter__(self) -> Iterator[PartPlan]:
        """Yield the parts to do, whose clips have only what predictions depend on."""
        named = {stream.column for stream in self.run.stream_names.values() if stream.column}
        columns = frozenset(named)
        if self.run.head.unit == "dialogue":
            columns |= {"dialogue", "turn"}
        for name, clips in zip(self.names, self.source.chunks(), strict=True):
            if name in self.missing:
                bare = tuple(_bare(clip, named) for clip in clips)
                todo = Todo(frozenset(clip.id for clip in clips))
                yield PartPlan(bare, {part_file(name): todo}, columns=columns)


def run_job(
    parts: PlannedParts, out: Location, files: PartFiles, jobs: PartJobs, *, progress: bool | None
) -> tuple[JobReport, JobFolder]:
    """Write a job folder for the parts, run it, and return how it ended.

    Args:
        parts: the parts.
        out: folder or bucket of all predictions, where the job folder lies, too, unless the
            executor needs it on a disk.
        files: what the workers need besides the clips.
        jobs: where the parts are predicted.
        progress: whether to show a bar; None: in a terminal.

    Raises:
        EmoError: there is no such executor, the job folder cannot be written, or clips are in a
            scheduler's queue already.
    """
    executor = make_executor(jobs.executor, jobs.workers, jobs.executor_options)
    if executor.is_scheduler and not jobs.is_anyway:
        refuse_queued(jobs_home(out, jobs.folder, is_on_disk=executor.needs_disk), parts)
    job = Job(root=Path(), store=out, requests=(), device="cpu", files=files)
    folder = write_job(
        job, parts, executor=jobs.executor, workers=jobs.workers,
        executor_options=jobs.executor_options, jobs=jobs.folder, is_on_disk=executor.needs_disk,
    )  # fmt: skip
    sign(folder.path)
    clips = sum(len(part.clips) for part in folder.all_parts())
    with clip_bar(clips, progress, "predict") as bar:
        return executor.run(folder, folder.parts, bar), folder


def _bare(clip: Clip, columns: set[str]) -> Clip:
    targets = {name: clip.targets[name] for name in columns if name in clip.targets}
    return Clip(clip.id, dialogue=clip.dialogue, turn=clip.turn, targets=targets)
