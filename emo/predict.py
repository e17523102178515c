"""`emo predict`: extract new clips with the recipes of a run, then apply its head."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from emo.errors import (
    EmoError,
    FitError,
    ManifestError,
    MediaError,
    StoreError,
    naming_file,
)
from emo.heads.data.dialogues import pairs_of, turns_of
from emo.heads.data.targets import Target
from emo.heads.runs.files import RUN_FILE, file_name, kept_columns
from emo.heads.runs.predictions import MANY_CLASSES, MOST_PROBABLE, probability_columns
from emo.heads.runs.run import Run, absent_of, stored_tokens
from emo.machine.whole_file import whole_file
from emo.manifest import Clip, Manifest, read_manifest
from emo.manifest.rows import extension, read_rows
from emo.manifest.tasks import NONE, SEPARATOR
from emo.store.backend.location import Location
from emo.store.store import Store
from emo.table import format_table, json_text


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of one clip."""

    clip_id: str
    target: str
    """Name of the run's first target, such as ``emotion``."""
    label: str
    """The most probable class; for a multilabel target, all classes with probability > 0.5."""
    probabilities: dict[str, float]
    """Class -> probability in [0, 1]."""
    absent: dict[str, str]
    """Stream that the clip lacks -> reason."""
    others: dict[str, dict[str, float]] = field(default_factory=dict)
    """Each further target of the run, except pair targets -> class -> probability."""

    def table(self) -> str:
        """Return a text table, classes from the most to the least probable."""
        tables = []
        for target, shares in {self.target: self.probabilities, **self.others}.items():
            ranked = sorted(shares.items(), key=lambda item: -item[1])
            more = len(ranked) - MOST_PROBABLE if len(ranked) > MANY_CLASSES else 0
            ranked = ranked[: len(ranked) - more]
            tables.append(
                format_table([{target: name, "probability": share} for name, share in ranked])
                + (f"\nand {more:,} less probable classes (--json prints all)" if more else "")
            )
        notes = [f"without {stream}: {reason}" for stream, reason in self.absent.items()]
        return "\n".join(["\n\n".join(tables), *notes])

    def json(self) -> str:
        """Return one line of JSON with id, target, label, probabilities, others, absent."""
        document = {
            "id": self.clip_id, "target": self.target, "label": self.label,
            "probabilities": self.probabilities, "others": self.others, "absent": self.absent,
        }  # fmt: skip
        return json_text(document)


