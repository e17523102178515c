"""`emo predict`: extracts new clips with the recipes that a run names, then applies its head."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from emo.errors import EmoError, FitError, MediaError, StoreError
from emo.heads.data.dialogues import pairs_of, turns_of
from emo.heads.data.targets import NONE, SEPARATOR, Target
from emo.heads.runs.files import file_name, kept_columns
from emo.heads.runs.predictions import MANY_CLASSES, MOST_PROBABLE, probability_columns
from emo.heads.runs.run import Run, absent_of, stored_tokens
from emo.manifest import Clip, Manifest, read_manifest
from emo.store.backend.location import Location
from emo.store.store import Store
from emo.table import format_table


@dataclass(frozen=True)
class Prediction:
    """The class probabilities of one clip."""

    clip_id: str
    target: str
    label: str
    """The most probable class; of several labels, those more probable than not."""
    probabilities: dict[str, float]
    absent: dict[str, str]
    """Streams which the clip lacks, with reasons."""
    others: dict[str, dict[str, float]] = field(default_factory=dict)
    """The probabilities of the run's further targets of clips."""

    def table(self) -> str:
        """For people: classes from the most to the least probable."""
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
        """One line of JSON: id, target, label, probabilities, others, absent."""
        document = {
            "id": self.clip_id, "target": self.target, "label": self.label,
            "probabilities": self.probabilities, "others": self.others, "absent": self.absent,
        }  # fmt: skip
        return json.dumps(document, ensure_ascii=False)


@dataclass(frozen=True)
class PredictReport:
    """What came of a manifest."""

    out: Path
    counts: dict[str, int]
    """Clips by predicted class."""
    failures: dict[str, str]
    """Clips without tokens in any stream that the run reads, with reasons; they are not in the
    file."""

    def table(self) -> str:
        """For people."""
        rows = [{"prediction": label, "clips": clips} for label, clips in self.counts.items()]
        lines = [format_table(rows), f"wrote {self.out}"]
        lines += [f"failed: {clip_id}: {reason}" for clip_id, reason in self.failures.items()]
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """3 when some clips have no prediction."""
        return 3 if self.failures else 0


def predict_file(
    run_path: Path, media: Path | None, text: str | None, *, options: Sequence[str] = ()
) -> Prediction:
    """Class probabilities of one video or audio file, or of a text alone.

    Args:
        run_path: a folder from ``emo fit-head``.
        media: the file.
        text: what is said in it.
        options: where weights lie on this machine: ``recipe.weights=DIR``.

    Raises:
        EmoError: no such file, it cannot be decoded, or the run's recipes cannot be repeated here.
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
            f"{run_path}: its first target, {run.target}, is of pairs of turns; give the whole "
            "dialogue with --manifest"
        )
    first = run.targets[0]
    label = _label(first, tables[first.name][0]) if first.classes else first.name
    return Prediction(clip_id, run.target, label, shares.pop(run.target), absent, shares)


def predict_manifest(
    run_path: Path,
    manifest_path: Path,
    features: Location | str | None,
    out: Path,
    *,
    columns: Mapping[str, str],
    root: Path | None,
    options: Sequence[str] = (),
    all_probabilities: bool = False,
) -> PredictReport:
    """Predictions for every clip of a manifest, from its store or extracted on the way.

    The names of columns that the run was fitted with hold for the same manifest, unless ``columns``
    says otherwise.

    Raises:
        EmoError: a run, manifest or store that cannot be read, no clip with features, or nothing
            can be written at ``out``.
    """
    run = Run.load(run_path)
    _expect_writable(out)
    columns = {**kept_columns(run.document, manifest_path), **columns}
    manifest = read_manifest(manifest_path, columns=columns, root=root)
    with tempfile.TemporaryDirectory(prefix="emo-predict-") as folder:
        if features is None:
            failures = _extract(run, manifest, Path(folder), options, progress=None)
            store = Store(folder)
        else:
            store = Store(features)
            _check_recipes(run, store, features)
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
    """Extract with the run's recipes; returns clips that got no tokens at all, with reasons."""
    from emo.extract.job.request import requests_of_recipes
    from emo.extract.run import extract

    requests = requests_of_recipes(run.recipes, options)
    report = extract(manifest, folder, requests, progress=progress)
    return _in_all([report.failures.get(request.name, {}) for request in requests])


def _check_recipes(run: Run, store: Store, path: Location | str) -> None:
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
    """Clips that every recipe lacks."""
    common = set(reasons[0]).intersection(*reasons[1:])
    return {clip_id: reason for clip_id, reason in reasons[0].items() if clip_id in common}


def _expect_writable(out: Path) -> None:
    """Before hours of extraction."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FitError(
            f"{out} cannot be written: {error.strerror}; choose another --out"
        ) from error
    if out.is_dir():
        raise FitError(f"{out} is a folder; --out is the CSV file of predictions")


def _keys(target: Target, clips: Sequence[Clip]) -> dict[str, list[str]]:
    """What names the rows of a target: ``id``, of pairs ``cause_id`` too."""
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
    """Write the predictions; returns the most probable class of each row, of numbers nothing."""
    classes = target.classes
    frame = pd.DataFrame(
        probability_columns(classes, table, all_classes=all_classes), index=range(len(table))
    )
    labels = [_label(target, row) for row in table] if classes else []
    frame.insert(0, "prediction", labels or table[:, 0])
    for index, (name, values) in enumerate(keys.items()):
        frame.insert(index, name, values)
    frame.to_csv(out, index=False, float_format="%.6f")
    return labels


def _label(target: Target, shares: np.ndarray) -> str:
    """The most probable class; of several labels, those more probable than not."""
    if target.task != "multilabel":
        return target.classes[int(shares.argmax())]
    chosen = [name for name, share in zip(target.classes, shares, strict=True) if share > 0.5]
    return SEPARATOR.join(chosen) or NONE


def _first(failures: Mapping[str, str]) -> str:
    return "; ".join(f"{clip_id}: {reason}" for clip_id, reason in list(failures.items())[:1])
