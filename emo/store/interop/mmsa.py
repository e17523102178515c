"""mmsa: the pickle of MMSA and MMSA-FET, with padded arrays, ids, texts and labels by split.

Source: thuiar/MMSA, data_loader.py; thuiar/MMSA-FET, main.py.
"""

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.budget import Budget
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import DOCUMENT, Contents, StreamTokens, parse_document
from emo.store.exchange.format import Format
from emo.store.exchange.named_arrays import ArrayOptions, find_clips, ids_as_text
from emo.store.exchange.unpickle import cells_of_nested, read_pickle

SPLIT_OF_NAME = {"train": "train", "valid": "val", "test": "test"}
"""MMSA's name of a split -> the manifest's name."""
_LABELS = {
    "regression_labels": "label", "regression_labels_T": "label_T",
    "regression_labels_A": "label_A", "regression_labels_V": "label_V",
    "label_T": "label_T", "label_A": "label_A", "label_V": "label_V",
    "annotations": "annotation", "classification_labels": "class",
}  # fmt: skip
"""MMSA's key of labels -> column of a manifest."""
_NOT_TOKENS = ("text_bert", "raw_text")
"""Keys that are not streams."""


@dataclass(frozen=True)
class MmsaReadOptions(ArrayOptions):
    """Options for reading the pickle."""

    ids: str | None = field(default="id", metadata={"help": "The key of the clip ids."})
    split_in_id: bool = field(
        default=False,
        metadata={"help": "Put the split before each id, if ids occur in several splits."},
    )


@dataclass(frozen=True)
class MmsaWriteOptions:
    """Options for writing the pickle."""

    label: str = field(default="label", metadata={"help": "The column of the labels."})


class Mmsa(Format):
    """For train, valid and test: id, raw_text, labels; for a stream X, X (N, L, D), X_lengths."""

    extension = ".pkl"
    is_pickle = True
    ReadOptions = MmsaReadOptions
    WriteOptions = MmsaWriteOptions

    @contextmanager
    def read(self, path: Path, options: MmsaReadOptions) -> Iterator[Contents]:
        """Find the clips of all splits; a text stream without lengths takes BERT's mask."""
        budget = self.budget(path)
        data = read_pickle(path, budget)
        if not isinstance(data, dict) or not set(SPLIT_OF_NAME) & data.keys():
            keys = list(data)[:8] if isinstance(data, dict) else type(data).__name__
            raise StoreError(f"{path}: expected a dict of {', '.join(SPLIT_OF_NAME)}; found {keys}")
        try:
            contents = _contents(data, path, options, budget)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{path}: not in MMSA's layout: {error!r}") from error
        yield contents

    def write(self, contents: Contents, path: Path, options: MmsaWriteOptions) -> None:
        """Write padded arrays by split, from a manifest's splits; ``video`` becomes ``vision``."""
        rows = _rows_by_split(contents)
        padded = {name: _padded(stream) for name, stream in contents.streams.items()}
        names = {name: name for name in padded}
        if "video" in names and "vision" not in names:
            names["video"] = "vision"
        data: dict[str, Any] = {}
        for split, index in rows.items():
            ids = [contents.ids[k] for k in index]
            cells = [contents.cells[clip_id] for clip_id in ids]
            part: dict[str, Any] = {"id": ids, "raw_text": [c.get("text", "") for c in cells]}
            for name, array in padded.items():
                part[names[name]] = array[index]
                lengths = contents.streams[name].lengths[index]
                part[f"{names[name]}_lengths"] = lengths.tolist()
            data[split] = part | _labels(ids, cells, options.label)
        order = {clip_id: k for k, clip_id in enumerate(contents.ids)}
        extra = {"names": {new: old for old, new in names.items()}, "order": order}
        data[DOCUMENT] = json.dumps({**contents.document(), **extra}, ensure_ascii=False)
        with open(path, "wb") as file:
            pickle.dump(data, file, protocol=4)


def _contents(
    data: dict[str, Any], path: Path, options: MmsaReadOptions, budget: Budget
) -> Contents:
    """Return the clips of all splits together."""
    document: Mapping[str, Any] = {}
    if isinstance(data.get(DOCUMENT), str):
        document = parse_document(data[DOCUMENT], path)
        specs, names = document.get("streams", {}), document.get("names", {})
        theirs = {new: specs.get(old, {}) for new, old in names.items()}
        document = {**document, "streams": theirs or specs}
    parts = []
    for split in SPLIT_OF_NAME:
        if split in data and len(data[split].get(options.ids or "id", ())):
            arrays, where = _arrays(data[split], split, options, budget), Path(f"{path}[{split}]")
            part = find_clips(arrays, where, options, budget, document=document)
            parts.append(replace(part, cells=_cells(data[split], split, options)))
    if not parts:
        raise StoreError(f"{path}: no clips in any split")
    return _joined(parts, path, document)


def _arrays(part: Any, split: str, options: MmsaReadOptions, budget: Budget) -> dict[str, Any]:
    """Return the arrays of a split; lengths of the text come from BERT's mask if needed."""
    found = {
        key: _array(key, value, budget)
        for key, value in part.items()
        if key not in _LABELS and key != "raw_text" and len(value)
    }
    if "text" in found and "text_lengths" not in found and "text_bert" in found:
        mask = found["text_bert"][:, 1]  # (N, 3, L): ids, mask, segments -> (N, L)
        found["text_lengths"] = (mask != 0).sum(axis=1)
    found[options.ids or "id"] = np.array(_ids(part, split, options))
    return {key: value for key, value in found.items() if key not in _NOT_TOKENS}


