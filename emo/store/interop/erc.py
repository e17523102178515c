"""erc: pickles of features by dialogue, of DialogueRNN, MMGCN, COSMIC, COGMEN and their heirs.

Source: declare-lab/conv-emotion (dataloader.py), hujingwen6666/MMGCN, Exploration-Lab/COGMEN.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.ragged import Ragged, offsets_of
from emo.store.exchange.contents import Contents, StreamTokens, spec_of
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text
from emo.store.exchange.readers.unjoblib import read_any_pickle

_SPLITS = {
    "train": "train", "dev": "val", "val": "val", "valid": "val", "validation": "val",
    "test": "test",
}  # fmt: skip
_STREAMS = {
    1: ("text",), 2: ("text", "audio"), 3: ("text", "audio", "visual"),
    4: ("text1", "text2", "text3", "text4"),
    6: ("text1", "text2", "text3", "text4", "audio", "visual"),
}  # fmt: skip
"""Number of dicts of features -> their streams, in the order of the published files."""


@dataclass(frozen=True)
class ErcOptions:
    """Options for reading pickles of dialogues."""

    streams: str | None = field(
        default=None,
        metadata={"help": "Names of the features in their order; default: text,audio,visual …"},
    )
    splits: str | None = field(
        default=None,
        metadata={"help": "Splits of the lists of dialogues in their order, such as "
                  "train,val,test."},
    )  # fmt: skip


@dataclass(eq=False)
class _Dialogues:
    """What a file holds, by dialogue."""

    features: dict[str, dict[Any, Any]] = field(default_factory=dict)
    """Stream -> dialogue -> one token for each utterance."""
    columns: dict[str, dict[Any, Any]] = field(default_factory=dict)
    """Column of a manifest -> dialogue -> a value for each utterance."""
    ids: dict[Any, Any] = field(default_factory=dict)
    """Dialogue -> id of each utterance; empty: the file has none."""
    splits: dict[Any, str] = field(default_factory=dict)
    """Dialogue -> split."""


class Erc(Format):
    """A tuple of dicts by dialogue, or lists of dialogues by split; one token for each turn."""

    extension = ".pkl"
    is_pickle = True
    can_write = False
    ReadOptions = ErcOptions

    @contextmanager
    def read(self, path: Path, options: ErcOptions) -> Iterator[Contents]:
        """Find dialogues, utterances and labels; the members are told by what is in them."""
        data = read_any_pickle(path, self.budget(path))
        try:
            if isinstance(data, dict) and _SPLITS.keys() & data.keys():
                found = _of_lists(data, path)
            elif isinstance(data, list) and len(data) > 3:
                found = _of_tuple(data, path, options)
            else:
                raise StoreError(
                    f"{path}: expected a tuple of dicts by dialogue, or a dict of train, dev and "
                    f"test; found {type(data).__name__} of {len(data)}"
                )
            contents = _contents(found, path)
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise StoreError(f"{path}: not a pickle of dialogues: {error!r:.200}") from error
        yield contents


def _of_lists(data: Mapping[str, Any], path: Path) -> _Dialogues:
    """Read a dict of splits, of which each is a list of dialogues that are dicts."""
    found = _Dialogues()
    for name, dialogues in data.items():
        if name not in _SPLITS:
            continue
        for position, dialogue in enumerate(dialogues):
            vid = str(dialogue.get("vid", f"{name}{position}"))
            if vid in found.splits:
                raise StoreError(f"{path}: dialogue {vid!r} is in it twice")
            found.splits[vid] = _SPLITS[name]
            for key, values in dialogue.items():
                kind = _kind({vid: values})
                if kind == "features":
                    found.features.setdefault(str(key), {})[vid] = values
                elif kind != "keys" and key != "vid":
                    column = {"speakers": "speaker", "labels": "label", "sentence": "text",
                              "sentences": "text"}.get(str(key), str(key))  # fmt: skip
                    found.columns.setdefault(column, {})[vid] = values
    return found


def _of_tuple(data: Sequence[Any], path: Path, options: ErcOptions) -> _Dialogues:
    """Read a tuple of dicts by dialogue and of lists of dialogues."""
    kinds = [_kind(each) for each in data]
    features = [each for each, kind in zip(data, kinds, strict=True) if kind == "features"]
    lists = [each for each, kind in zip(data, kinds, strict=True) if kind == "keys"]
    if not features or len(lists) < 2:
        raise StoreError(
            f"{path}: expected features and lists of dialogues by split; found {kinds}"
        )
    found = _Dialogues()
    first = kinds.index("features")
    before = [(kinds[k], data[k]) for k in range(first)]
    after = [
        (kinds[k], data[k]) for k in range(first, len(data)) if kinds[k] in ("words", "numbers")
    ]
    _read_before(before, found, path)
    for kind, each in after:
        found.columns["text" if kind == "words" else "sentiment"] = each
    names = options.streams.split(",") if options.streams else _STREAMS.get(len(features))
    if names is None or len(names) != len(features):
        raise StoreError(
            f"{path}: has {len(features)} dicts of features: name them with -o streams=a,b,…"
        )
    found.features = dict(zip(names, features, strict=True))
    has_ids = bool(found.ids)
    order = options.splits.split(",") if options.splits else _split_names(len(lists), has_ids)
    if len(order) != len(lists) or any(name not in _SPLITS for name in order):
        raise StoreError(
            f"{path}: has {len(lists)} lists of dialogues: name their splits with -o splits="
            "train,test,…"
        )
    for name, keys in zip(order, lists, strict=True):
        for key in keys:
            if found.splits.setdefault(key, _SPLITS[name]) != _SPLITS[name]:
                raise StoreError(f"{path}: dialogue {key!r} is in {name} and in another split")
    return found


def _split_names(count: int, has_ids: bool) -> list[str]:
    """Return the splits of lists of dialogues: RoBERTa's files, without ids, end with valid."""
    if count == 2:
        return ["train", "test"]
    return ["train", "dev", "test"] if has_ids else ["train", "test", "valid"]


