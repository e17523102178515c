"""Write a run folder under a temporary name, then rename it, so that it is complete or absent."""

import contextlib
import dataclasses
import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

import emo
from emo import plugins
from emo.errors import FitError, system_reason
from emo.heads.data.scaling import scaling_tensors
from emo.heads.data.targets import Target
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.runs.clips_file import write_clip_ids
from emo.heads.runs.command_lines import commands_of
from emo.heads.runs.figures.plots import plot_confusion, plot_curves, plot_numbers
from emo.heads.runs.files import (
    MOST_PICTURED,
    OLDER,
    RUN_FILE,
    RUN_FORMAT_VERSION,
    WEIGHTS_FILE,
    Column,
    file_name,
    files_of_others,
    move_back,
    write_table,
)
from emo.heads.runs.predictions import prediction_columns
from emo.heads.runs.result import FitResult
from emo.heads.training.outcome import Round
from emo.machine.file_code import code_files_hash
from emo.manifest import Manifest
from emo.store.backend.atomic import temporary_beside
from emo.store.recipe import joined_versions


@contextlib.contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """Make a temporary folder beside ``out``, and rename it to ``out`` if the block succeeds.

    Errors inside the block are not changed; see :func:`writing_run` for those.

    Yields:
        The temporary folder.

    Raises:
        FitError: ``out`` holds something that is not a run, or cannot be written.
    """
    out = out.absolute()
    move_back(out)
    try:
        is_foreign = out.exists() and not ((out / RUN_FILE).is_file() or _is_empty_folder(out))
        if is_foreign:
            raise FitError(f"{out} exists and holds no {RUN_FILE}; choose another --out")
        folder = temporary_beside(out)
    except OSError as error:
        raise _cannot_write(out, error) from error
    try:
        yield folder
        with writing_run(out):
            folder.chmod(0o755)  # mkdtemp makes it readable for the owner alone
            _replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def writing_run(out: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a FitError that names the run.

    Raises:
        FitError: for instance, the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise _cannot_write(out, error) from error


def write_run(folder: Path, result: FitResult) -> None:
    """Write all files of a run.

    They are ``run.json`` (options, clips and scores), ``head.safetensors`` (weights of the best
    seed on val, and scalings), ``clips.csv``, ``history.csv``, ``curves.png``, and for each target
    ``predictions.csv`` and a plot. Of an exact head, whose seeds are all the same, they hold one.

    Args:
        folder: an empty folder.
        result: the run.
    """
    write_clip_ids(folder, result.data, result.inherited)
    for target in result.data.targets:
        scores = result.all_scores[target.name].items()
        table = prediction_columns(
            target, {split: result.written_scores(found) for split, found in scores},
            result.data.splits,
            all_classes=result.options.all_probabilities,
        )  # fmt: skip
        write_target(folder, result, target, table)
    rounds = [row for done in result.written_outcomes for row in done.history]
    write_table(folder / "history.csv", history_columns(rounds, result.headline))
    plot_curves(folder / "curves.png", result)
    tensors = {f"head/{name}": tensor for name, tensor in result.best.kept.items()}
    tensors |= scaling_tensors(result.data.scalings)
    weights = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    (folder / WEIGHTS_FILE).write_bytes(weights)
    write_document(folder, document_of(result))


def write_target(
    folder: Path, result: FitResult, target: Target, predictions: Mapping[str, Column]
) -> None:
    """Write the predictions of one target, and their plot if there is one.

    Args:
        folder: folder of the run.
        result: the run.
        target: the target.
        predictions: columns of its table of predictions.
    """
    mark = "" if target.name == result.data.target else f"-{file_name(target.name)}"
    write_table(folder / f"predictions{mark}.csv", predictions)
    if target.task in ("classify", "pairs") and len(target.classes) <= MOST_PICTURED:
        plot_confusion(folder / f"confusion{mark}.png", result, target)
    elif target.task == "regress":
        plot_numbers(folder / f"numbers{mark}.png", result, target)


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``run.json``; numbers that are not finite become null, because JSON has none."""
    text = json.dumps(_without_nan(document), indent=2, ensure_ascii=False)
    (folder / RUN_FILE).write_text(text + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """Return a value for JSON, in which each float that is not finite is None."""
    if isinstance(value, Mapping):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def history_columns(rounds: Sequence[Round], headline: str) -> dict[str, list[object]]:
    """Return the columns of ``history.csv``: the fields of each round, with 6 digits.

    Args:
        rounds: the rounds.
        headline: name of the score by which rounds were chosen, used in a column's name.
    """
    titles = {"val_score": f"val_{headline}"}
    return {
        titles.get(field.name, field.name): [_short(getattr(row, field.name)) for row in rounds]
        for field in dataclasses.fields(Round)
    }


def _short(value: object) -> object:
    """Return a float as text with 6 digits, and other values and NaN as they are."""
    is_number = isinstance(value, float) and not math.isnan(value)
    return f"{value:.6g}" if is_number else value


def document_of(result: FitResult) -> dict[str, Any]:
    """Return the contents of ``run.json``."""
    best = result.best.best
    asked = options_document(result.options, result.head_options)
    document = {
        "format_version": RUN_FORMAT_VERSION,
        "head": asked["head"] | _code_of(result.options.head),
        "target": result.data.target,
        "classes": list(result.classes),
        "targets": [
            {**dataclasses.asdict(target), "classes": list(target.classes)}
            for target in result.data.targets
        ],
        "streams": {
            source.name: {"fingerprint": source.recipe.fingerprint, "dim": source.spec.dim}
            for source in result.data.sources
        },
        "recipes": {
            source.name.partition("/")[0]: source.recipe.to_json() for source in result.data.sources
        },
        "manifest": {
            "path": str(result.manifest.path.absolute()), "sha256": result.manifest.sha256,
            "columns": dict(result.manifest.columns), **_root_of(result.manifest),
        },
        "features": [str(path.absolute()) for path in result.features],
        "options": asked["options"],
        "question": result.question,
        "kept": {
            "seed": best.seed, "round": best.round, f"val_{result.headline}": best.val_score,
        },
        "splits": {name: len(split.ids) for name, split in result.data.splits.items()},
        "notes": result.notes,
        "drawn": result.data.drawn_over,
        "metrics": result.metrics,
        "metrics_of_others": {
            name: found for name, found in result.all_metrics.items() if name != result.data.target
        },
        "scored_before_by": list(result.earlier.runs),
        "settings_before": result.earlier.settings,
        "missing": result.missing_metrics,
        "seconds": round(result.seconds, 3),
        "versions": {
            "emo": emo.__version__, "python": platform.python_version(),
            "torch": torch.__version__, "numpy": np.__version__,
            "threads": result.options.threads or torch.get_num_threads(), "device": "cpu",
            "precision": "bfloat16" if result.options.loop.bf16 else "float32",
        },
        "made_with": {
            source.name.partition("/")[0]: joined_versions(
                {**folder.versions, **({"code": folder.code} if folder.code else {})}
                for folder in source.folders
            )
            for source in result.data.sources
        },
    }  # fmt: skip
    if result.best.choice is not None:
        document["fusion"] = result.best.choice.to_json()
    if result.best.settings:
        document["chosen"] = dict(result.best.settings)
    if result.data.speakers is not None:  # the head read test clips, without their labels
        document["transductive"] = True
    if result.before_search:
        document["before_search"] = dict(result.before_search)
    if result.data.seen:
        document["seen"] = list(result.data.seen)
    return document | {"asked": commands_of(document, relative=True)}


def _root_of(manifest: Manifest) -> dict[str, str]:
    """Return ``root``, the folder of the media; empty: it is the manifest's own folder."""
    root, own = (os.path.abspath(each) for each in (manifest.root, manifest.path.parent))
    return {} if root == own else {"root": root}


def options_document(options: FitOptions, head_options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of ``run.json`` that hold the options: ``head`` and ``options``.

    Args:
        options: options of the fit.
        head_options: the head's own options, defaults included.
    """
    fields = options.flat()
    head = {"name": fields.pop("head"), "options": dict(head_options)}
    for name in ("head_options", "target"):  # ``head`` and ``targets`` hold these
        del fields[name]
    found: dict[str, Any] = json.loads(json.dumps({"head": head, "options": fields}))
    return found


def _code_of(head: str) -> dict[str, str]:
    """Return ``code``, the hash of the code of a head that is no part of emo; else empty."""
    if ":" not in head:
        return {}
    kind = plugins.load(plugins.HEADS, head, Head)  # type: ignore[type-abstract]
    code = plugins.code_hash(kind) or code_files_hash(kind)
    return {} if code is None else {"code": code}


def _replace(folder: Path, out: Path) -> None:
    """Rename ``folder`` to ``out``; an older run there is moved away first and then removed.

    Files in ``out`` that the older run did not write are moved into the new folder. If that fails,
    they stay beside ``out``.

    Raises:
        FitError: the older run was moved away, and the disk takes neither the new nor the old one.
            The next fit moves it back, see :func:`emo.heads.runs.files.move_back`.
        OSError: the disk fails otherwise; the older run is in its place.
    """
    if not out.exists():
        os.rename(folder, out)
        return
    older = Path(tempfile.mkdtemp(prefix=f"{OLDER}{out.name}-", dir=out.parent))
    try:
        os.rename(out, older / out.name)
        os.rename(folder, out)
    except OSError as error:
        try:
            if not out.exists():
                os.rename(older / out.name, out)
        except OSError:
            raise FitError(
                f"{out} cannot be written: {system_reason(error)}; the earlier run is in "
                f"{older / out.name}, and the next fit of {out} moves it back"
            ) from error
        with contextlib.suppress(OSError):
            older.rmdir()
        raise
    for path in files_of_others(older / out.name):
        if not (out / path.name).exists():
            os.rename(path, out / path.name)
    shutil.rmtree(older, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    """Return whether the path is a folder without entries."""
    return path.is_dir() and not any(path.iterdir())


def _cannot_write(out: Path, error: OSError) -> FitError:
    """Return the error for a run that cannot be written."""
    return FitError(f"{out} cannot be written: {system_reason(error)}; choose another --out")
