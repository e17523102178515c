"""What trackers are told about a run folder: nothing about single clips, people or folders."""

import csv
import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emo.errors import FitError
from emo.heads.runs.files import RUN_FILE, read_document
from emo.machine.untrusted.files import read_regular
from emo.report.trackers.tracker import CurveStep, Fact, TrackedRun

_HISTORY = "history.csv"
_MOST_HISTORY_BYTES = 200 * 10**6
_NOT_CURVES = ("fold", "seed", "round", "is_best")
"""Columns of history.csv that are no curve."""
_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z]:[/\\]")
"""Beginning of a path that is not relative."""
_SPREADS = ("mean", "std")


def run_folders(path: Path) -> list[Path]:
    """Return a run, or the runs in a folder of them, such as that of ``--ablate``."""
    inner = [] if (path / RUN_FILE).is_file() else sorted(path.glob(f"*/{RUN_FILE}"))
    return [each.parent for each in inner] or [path]


def tracked_runs(path: Path) -> list[TrackedRun]:
    """Return what trackers are told about each seed, or each fold, of a run.

    Seeds of an exact head are all the same; there is one, as in the run's files.

    Args:
        path: folder of the run.

    Raises:
        FitError: the folder is no run, or damaged.
    """
    document = read_document(path)
    try:
        facts = _facts(document)
        shared = _shared_scores(document)
        curves = _curves(path, is_folded="folds" in document)
        parts = list(_parts(document, list(curves)))
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise FitError(f"{path}: damaged: {error!r}. Fit the run again.") from error
    name = path.absolute().name
    whole = _hash([name, facts])
    return [
        TrackedRun(
            id=_hash([name, facts, part]),
            group=f"{name}-{whole[:6]}",
            part=part,
            facts=facts,
            scores={**shared, **own},
            steps=tuple(curves.get(part, ())),
            written_seconds=math.floor((path / RUN_FILE).stat().st_mtime),
        )
        for part, own in parts
    ]


def _facts(document: Mapping[str, Any]) -> dict[str, Fact]:
    """Return options, sizes, versions and fingerprints of a run, without any path."""
    head = document["head"]
    options = {name: value for name, value in document["options"].items() if name != "init"}
    found = {
        "head": head["name"],
        **{f"head.{name}": _last_part(value) for name, value in head["options"].items()},
        **options,
        "init": [_last_part(each) for each in document["options"].get("init") or ()],
        "streams": list(document["streams"]),
        "targets": {each["name"]: each["task"] for each in document["targets"]},
        "clips": document.get("splits", {}),
        "cv": len(document["folds"]["each"]) if "folds" in document else None,
        "drawn": document.get("drawn"),
        "question": document.get("question"),
        "manifest_sha256": document["manifest"].get("sha256"),
        "fingerprint": {
            name: each.get("fingerprint") for name, each in document["streams"].items()
        },
        "version": document.get("versions", {}),
    }
    return {name: value for key, each in found.items() for name, value in _flat(key, each)}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Fact]]:
    """Iterate over a value as facts: a list in one text, a mapping as a fact for each key."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}", each)
    elif isinstance(value, list | tuple):
        if value:
            yield name, ", ".join(str(_without_folder(each)) for each in value)
    elif isinstance(value, str | int | float | bool) and value != "":
        yield name, _without_folder(value)


def _without_folder(value: Any) -> Any:
    """Return the last part of an absolute path, and anything else as it is."""
    return _last_part(value) if isinstance(value, str) and _ABSOLUTE.match(value) else value


def _last_part(value: Any) -> Any:
    """Return the last part of a text that may be a path."""
    return re.split(r"[/\\]+", value.rstrip("/\\"))[-1] if isinstance(value, str) else value


def _by_target(document: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return target -> start of the names of its scores, and its metrics by split."""
    metrics = {document["target"]: document["metrics"], **document.get("metrics_of_others", {})}
    return {
        name: (f"{name}/" if len(metrics) > 1 else "", by_split)
        for name, by_split in metrics.items()
    }


def _shared_scores(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a whole run: means, deviations, ends of intervals, ``--missing``."""
    found: dict[str, Any] = {}
    for target, (start, by_split) in _by_target(document).items():
        for split, metrics in by_split.items():
            for kind in _SPREADS:
                for score, value in metrics.get(kind, {}).items():
                    found[f"{start}{split}/{score}.{kind}"] = value
            for score, (low, high) in metrics.get("interval", {}).items():
                found[f"{start}{split}/{score}.low"] = low
                found[f"{start}{split}/{score}.high"] = high
        for variant, of_splits in document.get("missing", {}).get(target, {}).items():
            for split, metrics in of_splits.items():
                for score, value in metrics["mean"].items():
                    found[f"{start}{split}/{score}.{variant}"] = value
    return _known(found)


def _parts(
    document: Mapping[str, Any], written: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Iterate over the name and the own scores of each seed or fold.

    Args:
        document: ``run.json`` of the run.
        written: names of the parts that ``history.csv`` has.
    """
    targets = _by_target(document)
    if "folds" in document:
        for number, fold in enumerate(document["folds"]["each"], 1):
            own = {
                f"{start}test/{score}": value
                for target, (start, _) in targets.items()
                for score, value in fold["metrics"].get(target, {}).get("mean", {}).items()
            }
            yield f"fold-{number}", _known(own)
        return
    seeds = dict.fromkeys(
        seed
        for _, by_split in targets.values()
        for each in by_split.values()
        for seed in each["seeds"]
    )
    for seed in seeds:
        if written and f"seed-{seed}" not in written:
            continue
        own = {
            f"{start}{split}/{score}": value
            for start, by_split in targets.values()
            for split, metrics in by_split.items()
            for score, value in metrics["seeds"].get(seed, {}).items()
        }
        yield f"seed-{seed}", _known(own)


def _known(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores that are defined."""
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _curves(path: Path, *, is_folded: bool) -> dict[str, list[CurveStep]]:
    """Return the rounds of each seed, or of each fold the mean over its seeds.

    Folds are numbered, because their names are values of a column, such as names of speakers.
    """
    try:
        data = read_regular(path / _HISTORY, most_bytes=_MOST_HISTORY_BYTES, follow_links=True)
    except OSError:
        return {}
    rows = list(csv.DictReader(data.decode("utf-8").splitlines()))
    folds = {
        name: number for number, name in enumerate(dict.fromkeys(r.get("fold") for r in rows), 1)
    }
    found: dict[str, dict[int, dict[str, list[float]]]] = {}
    for row in rows:
        part = f"fold-{folds[row['fold']]}" if is_folded else f"seed-{row['seed']}"
        values = found.setdefault(part, {}).setdefault(int(row["round"]), defaultdict(list))
        for name, cell in row.items():
            if name not in _NOT_CURVES and cell and math.isfinite(float(cell)):
                values[name].append(float(cell))
    return {
        part: [
            CurveStep(number, {name: sum(each) / len(each) for name, each in values.items()})
            for number, values in sorted(rounds.items())
        ]
        for part, rounds in found.items()
    }


def _hash(value: Any) -> str:
    """Return a hash of a JSON value, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
