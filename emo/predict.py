"""`emo predict`: extracts new clips with the recipes that a run names, then applies its head."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emo.errors import EmoError, MediaError, StoreError
from emo.heads.dialogues import turns_of
from emo.heads.run import Run
from emo.manifest import Clip, Manifest, read_manifest
from emo.store.store import Store
from emo.table import format_table


@dataclass(frozen=True)
class Prediction:
    """The class probabilities of one clip."""

    clip_id: str
    target: str
    probabilities: dict[str, float]
    absent: dict[str, str]
    """Streams which the clip lacks, with reasons."""

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def table(self) -> str:
        """For people: classes from the most to the least probable."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        rows = [{self.target: name, "probability": share} for name, share in ranked]
        notes = [f"without {stream}: {reason}" for stream, reason in self.absent.items()]
        return "\n".join([format_table(rows), *notes])

    def json(self) -> str:
        """One line of JSON: id, target, label, probabilities, absent."""
        document = {
            "id": self.clip_id, "target": self.target, "label": self.label,
            "probabilities": self.probabilities, "absent": self.absent,
        }  # fmt: skip
        return json.dumps(document, ensure_ascii=False)


@dataclass(frozen=True)
class PredictReport:
    """What came of a manifest."""

    out: Path
    counts: dict[str, int]
    """Clips by predicted class."""
    failures: dict[str, str]
    """Clips without features, with reasons; they are not in the file."""

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
        if failures:
            raise MediaError(f"{clip_id}: {failures[clip_id]}")
        table, absent = _apply(run, [clip_id], Store(folder))
    shares = dict(zip(run.classes or (run.target,), table[0].tolist(), strict=True))
    return Prediction(clip_id, run.target, shares, absent)


def predict_manifest(
    run_path: Path,
    manifest_path: Path,
    features: Path | None,
    out: Path,
    *,
    columns: Mapping[str, str],
    root: Path | None,
    options: Sequence[str] = (),
) -> PredictReport:
    """Predictions for every clip of a manifest, from its store or extracted on the way."""
    run = Run.load(run_path)
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
        if not ids:
            raise EmoError(f"{manifest_path}: no clip has features; first: {_first(failures)}")
        clips = [clip for clip in manifest.clips if clip.id not in failures]
        table, _ = _apply(run, ids, store, turns_of(clips))
    labels = _write(run, ids, table, out)
    return PredictReport(out, {name: labels.count(name) for name in run.classes}, failures)


def _extract(
    run: Run, manifest: Manifest, folder: Path, options: Sequence[str], *, progress: bool | None
) -> dict[str, str]:
    """Extract with the run's recipes; returns clips that got no tokens at all, with reasons."""
    from emo.extract.job import asks_again
    from emo.extract.run import extract

    asks = asks_again(run.recipes, options)
    report = extract(manifest, folder, asks, progress=progress)
    return _in_all([report.failures.get(ask.name, {}) for ask in asks])


def _check_recipes(run: Run, store: Store, path: Path) -> None:
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


def _apply(
    run: Run, ids: list[str], store: Store, turns: np.ndarray | None = None
) -> tuple[np.ndarray, dict[str, str]]:
    """Probabilities (N, C), and the streams that the first clip lacks."""
    streams, absent = {}, {}
    for stream in run.streams:
        recipe, _, name = stream.partition("/")
        folder = store.recipes[recipe]
        streams[stream] = folder.read_present(name, ids)
        if ids[0] in folder.absent:
            absent.update(
                {f"{recipe}/{k}": v for k, v in folder.absent[ids[0]].items() if k == name}
            )
    return run.predict(streams, turns), absent


def _write(run: Run, ids: list[str], table: np.ndarray, out: Path) -> list[str]:
    """Write the predictions; returns the most probable class of each clip, of numbers nothing."""
    frame = pd.DataFrame(table[:, : len(run.classes)], columns=[f"p_{c}" for c in run.classes])
    labels = [run.classes[k] for k in table.argmax(axis=1)] if run.classes else []
    frame.insert(0, "prediction", labels or table[:, 0])
    frame.insert(0, "id", ids)
    frame.to_csv(out, index=False, float_format="%.6f")
    return labels


def _first(failures: Mapping[str, str]) -> str:
    return "; ".join(f"{clip_id}: {reason}" for clip_id, reason in list(failures.items())[:1])
