"""`emo extract`: plans what a store lacks, runs it, and says how it ended."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emo import plugins
from emo.errors import OptionError
from emo.extract.backbone import BACKBONES, Backbone
from emo.extract.decode.decode import probe_seconds
from emo.extract.decode.source import source_of
from emo.extract.executor import EXIT_FAILED_CLIPS, JobReport, clip_bar, make_executor
from emo.extract.job.already_queued import refuse_queued
from emo.extract.job.folder import JobError, JobFolder, open_job, write_job
from emo.extract.job.missing import carry_deaths
from emo.extract.job.paths import jobs_home, latest_job
from emo.extract.job.plan import Changed, Plan, Redo, forecast_bytes, make_plan
from emo.extract.job.request import Job, Request
from emo.extract.job.resources import NOTHING_ASKED, Resources
from emo.manifest import Manifest
from emo.store.backend.location import Location, location
from emo.store.maintain.verify import clean
from emo.store.store import RecipeFolder, Store

PART_CLIPS = 256
PART_BYTES = 256 * 2**20
LEAST_PART_CLIPS = 16
SHARES = 8
"""Parts that even a small manifest is cut into, so that several workers have something to do."""
PROBED_CLIPS = 20
"""Files looked into for the size forecast, spread evenly over the manifest."""


@dataclass(frozen=True)
class ExtractOptions:
    """How a job runs; nothing here changes the numbers."""

    executor: str = "local"
    workers: int | None = None
    """Processes here or of each Slurm task, or Ray workers; None: one a GPU, or what fits."""
    device: str = "auto"
    """``cpu``, ``cuda`` or ``auto``, which each worker answers for its own machine."""
    part_clips: int | None = None
    """Clips a part; None: 256, fewer when they are few or would take more than 256 MiB."""
    batch_clips: int | None = None
    """Clips handed to the models together; None: 16, on a GPU 64, of texts 256."""
    batch_size: int | None = None
    """Rows (frames, windows, texts) a model sees at once; None: as many as fit."""
    is_strict: bool = False
    """Whether a clip fails whose media are damaged or cut; False: used, with a note."""
    retry_failed: bool = False
    changed: Changed = "stop"
    is_anyway: bool = False
    """Hand clips to a scheduler that has them in its queue already, of an earlier job."""
    resources: Resources = NOTHING_ASKED
    jobs: Path | None = None
    """Of a store in a bucket: the folder for its job folders, which all workers see."""


@dataclass(frozen=True)
class ExtractReport:
    """What was asked, what was there, how it ended."""

    plan: Plan
    job: JobReport
    forecast_bytes: float
    store: Location
    folder: JobFolder | None = None
    """None: nothing was missing, or a dry run that writes nothing."""

    @property
    def failures(self) -> dict[str, dict[str, str]]:
        """By recipe: every clip of the manifest which stands as failed now."""
        earlier, now = self.plan.failed, self.job.failures
        return {
            name: {**earlier.get(name, {}), **now.get(name, {})} for name in earlier.keys() | now
        }

    @property
    def exit_code(self) -> int:
        """0; 1 when parts were lost; 3 when clips failed; 75 when stopped by a signal."""
        is_failed = any(self.failures.values()) and not self.job.submitted
        return self.job.exit_code or (EXIT_FAILED_CLIPS if is_failed else 0)


def extract(
    manifest: Manifest,
    store: Location | str,
    requests: Sequence[Request],
    options: ExtractOptions = ExtractOptions(),
    *,
    is_dry_run: bool = False,
    progress: bool | None = None,
) -> ExtractReport:
    """Compute what the store lacks of the manifest's clips.

    Args:
        manifest: the clips.
        store: its folder, created when missing (not by a dry run), or the URL of one in a bucket.
        asks: the backbones, from :func:`emo.extract.job.request.requests_from_words`.
        options: how to run.
        is_dry_run: only plan.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        EmoError: a store of another recipe, stale clips, a folder that cannot be written, clips
            that an earlier job has in a scheduler's queue.
    """
    store_path = location(store)
    job = _job(manifest, store_path, requests, options)
    executor = make_executor(options.executor, options.workers, options.resources)
    writes = executor.is_scheduler or not is_dry_run
    tokens = typical_tokens(manifest, requests)
    clip_bytes = forecast_bytes(requests, tokens, 1)
    part_clips = options.part_clips or usual_part_clips(len(manifest.clips), clip_bytes)
    folders = _folders(store_path, requests, is_dry_run=not writes)
    redo = Redo(options.retry_failed, options.changed)
    plan = make_plan(job, folders, manifest.clips, part_clips=part_clips, redo=redo)
    report, folder = JobReport(), None
    if executor.is_scheduler and not is_dry_run and not options.is_anyway:
        refuse_queued(jobs_home(store_path, options.jobs), plan.parts)
    if plan.parts and writes:
        before = latest_job(store_path, options.jobs)
        folder = write_job(
            job, plan.parts, executor=options.executor, workers=options.workers,
            resources=options.resources, jobs=options.jobs,
        )  # fmt: skip
        if before is not None:
            with suppress(JobError):  # what another version wrote is no obstacle
                carry_deaths(open_job(before), folder, folders)
        with clip_bar(plan.clips, progress) as heard:
            report = executor.run(folder, folder.parts, heard, is_dry_run=is_dry_run)
    return ExtractReport(plan, report, clip_bytes * plan.clips, store_path, folder)


def usual_part_clips(clips: int, clip_bytes: float) -> int:
    """Clips a part when nobody says: told by the manifest alone, so that two plans cut alike.

    >>> [usual_part_clips(clips, 10_000) for clips in (24, 240, 1_000_000)]
    [16, 30, 256]
    >>> usual_part_clips(1_000_000, 5_000_000)  # parts hold at most 256 MiB
    53
    """
    few = max(LEAST_PART_CLIPS, -(-clips // SHARES))
    return max(1, min(few, PART_CLIPS, int(PART_BYTES / max(clip_bytes, 1))))


def typical_tokens(manifest: Manifest, requests: Sequence[Request]) -> dict[str, dict[str, float]]:
    """Tokens of a typical clip by recipe and stream, from the headers of a few files."""
    step = max(1, len(manifest.clips) // PROBED_CLIPS)
    lengths = [probe_seconds(source_of(clip, manifest.root)) for clip in manifest.clips[::step]]
    known = [seconds for seconds in lengths if seconds is not None] or [0.0]
    seconds = sum(known) / len(known)
    return {
        request.name: _kind(request).tokens(_kind(request).Options(**request.options), seconds)
        for request in requests
    }


def _kind(request: Request) -> type[Backbone]:
    return plugins.load(BACKBONES, request.plugin, Backbone)  # type: ignore[type-abstract]


def _job(
    manifest: Manifest, store_path: Location, requests: Sequence[Request], options: ExtractOptions
) -> Job:
    for name, value in (
        ("--part-clips", options.part_clips),
        ("--batch-clips", options.batch_clips),
        ("--batch-size", options.batch_size),
    ):
        if value is not None and value < 1:
            raise OptionError(f"{name}: expected 1 or more, got {value}")
    return Job(
        root=manifest.root,
        store=store_path,
        requests=tuple(requests),
        device=options.device,
        batch_clips=options.batch_clips,
        batch_size=options.batch_size,
        is_strict=options.is_strict,
    )


def _folders(
    store_path: Location, requests: Sequence[Request], is_dry_run: bool
) -> dict[str, RecipeFolder | None]:
    """The recipes' folders, created when missing; a dry run creates nothing."""
    if is_dry_run and not store_path.exists():
        return {request.name: None for request in requests}
    store = Store(store_path) if is_dry_run else Store.create(store_path)
    folders = {
        request.name: None
        if is_dry_run and request.name not in store.recipes
        else store.add_recipe(request.name, request.recipe)
        for request in requests
    }
    if not is_dry_run:
        clean(store)
    return folders