def _array(key: str, value: Any, budget: Budget) -> np.ndarray:
    """Return a value of the dict as an array; lists that stand in it many times are counted so."""
    if isinstance(value, np.ndarray):
        return value
    budget.take(8 * cells_of_nested(value), f"list {str(key)[:60]}")
    if isinstance(value, list) and any(isinstance(each, str | bytes) for each in value):
        texts = np.empty(len(value), object)
        texts[:] = value
        return texts
    return np.array(value)


def _ids(part: Any, split: str, options: MmsaReadOptions) -> list[str]:
    """Return the clip ids of a split, with the split in front if wanted."""
    ids = ids_as_text(np.array(part[options.ids or "id"]).reshape(-1).tolist())
    return [f"{SPLIT_OF_NAME[split]}/{clip_id}" for clip_id in ids] if options.split_in_id else ids


def _cells(part: Any, split: str, options: MmsaReadOptions) -> dict[str, dict[str, str]]:
    """Return clip id -> column of a manifest -> cell: split, text and labels."""
    rows = [{"split": SPLIT_OF_NAME[split]} for _ in part[options.ids or "id"]]
    for key, column in {"raw_text": "text", **_LABELS}.items():
        if key in part and len(part[key]) == len(rows):
            for row, value in zip(rows, _flat(part[key]), strict=True):
                row |= {column: str(value)} if value is not None and str(value).strip() else {}
    return dict(zip(_ids(part, split, options), rows, strict=True))


def _flat(values: Any) -> list[Any]:
    """Return labels or texts as a list; numpy would give every text the room of the longest."""
    if isinstance(values, list) and all(isinstance(each, str | None) for each in values):
        return values
    flat: list[Any] = np.asarray(values).reshape(-1).tolist()
    return flat


def _joined(parts: list[Contents], path: Path, document: Mapping[str, Any]) -> Contents:
    """Join the splits; if the file records the order of the store it came from, restore it."""
    ids = [clip_id for part in parts for clip_id in part.ids]
    first = parts[0]
    streams = {}
    for name, rows in first.streams.items():
        for part in parts:
            if name not in part.streams or part.streams[name].spec != rows.spec:
                raise StoreError(f"{path}: stream {name!r} differs from one split to another")
        read = [part.streams[name].read(0, len(part.ids)) for part in parts]
        values = np.concatenate([each.values for each in read])
        lengths = np.concatenate([part.streams[name].lengths for part in parts])
        streams[document.get("names", {}).get(name, name)] = (rows.spec, values, lengths)
    order = document.get("order", {})
    chosen = sorted(range(len(ids)), key=lambda k: order.get(ids[k], k)) if order else None
    return Contents(
        [ids[k] for k in chosen] if chosen else ids,
        {name: _resident(*stream, chosen) for name, stream in streams.items()},
        absent=first.absent, failures=first.failures, notes=first.notes, made_by=first.made_by,
        ignored=first.ignored,
        cells=document.get("cells") or {k: row for part in parts for k, row in part.cells.items()},
    )  # fmt: skip


def _resident(spec: Any, values: np.ndarray, lengths: np.ndarray, chosen: Any) -> StreamTokens:
    """Return a stream of tokens that are in memory.

    Args:
        spec: width, dtype and meaning of a token.
        values: (ΣT, D), the tokens of all clips.
        lengths: int64 (N,), the tokens of each clip.
        chosen: indices of the clips in the wanted order; None: as they are.
    """
    ragged = Ragged(values, offsets_of(lengths))
    if chosen is not None:
        ragged = ragged.select(chosen)
    return StreamTokens(spec, ragged.lengths, lambda first, last: ragged.select(range(first, last)))


def _rows_by_split(contents: Contents) -> dict[str, np.ndarray]:
    """Return MMSA's name of a split -> int64 indices of its clips."""
    found = {}
    ours = [contents.cells.get(clip_id, {}).get("split", "") for clip_id in contents.ids]
    for theirs, name in SPLIT_OF_NAME.items():
        found[theirs] = np.array([k for k, split in enumerate(ours) if split == name], np.int64)
    known = set(SPLIT_OF_NAME.values())
    without = [contents.ids[k] for k, split in enumerate(ours) if split not in known]
    if without:
        raise StoreError(
            f"{plural(len(without), 'clip')} in no split, the first: {without[0]!r}; an mmsa file "
            "has the splits train, valid and test: give --manifest with a column split"
        )
    return found


def _padded(rows: StreamTokens) -> np.ndarray:
    """Return (N, L, D), with zeros after the tokens of each clip."""
    longest = max(1, int(rows.lengths.max(initial=1)))
    padded = np.zeros((len(rows.lengths), longest, rows.spec.dim), rows.spec.dtype)
    for first, ragged in rows.blocks():
        for row, tokens in enumerate(ragged, start=first):
            padded[row, : len(tokens)] = tokens
    return padded


def _labels(ids: list[str], cells: list[Mapping[str, str]], column: str) -> dict[str, Any]:
    """Return labels by MMSA's keys: numbers as ``regression_labels``, words as ``annotations``."""
    words = [row.get(column) for row in cells]
    if not any(words):
        return {}
    for clip_id, word in zip(ids, words, strict=True):
        if not word:
            raise StoreError(f"clip {clip_id!r} has no {column}; mmsa needs a label for every clip")
    try:
        return {"regression_labels": np.array([float(str(word)) for word in words], np.float32)}
    except ValueError:
        return {"annotations": [str(word) for word in words]}
