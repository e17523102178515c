"""`emo predict` of many clips: those of a manifest or a folder, with predictions in files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from emo.errors import FitError, ManifestError, line_of, naming_file, plural
from emo.heads.runs.files import MOST_PICTURED, file_name, kept_columns
from emo.heads.runs.run import Run
from emo.machine.table import format_table, json_text
from emo.machine.untrusted.formulas import without_formula
from emo.machine.whole_file import whole_file
from emo.manifest import read_manifest
from emo.manifest.rows import extension, read_rows
from emo.predict.lacking import Extraction
from emo.predict.media_files import manifest_of_files, manifest_of_folder
from emo.predict.person import EVERYONE, Person
from emo.predict.predicted import Predicted, notes_on_fitted, predict_clips
from emo.store.backend.location import Location

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PredictReport:
    """Result of predicting all clips of a manifest."""

    out: Path
    """The CSV file of predictions."""
    counts: dict[str, int]
    """Predicted class -> number of clips."""
    failures: dict[str, str]
    """Clip without tokens in any stream that the run reads -> reason; not in the CSV file."""
    found: Predicted
    """The predictions."""

    def table(self) -> str:
        """Return a text table of counts, then the file, the failures and the notes."""
        counts = list(self.counts.items())
        if len(counts) > MOST_PICTURED:
            counts.sort(key=lambda item: -item[1])
        shown, more = counts[:MOST_PICTURED], counts[MOST_PICTURED:]
        rows = [{"prediction": label, "clips": clips} for label, clips in shown]
        table, lines = format_table(rows), [f"wrote {self.out}"]
        if more:
            clips = plural(sum(count for _, count in more), "clip")
            lines.insert(0, f"and {len(more):,} more classes, predicted for {clips}")
        lines += [f"failed: {clip_id}: {reason}" for clip_id, reason in self.failures.items()]
        lines += [f"- {note}" for note in self.found.notes]
        return "\n".join([table, *map(line_of, lines)])

    def json(self) -> str:
        """Return one line of JSON: ``predictions``, one as for a single clip each; ``failures``.

        ``notes`` is added if there are any.
        """
        document = {
            "out": str(self.out), "predictions": self.found.documents(), "failures": self.failures,
        }  # fmt: skip
        return json_text(document | ({"notes": self.found.notes} if self.found.notes else {}))

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 3 when some clips have no prediction, else 0."""
        return 3 if self.failures else 0


def predict_manifest(
    run_path: Path,
    manifest_path: Path | Sequence[Path],
    features: Location | str | tuple[Location | str, ...] | None,
    out: Path,
    *,
    columns: Mapping[str, str],
    root: Path | None,
    options: Sequence[str] = (),
    all_probabilities: bool = False,
    spreadsheet_safe: bool = False,
    person: Person = EVERYONE,
    is_extracting: bool = False,
) -> PredictReport:
    """Predict every clip of a manifest and write the predictions to a file.

    Args:
        run_path: a folder from ``emo fit-head``.
        manifest_path: the manifest; or a folder, of which every media file is a clip, whose id is
            its path below the folder; or several files and folders.
        features: the store with the clips' tokens, or several, of which each recipe is in one;
            None or empty: extract them into a temporary store.
        out: the file, CSV, TSV, JSONL or Parquet by its extension; further targets get files beside
            it. Predictions of an earlier call are replaced, other files are not.
        columns: renamed columns of the manifest. Those that the run was fitted with are used when
            the manifest is the same one, unless they are given here.
        root: folder of the media files; None: the manifest's folder.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.
        all_probabilities: whether all probabilities are written where there are more than 100
            classes.
        spreadsheet_safe: whether cells that a spreadsheet would run as formulas get an apostrophe;
            such ids are then not those of the manifest.
        person: the speaker of all clips, and further clips; else the manifest's speakers count.
        is_extracting: whether what ``features`` lack of the clips is extracted into them first.

    Raises:
        EmoError: the run, manifest or store cannot be read, no clip has features, or ``out``
            cannot be written.
    """
    run = Run.load(run_path)
    paths = {target.name: _path_of(target.name, run, out) for target in run.targets}
    for path in paths.values():
        _expect_writable(path)
    if not isinstance(manifest_path, Path):
        manifest = manifest_of_files(manifest_path)
    elif manifest_path.is_dir():
        manifest = manifest_of_folder(manifest_path)
    else:
        columns = {**kept_columns(run.document, manifest_path), **columns}
        manifest = read_manifest(manifest_path, columns=columns, root=root)
    stores = features if isinstance(features, tuple) else (features,) if features else ()
    if is_extracting:
        Extraction(tuple(options)).extract(run, manifest, stores)
    found = predict_clips(run, manifest, stores, options=options, person=person)
    fitted = notes_on_fitted(run, [clip.id for clip in found.clips])
    found = replace(found, notes=(*found.notes, *fitted))
    for target in run.targets:
        frame = found.frame(target, all_classes=all_probabilities)
        _write_whole(paths[target.name], _disarmed(frame) if spreadsheet_safe else frame)
    counted = Counter(found.labels(run.targets[0]))
    counts = {label: counted[label] for label in run.targets[0].classes}
    return PredictReport(out, counts, dict(found.failures), found)


def _path_of(target: str, run: Run, out: Path) -> Path:
    """Return the file of one target: ``out``, or a file beside it for a further target."""
    name = "" if target == run.target else f"-{file_name(target)}"
    return out.with_name(f"{out.stem}{name}{out.suffix}")


def _disarmed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts no spreadsheet runs as formulas."""
    texts = frame.select_dtypes(exclude="number").columns
    return frame.assign(**{name: frame[name].map(without_formula) for name in texts})


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
        return has_our_columns(list(read_rows(path).columns))
    except (ManifestError, OSError):
        return False


def has_our_columns(names: Sequence[str]) -> bool:
    """Return whether columns are those that :func:`predict_manifest` writes, and no others.

    A table of somebody's own may well have an ``id`` and a ``prediction``.

    >>> has_our_columns(["id", "prediction", "p_joy", "p_fear", "absent"])
    True
    >>> has_our_columns(["id", "prediction", "p_joy", "p_fear"])  # of earlier versions
    True
    >>> has_our_columns(["id", "prediction"])
    False
    """
    match names:
        case ["id", "cause_id", "prediction", first, *others]:
            return all(map(_is_probability, [first, *others]))
        case ["id", "prediction", *others, "absent"]:
            return all(map(_is_probability, others))
        case ["id", "prediction", first, *others]:
            return all(map(_is_probability, [first, *others]))
    return False


def _is_probability(name: str) -> bool:
    """Return whether a column is one of :func:`emo.heads.runs.predictions.probability_columns`."""
    return name.startswith("p_") or re.fullmatch(r"top\d+", name) is not None


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
