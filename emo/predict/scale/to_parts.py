"""`emo predict --out OUT/`: predict a manifest of any length into a folder or bucket.

The manifest is read twice. The first pass names the part of each chunk of clips, and finds ids
that occur twice; then parts that hold these clips but are named otherwise are removed, and the
second pass predicts the chunks whose parts are not there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emo.errors import EmoError, FitError
from emo.heads.runs.files import kept_columns
from emo.heads.runs.run import Run
from emo.machine.progress import progress_bar
from emo.machine.untrusted.addresses import url_of
from emo.manifest import read_manifest
from emo.predict.lacking import Extraction, lacks_recipes
from emo.predict.scale.chunked_manifest import ChunkedManifest
from emo.predict.scale.part_job import HERE, PartJobs, PlannedParts, run_job
from emo.predict.scale.part_maker import part_files
from emo.predict.scale.prediction_parts import PredictionParts, run_hash
from emo.predict.scale.report import PartsReport
from emo.predict.scale.tokens import ChunkTokens, hashes_of
from emo.predict.scale.write_chunk import AS_USUAL, PartsOptions, chunk_name, write_chunk
from emo.store.backend.location import Location, location

_SHOWN_FAILURES = 10


@dataclass(frozen=True, eq=False)
class _Planned:
    """The parts of a manifest."""

    names: list[str]
    """Name of the part of each chunk."""
    hashes: np.ndarray
    """uint64 (N,), sorted hashes of the ids."""


def is_for_parts(out: str) -> bool:
    """Return whether ``--out`` names a folder or bucket for parts, and not one file.

    >>> is_for_parts("s3://bucket/predictions"), is_for_parts("new/"), is_for_parts("new.csv")
    (True, True, False)
    """
    return out.endswith("/") or "://" in out or Path(out).is_dir()


def predict_to_parts(
    run_path: Path | str,
    manifest: Path,
    features: Sequence[Location | str],
    out: str,
    *,
    columns: Mapping[str, str],
    root: Path | None = None,
    options: PartsOptions = AS_USUAL,
    jobs: PartJobs = HERE,
    extraction: Extraction | None = None,
    progress: bool | None = None,
) -> PartsReport:
    """Predict every clip of a manifest into Parquet parts; what is there is not predicted again.

    Args:
        run_path: a folder from ``emo fit-head``, or its URL in a bucket.
        manifest: the manifest; a Parquet file is streamed.
        features: stores with the clips' tokens, of which each recipe is in one.
        out: the folder, or URL in a bucket, of the parts.
        columns: renamed columns of the manifest.
        root: folder of the media; None: the manifest's folder.
        options: what is written.
        jobs: where the parts are predicted.
        extraction: extracts what ``features`` lack of the clips first; None: such clips fail.
        progress: whether to show a bar; None: in a terminal.

    Raises:
        EmoError: the run, manifest or store cannot be read, no clip has features, or ``out``
            cannot be written.
    """
    run = Run.load(run_path)
    if run.is_by_speaker:
        raise FitError(
            f"{run.path}: it scales a stream by speaker, which needs all clips of a speaker at "
            "once; name a file as --out: --out predictions.parquet"
        )
    if not features:
        raise FitError(
            f"--out {out}: a folder of parts needs --features STORE; run emo extract first, or add "
            "--extract"
        )
    if url_of(manifest) is None:
        columns = {**kept_columns(run.document, manifest), **columns}
    source = ChunkedManifest(manifest, columns, root, run.head.unit)
    if extraction is not None and _has_lacking(source, run, features):
        clips = read_manifest(manifest, columns=columns, root=root)
        ended = extraction.extract(run, clips, features, progress=progress)
        if ended.submitted or ended.worker_command or ended.is_stopped:
            return PartsReport(
                out, len(clips.clips), submitted=tuple(ended.submitted),
                worker_command=ended.worker_command, is_stopped=ended.is_stopped,
            )  # fmt: skip
    tokens = ChunkTokens.of_stores(run, features)
    planned = _plan(source, tokens, options)
    folder_of_all = location(out)
    parts = PredictionParts(
        folder_of_all, run_hash(run.path), [target.name for target in run.targets]
    )
    wanted = set(planned.names)
    removed = parts.remove_superseded(wanted, planned.hashes)
    missing = wanted - parts.names()
    if not missing or jobs.is_here:
        counts = (
            _write(source, planned.names, missing, parts, tokens, options, progress=progress)
            if missing
            else Counter()
        )
        return _report(parts, planned, len(missing), removed, counts)
    todo = PlannedParts(run, source, planned.names, frozenset(missing))
    files = part_files(run, run_path, features, parts, options)
    ended, folder = run_job(todo, folder_of_all, files, jobs, progress=progress)
    written = missing & parts.names()
    report = _report(parts, planned, len(written), removed, _counts(run, parts, written))
    return replace(
        report, lost=tuple(ended.lost), submitted=tuple(ended.submitted),
        worker_command=ended.worker_command, is_stopped=ended.is_stopped, job=str(folder.path),
    )  # fmt: skip


def _plan(source: ChunkedManifest, tokens: ChunkTokens, options: PartsOptions) -> _Planned:
    """Name the part of each chunk.

    Raises:
        EmoError: an id occurs twice, or no clip has features.
    """
    names, hashes, first = [], [np.zeros(0, np.uint64)], ""
    has_any = False
    for clips in source.chunks():
        state = tokens.state(clips)
        is_present = state.is_present
        has_any = has_any or bool(is_present.any())
        if not first and not is_present.all():
            row = int(np.flatnonzero(~is_present)[0])
            first = f"{clips[row].id}: {tokens.reason(clips[row], state.lengths[:, row])}"
        names.append(chunk_name(state, options))
        hashes.append(hashes_of([clip.id for clip in clips]))
        tokens.forget()
    every = np.sort(np.concatenate(hashes))
    source.check_unique(every)
    if not has_any:
        raise EmoError(f"{source.path}: no clip has features; first: {first or 'no clips'}")
    return _Planned(names, every)


def _has_lacking(source: ChunkedManifest, run: Run, features: Sequence[Location | str]) -> bool:
    """Return whether the stores have never seen a clip that the run shall predict."""
    if lacks_recipes(run, features):
        return True
    tokens = ChunkTokens.of_stores(run, features)
    return any(tokens.has_unseen(clips) for clips in source.chunks())


def _write(
    source: ChunkedManifest,
    names: Sequence[str],
    missing: set[str],
    parts: PredictionParts,
    tokens: ChunkTokens,
    options: PartsOptions,
    *,
    progress: bool | None,
) -> Counter[str]:
    """Predict and commit the chunks whose parts are missing; count the predicted classes."""
    counts: Counter[str] = Counter()
    with progress_bar(shown=progress, total=len(missing), desc="predict", unit="part") as bar:
        for name, clips in zip(names, source.chunks(), strict=True):
            if name in missing:
                done = write_chunk(clips, tokens.state(clips), parts, tokens, options)
                counts.update(done.found.labels(tokens.run.targets[0]))
                bar.update()
    return counts


def _counts(run: Run, parts: PredictionParts, names: set[str]) -> Counter[str]:
    """Count the predicted classes in parts that workers wrote."""
    counts: Counter[str] = Counter()
    for name in names if run.targets[0].classes else ():
        counts.update(parts.labels(name))
    return counts


def _report(
    parts: PredictionParts, planned: _Planned, written: int, removed: int, counts: Counter[str]
) -> PartsReport:
    """Return the report; the clips without a prediction are read from the parts."""
    failed, shown = 0, dict[str, str]()
    with_failures = parts.names_with_failures()
    for name in planned.names:
        if name in with_failures:
            failures = parts.failures(name)
            failed += len(failures)
            for clip_id, reason in failures.items():
                if len(shown) < _SHOWN_FAILURES:
                    shown[clip_id] = reason
    return PartsReport(
        str(parts.folder),
        len(planned.hashes),
        len(planned.names),
        written,
        removed,
        failed,
        shown,
        dict(counts),
    )