def _read_before(before: list[tuple[str, Any]], found: _Dialogues, path: Path) -> None:
    """Tell the dicts before the features: (ids,) speakers, labels(, sentiments)."""
    kinds = [kind for kind, _ in before]
    values = [each for _, each in before]
    if kinds[-1:] != ["numbers"] or not 1 < len(kinds) < 5:
        raise StoreError(f"{path}: expected speakers and labels before the features; found {kinds}")
    if kinds[-2] == "numbers":  # emotions and sentiments
        found.columns["sentiment"] = values.pop()
        kinds.pop()
    found.columns["label"], found.columns["speaker"] = values[-1], values[-2]
    if len(values) > 2:
        found.ids = values[0]


def _kind(value: Any) -> str:
    """Return what a member is: features, words, numbers or one-hot by dialogue, or keys."""
    if not isinstance(value, dict):
        is_list = isinstance(value, list | np.ndarray)
        return "keys" if is_list else "other"
    first = next((each for each in value.values() if len(each)), None)
    if isinstance(first, str):
        return "keys"
    if first is None:
        return "other"
    cell = first[0]
    if isinstance(cell, str | bytes):
        return "words"
    array = np.asarray(cell)
    if array.ndim:
        is_token = array.dtype.kind == "f" and array.ndim == 1
        return "features" if is_token else "one-hot" if array.dtype.kind in "iub" else "other"
    return "numbers" if array.dtype.kind in "iub" else "other"


def _contents(found: _Dialogues, path: Path) -> Contents:
    """Return the utterances in the order of their dialogues."""
    first = next(iter(found.features.values()), {})
    if not first:
        raise StoreError(f"{path}: has no features of any dialogue")
    turns = {key: len(values) for key, values in first.items()}
    for name, each in [*found.features.items(), *found.columns.items()]:
        for key, count in turns.items():
            if key not in each or len(each[key]) != count:
                have = len(each[key]) if key in each else "none"
                raise StoreError(
                    f"{path}: dialogue {key!r}: {name} has {have} for {count} utterances"
                )
    own = [cell_text(i) for key in turns for i in found.ids.get(key, ())]
    is_own = len(own) == sum(turns.values()) and max(Counter(own).values(), default=2) == 1
    ids: list[str] = []
    cells: dict[str, dict[str, str]] = {}
    for key, count in turns.items():
        for turn in range(count):
            clip_id = own[len(ids)] if is_own else f"{cell_text(key)}_{turn}"
            ids.append(clip_id)
            row = {"dialogue": cell_text(key), "turn": str(turn)}
            row |= {"split": found.splits[key]} if key in found.splits else {}
            for name, values in found.columns.items():
                row[name] = _cell(values[key][turn])
            cells[clip_id] = row
    line = "ids: the file's own" if is_own else "ids: DIALOGUE_TURN, as the file has none"
    streams = {
        name: _stream(each, turns, f"{path}: {name}") for name, each in found.features.items()
    }
    return Contents(ids, streams, cells=cells, lines=(line,))


def _cell(value: Any) -> str:
    """Return a label as text; of a one-hot list its position."""
    array = np.asarray(value) if isinstance(value, list | np.ndarray) else None
    return cell_text(value) if array is None else str(int(array.argmax()))


def _stream(each: Mapping[Any, Any], turns: Mapping[Any, int], where: str) -> StreamTokens:
    """Return a stream of one token for each utterance."""
    arrays = []
    for key in turns:
        widths = {np.shape(token) for token in each[key]}
        if len(widths) != 1 or len(next(iter(widths))) != 1:
            raise StoreError(f"{where}: dialogue {key!r}: tokens of shapes {sorted(widths)}")
        arrays.append(np.stack([np.asarray(token) for token in each[key]]))
    kinds = {(array.shape[1], array.dtype.newbyteorder("=").name) for array in arrays}
    if len({width for width, _ in kinds}) > 1:
        raise StoreError(f"{where}: expected tokens of one width, got {sorted(kinds)}")
    values = np.concatenate(arrays)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    lengths = np.ones(len(values), np.int64)

    def read(first: int, last: int) -> Ragged:
        return Ragged(values[first:last], offsets_of(lengths[first:last]))

    spec = spec_of({"streams": {"": {"level": "clip"}}}, "", values.shape[1], values.dtype.name)
    return StreamTokens(spec, lengths, read)
