"""`emo extract`: plan what a store lacks, run it, and report how it ended."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import OptionError
from emo.extract.backbone import Backbone
from emo.extract.decode.budget import MOST_CLIP_BYTES
from emo.extract.decode.content import found_by_content, read_contents
from emo.extract.decode.decode import probe_seconds
from emo.extract.decode.limits import media_limits
from emo.extract.decode.source import source_of
from emo.extract.decode.sources.object_listing import list_objects
from emo.extract.executor import EXIT_FAILED_CLIPS, JobReport, clip_bar, make_executor
from emo.extract.executors._sample import measure_sample
from emo.extract.job.already_queued import refuse_queued
from emo.extract.job.folder import JobError, JobFolder, open_job, write_job
from emo.extract.job.missing import carry_deaths
from emo.extract.job.ownership import sign
from emo.extract.job.paths import (
    jobs_home,
    latest_job,
    mark_not_submitted,
    mark_submitted,
)
from emo.extract.job.plan import Changed, Plan, Redo, forecast_bytes, make_plan, probed_clips
from emo.extract.job.request import Job, Request
from emo.extract.job.status.forecast import JobForecast, forecast_job
from emo.manifest import Manifest
from emo.store.adapted import FACT, NOTHING_SEEN, SeenClips
from emo.store.backend.https import allowed_hosts
from emo.store.backend.location import Location, location
from emo.store.erased_ids import forget_erased, refuse_erased
from emo.store.maintain.verify import clean
from emo.store.store import RecipeFolder, Store

PART_CLIPS = 256
"""Default most clips of a part."""
MOST_PART_BYTES = 256 * 2**20
"""Default most bytes of a part's tokens."""
LEAST_PART_CLIPS = 16
"""Default least clips of a part, even if the manifest is small."""
SHARES = 8
"""A small manifest is divided into so many parts, so that several workers have something to do."""
PROBED_CLIPS = 20
"""Number of files whose length is read for the size forecast, evenly from the manifest."""


@dataclass(frozen=True)
class ExtractOptions:
    """How a job runs; no option here changes the numbers."""

    executor: str = "local"
    """Name of the executor."""
    workers: int | None = None
    """Processes on this machine or in each Slurm task, or Ray workers; None: one per GPU, or as
    many as fit."""
    device: str = "auto"
    """``cpu``, ``cuda`` or ``auto``; each worker resolves ``auto`` on its own machine."""
    part_clips: int | None = None
    """Most clips of a part; None: 256, fewer if the manifest is small or if they would take more
    than 256 MiB."""
    batch_clips: int | None = None
    """Clips handed to the models together; None: 16, on a GPU 64, for texts alone 256."""
    batch_size: int | None = None
    """Rows (frames, windows or texts) in one forward pass; None: as many as fit."""
    is_strict: bool = False
    """Whether a clip fails whose media are damaged or cut; False: used, with a note."""
    retry_failed: bool = False
    """Whether clips recorded as failed are tried again."""
    changed: Changed = "stop"
    """What to do with clips whose row or file changed since they were extracted."""
    is_anyway: bool = False
    """Whether to submit clips that an earlier job has in the scheduler's queue already."""
    executor_options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the executor's ``Options`` by name; the others have their defaults."""
    jobs: Location | None = None
    """Folder or bucket's name, visible to all workers, for the job folders of a store in a bucket;
    None: in the store, or for Slurm ``emo-jobs`` in the current folder."""
    clip_bytes: int = MOST_CLIP_BYTES
    """Bytes of decoded pictures and sound that one clip may hold at once; a larger one fails."""
    may_be_erased: bool = False
    """Whether clips that `emo store erase` removed are extracted again."""
    sample: int | None = None
    """Clips that a dry run measures for a forecast; None: it measures none."""
    price_hour: float | None = None
    """Price of an hour of this machine, for the forecast."""


