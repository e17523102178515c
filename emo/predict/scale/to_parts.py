"""`emo predict --out OUT/`: predict a manifest of any length into a folder or bucket.

The manifest is read twice. The first pass names the part of each chunk of clips, and finds ids
that occur twice; then parts that hold these clips but are named otherwise are removed, and the
second pass predicts the chunks whose parts are not there.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo.errors import EmoError, FitError, line_of, plural
from emo.heads.runs.files import MOST_PICTURED, RUN_FILE, WEIGHTS_FILE, kept_columns
from emo.heads.runs.run import Run
from emo.machine.progress import progress_bar
from emo.machine.table import format_table, json_text
from emo.manifest import Clip
from emo.predict.features import check_recipes, joined_stores
from emo.predict.scale.chunk import predict_chunk
from emo.predict.scale.chunked_manifest import ChunkedManifest
from emo.predict.scale.prediction_parts import PredictionParts
from emo.predict.scale.tables import failures_table, predictions_table
from emo.predict.scale.tokens import ChunkState, ChunkTokens, hashes_of, name_of
from emo.store.backend.location import Location, location
from emo.untrusted.addresses import url_of

PARTS_FORMAT = "emo predictions 1"
"""Part of every name; a new number predicts everything again."""
_SHOWN_FAILURES = 10


@dataclass(frozen=True)
class PartsReport:
    """Result of predicting a manifest into a folder or bucket."""

    out: str
    """Folder of the parts of the first target."""
    clips: int
    """Clips of the manifest."""
    parts: int
    """Parts that hold them."""
    written: int
    """Parts that were written by this call; the others were there."""
    removed: int
    """Parts of these clips that were removed, because their predictions are not the same now."""
    failed: int
    """Clips without a prediction."""
    failures: dict[str, str] = field(default_factory=dict)
    """The first ten of them -> reason."""
    counts: dict[str, int] = field(default_factory=dict)
    """Predicted class -> number of clips in the parts written by this call."""

    def table(self) -> str:
        """Return a text table of counts, then what was written, and the first failures."""
        shown = sorted(self.counts.items(), key=lambda item: -item[1])[:MOST_PICTURED]
        lines = [format_table([{"prediction": name, "clips": n} for name, n in shown])]
        lines = lines if shown else []
        removed = f", {plural(self.removed, 'part')} of other predictions removed"
        lines.append(
            f"{self.out}: {plural(self.clips, 'clip')} in {plural(self.parts, 'part')}, "
            f"{self.written:,} written now{removed if self.removed else ''}"
        )
        lines += [line_of(f"failed: {name}: {reason}") for name, reason in self.failures.items()]
        if self.failed > len(self.failures):
            more = plural(self.failed - len(self.failures), "more clip")
            lines.append(f"failed: {more}, see {self.out}/_failures")
        return "\n".join(lines)

    def json(self) -> str:
        """Return one line of JSON with all fields."""
        return json_text(dict(vars(self)))

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 3 when some clips have no prediction, else 0."""
        return 3 if self.failed else 0


@dataclass(frozen=True)
class PartsOptions:
    """What is written into the parts, besides the predictions' values."""

    all_probabilities: bool = False
    """Whether the probabilities of more than 100 classes are all written."""
    spreadsheet_safe: bool = False
    """Whether cells that a spreadsheet would run as formulas get an apostrophe."""


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
    run_path: Path,
    manifest: Path,
    features: Sequence[Location | str],
    out: str,
    *,
    columns: Mapping[str, str],
    root: Path | None = None,
    options: PartsOptions = PartsOptions(),
    progress: bool | None = None,
) -> PartsReport:
    """Predict every clip of a manifest into Parquet parts; what is there is not predicted again.

    Args:
        run_path: a folder from ``emo fit-head``.
        manifest: the manifest; a Parquet file is streamed.
        features: stores with the clips' tokens, of which each recipe is in one.
        out: the folder, or URL in a bucket, of the parts.
        columns: renamed columns of the manifest.
        root: folder of the media; None: the manifest's folder.
        options: what is written.
        progress: whether to show a bar; None: in a terminal.

    Raises:
        EmoError: the run, manifest or store cannot be read, no clip has features, or ``out``
            cannot be written.
    """
    run = Run.load(run_path)
    if run.is_by_speaker:
        raise FitError(
            f"{run_path}: it scales a stream by speaker, which needs all clips of a speaker at "
            "once; name a file as --out: --out predictions.parquet"
        )
    if not features:
        raise FitError(
            f"--out {out}: a folder of parts needs --features STORE; run emo extract first"
        )
    store = joined_stores(features, run)
    check_recipes(run, store, ", ".join(map(str, features)))
    tokens = ChunkTokens(run, {name: store.recipes[name] for name in run.recipes})
    if url_of(manifest) is None:
        columns = {**kept_columns(run.document, manifest), **columns}
    source = ChunkedManifest(manifest, columns, root, run.head.unit)
    planned = _plan(source, tokens, options)
    parts = PredictionParts(
        location(out), run_hash(run_path), [target.name for target in run.targets]
    )
    wanted = set(planned.names)
    removed = parts.remove_superseded(wanted, planned.hashes)
    missing = wanted - parts.names()
    counts: Counter[str] = Counter()
    if missing:
        counts = _write(source, planned.names, missing, parts, tokens, options, progress=progress)
    return _report(parts, planned, len(missing), removed, counts)


def run_hash(run: Path) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a run's document and weights."""
    total = hashlib.sha256()
    for name in (RUN_FILE, WEIGHTS_FILE):
        with open(run / name, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


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
        names.append(_name(state, options))
        hashes.append(hashes_of([clip.id for clip in clips]))
        tokens.forget()
    every = np.sort(np.concatenate(hashes))
    source.check_unique(every)
    if not has_any:
        raise EmoError(f"{source.path}: no clip has features; first: {first or 'no clips'}")
    return _Planned(names, every)


def _name(state: ChunkState, options: PartsOptions) -> str:
    """Return the name of the part of a chunk."""
    words = f"{options.all_probabilities} {options.spreadsheet_safe}"
    return name_of(state.words, PARTS_FORMAT, words)


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
                counts.update(_write_chunk(clips, parts, tokens, options))
                tokens.forget()
                bar.update()
    return counts


def _write_chunk(
    clips: Sequence[Clip], parts: PredictionParts, tokens: ChunkTokens, options: PartsOptions
) -> Counter[str]:
    """Predict and commit one chunk; return how many clips are predicted as each class."""
    state = tokens.state(clips)
    done = predict_chunk(tokens, clips, state)
    tables = {
        target.name: predictions_table(
            done.found,
            target,
            all_classes=options.all_probabilities,
            is_disarmed=options.spreadsheet_safe,
        )
        for target in tokens.run.targets
    }
    parts.commit(_name(state, options), tables, failures_table(done.failures))
    return Counter(done.found.labels(tokens.run.targets[0]))


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