@dataclass(frozen=True)
class PredictReport:
    """Result of predicting all clips of a manifest."""

    out: Path
    """The CSV file of predictions."""
    counts: dict[str, int]
    """Predicted class -> number of clips."""
    failures: dict[str, str]
    """Clip without tokens in any stream that the run reads -> reason; not in the CSV file."""

    def table(self) -> str:
        """Return a text table of counts, then the file and the failures."""
        rows = [{"prediction": label, "clips": clips} for label, clips in self.counts.items()]
        lines = [format_table(rows), f"wrote {self.out}"]
        lines += [f"failed: {clip_id}: {reason}" for clip_id, reason in self.failures.items()]
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 3 when some clips have no prediction, else 0."""
        return 3 if self.failures else 0


def predict_file(
    run_path: Path, media: Path | None, text: str | None, *, options: Sequence[str] = ()
) -> Prediction:
    """Predict class probabilities of one video or audio file, or of a text alone.

    Args:
        run_path: a folder from ``emo fit-head``.
        media: the file; None: text alone.
        text: what is said in it.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.

    Raises:
        EmoError: the file does not exist or cannot be decoded, or the run's recipes cannot be
            repeated on this machine.
    """
    if media is not None and not media.is_file():
        raise MediaError(f"{media}: no such file")
    run = Run.load(run_path)
    clip_id = str(media) if media else "text"
    clip = Clip(clip_id, video=media.name if media else None, text=text)
    root = media.absolute().parent if media else Path.cwd()
    manifest = Manifest(path=root, root=root, clips=(clip,), sha256="")
    with tempfile.TemporaryDirectory(prefix="emo-predict-") as folder:
        failures = _extract(run, manifest, Path(folder), options, progress=False)
        store = Store(folder)
        if not failures:
            streams, failures = stored_tokens(run, [clip_id], store)
        if failures:
            raise MediaError(f"{clip_id}: {failures[clip_id]}")
        tables = run.predict_all(streams)
        absent = absent_of(run, clip_id, store)
    shares = {
        target.name: dict(
            zip(target.classes or (target.name,), tables[target.name][0].tolist(), strict=True)
        )
        for target in run.targets
        if target.task != "pairs"
    }
    if run.target not in shares:
        raise FitError(
            f"{run_path}: its first target, {run.target}, is a target of pairs of turns, which "
            "needs a whole dialogue; give it with --manifest"
        )
    first = run.targets[0]
    label = _label(first, tables[first.name][0]) if first.classes else first.name
    return Prediction(clip_id, run.target, label, shares.pop(run.target), absent, shares)


def predict_manifest(
    run_path: Path,
    manifest_path: Path,
    features: Location | str | tuple[Location | str, ...] | None,
    out: Path,
    *,
    columns: Mapping[str, str],
    root: Path | None,
    options: Sequence[str] = (),
    all_probabilities: bool = False,
) -> PredictReport:
    """Predict every clip of a manifest and write the predictions to a file.

    Args:
        run_path: a folder from ``emo fit-head``.
        manifest_path: the manifest.
        features: the store with the clips' tokens, or several, of which each recipe is in one;
            None or empty: extract them into a temporary store.
        out: the file, CSV, TSV, JSONL or Parquet by its extension; further targets get files beside
            it. Predictions of an earlier call are replaced, other files are not.
        columns: renamed columns of the manifest. Those that the run was fitted with are used when
            the manifest is the same one, unless they are given here.
        root: folder of the media files; None: the manifest's folder.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.

    Raises:
        EmoError: the run, manifest or store cannot be read, no clip has features, or ``out``
            cannot be written.
    """
    run = Run.load(run_path)
    _expect_writable(out)
    columns = {**kept_columns(run.document, manifest_path), **columns}
    manifest = read_manifest(manifest_path, columns=columns, root=root)
    with tempfile.TemporaryDirectory(prefix="emo-predict-") as folder:
        stores = features if isinstance(features, tuple) else (features,) if features else ()
        if not stores:
            failures = _extract(run, manifest, Path(folder), options, progress=None)
            store = Store(folder)
        else:
            store = _joined(stores, run)
            _check_recipes(run, store, ", ".join(map(str, stores)))
            failures = _without_features(run, manifest, store)
        ids = [clip.id for clip in manifest.clips if clip.id not in failures]
        streams, bare = stored_tokens(run, ids, store)
        failures |= bare
        clips = [clip for clip in manifest.clips if clip.id not in failures]
        if not clips:
            raise EmoError(f"{manifest_path}: no clip has features; first: {_first(failures)}")
        tables = run.predict_all(streams, turns_of(clips))
    counts = {}
    for target in run.targets:
        name = "" if target.name == run.target else f"-{file_name(target.name)}"
        path = out.with_name(f"{out.stem}{name}{out.suffix}")
        labels = _write(
            target, _keys(target, clips), tables[target.name], path, all_classes=all_probabilities
        )
        if target.name == run.target:
            counted = Counter(labels)
            counts = {label: counted[label] for label in target.classes}
    return PredictReport(out, counts, failures)


def _extract(
    run: Run, manifest: Manifest, folder: Path, options: Sequence[str], *, progress: bool | None
) -> dict[str, str]:
    """Extract with the run's recipes; return the clips without any tokens, with reasons."""
    from emo.extract.job.request import requests_of_recipes
    from emo.extract.run import extract

    requests = requests_of_recipes(run.recipes, options, document=run.path / RUN_FILE)
    report = extract(manifest, folder, requests, progress=progress)
    return _in_all([report.failures.get(request.name, {}) for request in requests])


def _joined(paths: Sequence[Location | str], run: Run) -> Store:
    """Return the first store, with the recipes that the run reads from the other ones.

    Raises:
        StoreError: two of the stores hold a recipe that the run reads.
    """
    stores = [Store(path) for path in paths]
    for name in run.recipes:
        holders = [store for store in stores if name in store.recipes]
        if len(holders) > 1:
            raise StoreError(
                f"recipe {name!r} is in {holders[0].path} and in {holders[1].path}: give one of "
                "them as --features, or name the recipe otherwise"
            )
        for store in holders:
            stores[0].recipes[name] = store.recipes[name]
    return stores[0]


def _check_recipes(run: Run, store: Store, path: str) -> None:
    """Raise StoreError unless the store holds every recipe that the run was fitted on."""
    for name, recipe in run.recipes.items():
        found = store.recipes.get(name)
        if found is None:
            raise StoreError(
                f"{path}: no recipe {name!r}, which the run was fitted on; it holds: "
                f"{', '.join(store.recipes) or 'nothing'}"
            )
        if found.recipe.fingerprint != recipe.fingerprint:
            raise StoreError(
                f"{path}: recipe {name!r} differs from the run's: "
                f"{'; '.join(recipe.differences(found.recipe))}"
            )