@dataclass(frozen=True)
class ExtractReport:
    """What was planned, and how it ended."""

    plan: Plan
    """What the store lacked."""
    job: JobReport
    """How the job ended."""
    forecast_bytes: float
    """Expected size of the missing tokens in bytes."""
    store: Location
    """Location of the store."""
    folder: JobFolder | None = None
    """The job folder; None: nothing was missing, or it was a dry run that writes nothing."""
    forecast: JobForecast | None = None
    """What the job will take; None: no clips were measured."""
    missing_files: tuple[str, ...] = ()
    """Files that do not exist, of the few clips that a dry run looks at."""

    @property
    def failures(self) -> dict[str, dict[str, str]]:
        """Recipe name -> id of a clip that is recorded as failed now -> reason."""
        earlier, now = self.plan.failed, self.job.failures
        return {
            name: {**earlier.get(name, {}), **now.get(name, {})} for name in earlier.keys() | now
        }

    @property
    def exit_code(self) -> int:
        """Exit code: 0 success, 1 parts were lost, 3 clips failed, 75 stopped by a signal."""
        is_later = self.job.submitted or self.job.worker_command
        is_failed = any(self.failures.values()) and not is_later
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
    """Compute and store what the store lacks of the manifest's clips.

    Args:
        manifest: the clips.
        store: folder of the store, or its URL in a bucket; created if missing, except by a dry run.
        requests: the backbones, from :func:`emo.extract.job.request.requests_from_words`.
        options: how the job runs.
        is_dry_run: only plan; a scheduler's files are written, but nothing is submitted.
        progress: whether to show a progress bar; None: if stderr is a terminal.

    Raises:
        EmoError: the store has another recipe of that name, clips changed since they were
            extracted, a folder cannot be written, or clips are in a scheduler's queue already.
    """
    store_path = location(store)
    _check_sample(options, is_dry_run=is_dry_run)
    job = _job(manifest, store_path, requests, options)
    executor = make_executor(options.executor, options.workers, options.executor_options)
    list_objects(manifest.clips)
    writes = executor.is_scheduler or not is_dry_run
    tokens = typical_tokens(manifest, requests)
    clip_bytes = forecast_bytes(requests, tokens, 1)
    part_clips = options.part_clips or usual_part_clips(len(manifest.clips), clip_bytes)
    folders = _folders(store_path, requests, manifest, is_dry_run=not writes)
    _check_erased(store_path, manifest, options, is_dry_run=is_dry_run)
    redo = Redo(options.retry_failed, options.changed)
    plan = make_plan(job, folders, manifest.clips, part_clips=part_clips, redo=redo)
    report, folder = JobReport(), None
    if executor.is_scheduler and not is_dry_run and not options.is_anyway:
        home = jobs_home(store_path, options.jobs, is_on_disk=executor.needs_disk)
        refuse_queued(home, plan.parts)
    if plan.parts and writes:
        before = latest_job(store_path, options.jobs)
        folder = write_job(
            job, plan.parts, executor=options.executor, workers=options.workers,
            executor_options=options.executor_options, jobs=options.jobs,
            is_on_disk=executor.needs_disk,
        )  # fmt: skip
        sign(folder.path)
        if executor.is_scheduler:
            mark_not_submitted(folder.path)
        if before is not None:
            with suppress(JobError):  # a damaged job folder, or of another version, is ignored
                carry_deaths(open_job(before), folder, folders)
        with clip_bar(plan.clips, progress) as bar:
            report = executor.run(folder, folder.parts, bar, is_dry_run=is_dry_run)
        if executor.is_scheduler and not is_dry_run:
            mark_submitted(folder.path)
    measured = (
        measure_sample(job, plan.parts, options.sample, options.workers)
        if options.sample and plan.parts
        else None
    )
    return ExtractReport(
        plan, report, clip_bytes * plan.clips, store_path, folder,
        None if measured is None else forecast_job(measured, options.price_hour),
        missing_files(manifest) if is_dry_run else (),
    )  # fmt: skip


def missing_files(manifest: Manifest) -> tuple[str, ...]:
    """Return the local files that do not exist, of about :data:`PROBED_CLIPS` clips."""
    sources = (
        source_of(clip, manifest.root) for clip in probed_clips(manifest.clips, PROBED_CLIPS)
    )
    files = (file for source in sources for file in (source.video, source.audio))
    return tuple(str(file) for file in files if isinstance(file, Path) and not file.exists())


def _check_sample(options: ExtractOptions, *, is_dry_run: bool) -> None:
    """Check that clips are measured only by a dry run on this machine.

    Raises:
        OptionError: the options ask for something else.
    """
    if options.sample is None:
        if options.price_hour is not None:
            raise OptionError("--price-hour: it needs a forecast, by --dry-run --sample N")
        return
    if options.price_hour is not None and not 0 <= options.price_hour < math.inf:
        raise OptionError(f"--price-hour {options.price_hour:g}: expected a price, 0 or more")
    if not is_dry_run:
        raise OptionError("--sample: it measures for a forecast; add --dry-run, or leave it out")
    if options.executor != "local":
        raise OptionError(
            f"--sample: it measures on this machine, not by --executor {options.executor}; run it "
            "on a machine like those of the job, with --executor local --workers N"
        )
    if options.sample < 2:
        raise OptionError(f"--sample: expected 2 or more, got {options.sample}")


