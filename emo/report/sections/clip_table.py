"""All scored rows with the predictions of each run, as compact JSON that the page's table reads."""

import string
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo.errors import line_of
from emo.report.context import Context
from emo.report.group import Group
from emo.report.rows import RunRows

SEED_LETTERS = string.digits + string.ascii_letters
"""Letters that stand for classes where each seed's predictions are kept."""


@dataclass(frozen=True, eq=False)
class ClipTable:
    """The rows of a group of runs."""

    document: dict[str, Any]
    """What the page's script reads: ``cells`` (all labels and predictions), ``clips`` (numbers in
    the page's list of clips), ``causes``, ``speakers``, ``labels`` and ``runs``; each run has
    ``shown``, ``right`` (seeds that are right), ``sure`` and ``own`` (percent) and ``seeds``."""


def clip_table(group: Group, context: Context) -> ClipTable:
    """Return the rows of a group of runs."""
    first = group.rows[group.runs[0].path]
    keys = [*zip(first.ids, first.causes, strict=True)] if first.causes else [*first.ids]
    cells: dict[str, int] = {name: k for k, name in enumerate(first.names)}
    if first.task == "multilabel":
        cells = {}
    document: dict[str, Any] = {
        "task": first.task,
        "clips": [context.clips[each] for each in first.ids],
        "labels": _codes(first, first.labels, cells),
    }
    if first.task == "regress":
        document["decimals"] = first.cell_decimals
    if first.causes:
        document["causes"] = [context.clips[each] for each in first.causes]
    document |= _speakers(first, context)
    runs = []
    for run in group.ranked:
        rows = group.rows[run.path]
        own = [*zip(rows.ids, rows.causes, strict=True)] if rows.causes else [*rows.ids]
        order: Any = slice(None)
        if own != keys:
            row_of = {key: k for k, key in enumerate(own)}
            order = np.array([row_of[key] for key in keys])
        runs.append({"name": context.run_names[run.path], **_run(rows, order, cells)})
    return ClipTable({**document, "runs": runs, "cells": [*map(line_of, cells)]})


def _codes(rows: RunRows, values: np.ndarray, cells: dict[str, int]) -> list[float] | list[int]:
    """Return labels or predictions as numbers of ``cells``, which grows; numbers as they are."""
    if rows.task == "regress":
        return [round(float(value), rows.decimals + 1) for value in values]
    if rows.task == "multilabel":
        return [cells.setdefault(rows.cell(value), len(cells)) for value in values]
    codes = [cells.setdefault(name, len(cells)) for name in rows.names]
    return [codes[value] for value in values.tolist()]


def _run(rows: RunRows, order: Any, cells: dict[str, int]) -> dict[str, Any]:
    """Return what the table shows of one run, its rows in the given order."""
    found: dict[str, Any] = {
        "seeds": len(rows.seeds), "shown": _codes(rows, rows.shown[order], cells),
    }  # fmt: skip
    if rows.task == "regress":
        return found
    found["right"] = rows.is_right.sum(0)[order].tolist()
    for name, values in (("sure", rows.confidence), ("own", rows.label_probability)):
        if values is not None:
            found[name] = np.rint(values[order] * 100).astype(int).tolist()
    if rows.task != "multilabel" and len(rows.seeds) > 1 and len(cells) <= len(SEED_LETTERS):
        found["each"] = [_letters(rows, seed[order], cells) for seed in rows.predictions]
    return found


def _letters(rows: RunRows, values: np.ndarray, cells: dict[str, int]) -> str:
    """Return the predictions of one seed as a letter for each row."""
    letters = [SEED_LETTERS[cells[name]] for name in rows.names]
    return "".join([letters[value] for value in values.tolist()])


def _speakers(rows: RunRows, context: Context) -> dict[str, Any]:
    """Return the speaker of each row as a number, and their names; empty: not known."""
    clips = context.manifests.clips(rows.run.document)
    names: dict[str, int] = {}
    found = []
    for each in rows.ids:
        speaker = clips[each].speaker if each in clips else None
        called = context.names.of("speaker", speaker or "")
        found.append(names.setdefault(called, len(names)))
    return {} if set(names) <= {""} else {"speakers": found, "people": [*names]}