def _without_features(run: Run, manifest: Manifest, store: Store) -> dict[str, str]:
    """Return the clips that have no tokens in any of the run's recipes, with reasons."""
    reasons = []
    for name in run.recipes:
        done, failed = set(store.ids(name)), store.recipes[name].failures
        reasons.append(
            {
                clip.id: failed.get(clip.id, "not in the store; run emo extract")
                for clip in manifest.clips
                if clip.id not in done
            }
        )
    return _in_all(reasons)


def _in_all(reasons: list[dict[str, str]]) -> dict[str, str]:
    """Return the clips that are in all of the given dicts, with the reasons of the first one."""
    common = set(reasons[0]).intersection(*reasons[1:])
    return {clip_id: reason for clip_id, reason in reasons[0].items() if clip_id in common}


def _expect_writable(out: Path) -> None:
    """Raise FitError when ``out`` cannot or must not be written; before hours of extraction."""
    with naming_file(out, FitError):
        out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        raise FitError(f"{out} is a folder; --out is the file of predictions")
    extension(out)
    if out.is_symlink():
        raise FitError(f"{out} is a link to {out.readlink()}; name that file, or remove the link")
    if out.exists() and not _is_ours(out):
        raise FitError(
            f"{out} exists and holds no predictions of emo; choose another --out, or remove it"
        )


def _is_ours(path: Path) -> bool:
    """Return whether a file holds predictions that an earlier call wrote."""
    try:
        return {"id", "prediction"} <= read_rows(path).columns.keys()
    except (ManifestError, OSError):
        return False


def _keys(target: Target, clips: Sequence[Clip]) -> dict[str, list[str]]:
    """Return the columns that name the rows: ``id``, and ``cause_id`` for a pair target."""
    ids = [clip.id for clip in clips]
    if target.task != "pairs":
        return {"id": ids}
    pairs = pairs_of(turns_of(clips))
    return {"id": [ids[row] for row in pairs[:, 0]], "cause_id": [ids[row] for row in pairs[:, 1]]}


def _write(
    target: Target,
    keys: dict[str, list[str]],
    table: np.ndarray,
    out: Path,
    *,
    all_classes: bool = False,
) -> list[str]:
    """Write the predictions of one target as CSV.

    Args:
        target: its classes; none for a regression target.
        keys: the columns that name the rows.
        table: float (rows, C) probabilities, or (rows, 1) numbers.
        out: the file.
        all_classes: whether all probabilities are written where there are more than 100 classes.

    Returns:
        The label of each row; empty for a regression target.
    """
    classes = target.classes
    frame = pd.DataFrame(
        probability_columns(classes, table, all_classes=all_classes), index=range(len(table))
    )
    labels = [_label(target, row) for row in table] if classes else []
    frame.insert(0, "prediction", labels or table[:, 0])
    for index, (name, values) in enumerate(keys.items()):
        frame.insert(index, name, values)
    _write_whole(out, frame)
    return labels


def _write_whole(out: Path, frame: pd.DataFrame) -> None:
    """Write a table in the format of the file's extension; it appears whole or not at all.

    Raises:
        FitError: the file cannot be written; an earlier one stays as it was.
    """
    kind = out.suffix.lower()
    with whole_file(out, FitError) as unfinished:
        if kind == ".parquet":
            frame.to_parquet(unfinished, index=False)
        elif kind in (".jsonl", ".ndjson"):
            frame.to_json(unfinished, orient="records", lines=True, force_ascii=False)
        else:
            separator = "\t" if kind == ".tsv" else ","
            frame.to_csv(unfinished, index=False, float_format="%.6f", sep=separator)


def _label(target: Target, shares: np.ndarray) -> str:
    """Return the most probable class; for a multilabel target, all with probability > 0.5."""
    if target.task != "multilabel":
        return target.classes[int(shares.argmax())]
    chosen = [name for name, share in zip(target.classes, shares, strict=True) if share > 0.5]
    return SEPARATOR.join(chosen) or NONE


def _first(failures: Mapping[str, str]) -> str:
    """Return the first failure as ``clip: reason``, for an error message."""
    return "; ".join(f"{clip_id}: {reason}" for clip_id, reason in list(failures.items())[:1])