def usual_part_clips(clips: int, clip_bytes: float) -> int:
    """Return the default number of clips of a part.

    It depends on the manifest alone, so that two plans of one manifest have equal parts.

    Args:
        clips: number of clips in the manifest.
        clip_bytes: expected size of a clip's tokens in bytes.

    >>> [usual_part_clips(clips, 10_000) for clips in (24, 240, 1_000_000)]
    [16, 30, 256]
    >>> usual_part_clips(1_000_000, 5_000_000)  # parts hold at most 256 MiB
    53
    """
    few = max(LEAST_PART_CLIPS, -(-clips // SHARES))
    return max(1, min(few, PART_CLIPS, int(MOST_PART_BYTES / max(clip_bytes, 1))))


def typical_tokens(manifest: Manifest, requests: Sequence[Request]) -> dict[str, dict[str, float]]:
    """Return recipe name -> stream -> expected T of a typical clip, from a few files' headers."""
    sample = probed_clips(manifest.clips, PROBED_CLIPS)
    lengths = [probe_seconds(source_of(clip, manifest.root)) for clip in sample]
    known = [seconds for seconds in lengths if seconds is not None] or [0.0]
    seconds = sum(known) / len(known)
    return {
        request.name: _kind(request).tokens(_kind(request).Options(**request.options), seconds)
        for request in requests
    }


def _kind(request: Request) -> type[Backbone]:
    return plugins.load(plugins.BACKBONES, request.plugin, Backbone)  # type: ignore[type-abstract]


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
        clip_bytes=options.clip_bytes,
        hosts=allowed_hosts(),
        limits=media_limits(),
    )


def _seen(request: Request) -> SeenClips:
    """Return the clips that the weights of a backbone were adapted on."""
    if FACT not in request.recipe.facts:
        return NOTHING_SEEN
    return _kind(request).seen_clips(_options(request))


def seen_under_other_ids(kind: Any, options: Any, manifest: Manifest) -> SeenClips:
    """Return clips that adapted weights have seen under ids which the adaptation did not know.

    Args:
        kind: class of the backbone, one with weights.
        options: instance of ``kind.Options``.
        manifest: the clips.

    Raises:
        WeightsError: a list of clips of the weights is missing or damaged.
    """
    found: dict[str, list[str]] = {}
    for folder, known in kind.adaptations(options).items():
        others = [clip for clip in manifest.clips if clip.id not in known]
        for clip_id, split in found_by_content(
            others, manifest.root, read_contents(folder)
        ).items():
            found.setdefault(split, []).append(clip_id)
    return SeenClips.of(found)


def _options(request: Request) -> Any:
    return _kind(request).Options(**request.options)


def _check_erased(
    store: Location, manifest: Manifest, options: ExtractOptions, *, is_dry_run: bool
) -> None:
    """Refuse clips that were erased from the store, or let them in again if told to.

    Raises:
        StoreError: some were erased, and the options do not allow them.
    """
    ids = (clip.id for clip in manifest.clips)
    if not options.may_be_erased:
        refuse_erased(store, ids)
    elif not is_dry_run:
        forget_erased(store, ids)


def _folders(
    store_path: Location, requests: Sequence[Request], manifest: Manifest, is_dry_run: bool
) -> dict[str, RecipeFolder | None]:
    """Return recipe name -> its folder, created if missing; a dry run has None instead."""
    if is_dry_run and not store_path.exists():
        return {request.name: None for request in requests}
    store = Store(store_path) if is_dry_run else Store.create(store_path)
    folders = {
        request.name: None
        if is_dry_run and request.name not in store.recipes
        else store.add_recipe(request.name, request.recipe, seen=_seen(request))
        for request in requests
    }
    if not is_dry_run:
        for request in requests:
            if FACT in request.recipe.facts:
                others = seen_under_other_ids(_kind(request), _options(request), manifest)
                store.add_recipe(request.name, request.recipe, seen=others)
        clean(store)
    return folders
