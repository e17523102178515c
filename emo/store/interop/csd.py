"""csd: computational sequences of the CMU Multimodal SDK (CMU-MOSI, CMU-MOSEI, POM), one or many.

Source: CMU-MultiComp-Lab/CMU-MultimodalSDK, mmsdk/mmdatasdk/computational_sequence. A file is HDF5:
ROOT/data/ID/features (T, D), ROOT/data/ID/intervals (T, 2) in seconds, ROOT/metadata/….
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emo.errors import StoreError, plural
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.kinds import AnyJson
from emo.store.exchange.clip_folder import check_folder
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.hdf5_checks import collect_datasets
from emo.store.exchange.labels import cell_text
from emo.store.exchange.per_clip import ClipArray, array_of, streams_of_clips

_MOST_NAMES = 1_000_000
_MOST_TEXT = 20_000
"""Most letters of a value of the metadata that are kept."""


@dataclass(frozen=True)
class CsdOptions:
    """Options for reading computational sequences."""

    times: bool = field(
        default=False,
        metadata={"help": "Keep the intervals as a stream STREAM-intervals (T, 2) in seconds."},
    )
    labels: str = field(
        default="label",
        metadata={"help": "Sequences with this word in their name are labels, not streams."},
    )


class Csd(Format):
    """A .csd file, or a folder of them: each is a stream; aligned ids such as ID[3] are kept."""

    extension = ".csd"
    can_write = False
    ReadOptions = CsdOptions

    @contextmanager
    def read(self, path: Path, options: CsdOptions) -> Iterator[Contents]:
        """Find the clips in all sequences; metadata are kept in the recipe."""
        if path.is_dir():
            check_folder(path)
        files = sorted(path.glob("*.csd")) if path.is_dir() else [path]
        if not files:
            raise StoreError(f"{path}: no file in it is called NAME.csd")
        budget = self.budget(path)
        streams: dict[str, dict[str, ClipArray]] = {}
        metadata: dict[str, dict[str, Any]] = {}
        cells: dict[str, dict[str, str]] = {}
        lines: list[str] = []
        with ExitStack() as stack:
            for file in files:
                opened = stack.enter_context(_opened(file))
                found = _sequences(opened, file, budget)
                metadata |= found.metadata
                for name, texts in found.texts.items():
                    lines.append(f"{name}: text, no tokens; it is a column of the manifest")
                    for clip_id, text in texts.items():
                        cells.setdefault(clip_id, {})[name] = text
                for name, arrays in found.features.items():
                    if options.labels and options.labels in name.lower():
                        lines += _add_labels(cells, name, arrays, found.intervals[name])
                        continue
                    if name in streams:
                        raise StoreError(f"{file}: the sequence {name!r} is in another file, too")
                    streams[name] = arrays
                    if options.times:
                        streams[f"{name}-intervals"] = found.intervals[name]
            if not streams:
                raise StoreError(f"{path}: holds labels alone; -o labels=none reads them as tokens")
            ids = list(dict.fromkeys(i for found in streams.values() for i in found))
            _add_times(cells, ids, streams, options)
            yield Contents(
                ids, streams_of_clips(streams, ids, {}),
                cells={i: cells[i] for i in ids if i in cells},
                facts={"metadata": metadata}, lines=(*_lines(ids, streams), *lines),
            )  # fmt: skip


@dataclass(frozen=True)
class _Sequences:
    """What one file holds, by the names of its sequences."""

    features: Mapping[str, dict[str, ClipArray]]
    intervals: Mapping[str, dict[str, ClipArray]]
    metadata: Mapping[str, dict[str, Any]]
    texts: Mapping[str, dict[str, str]]
    """Words of the clips, joined; the SDK's ``sp`` (a pause) is left out."""


@contextmanager
def _opened(file: Path) -> Iterator[h5py.File]:
    try:
        opened = h5py.File(file, "r")
    except OSError as error:
        raise StoreError(f"{file}: not an HDF5 file: {error}") from error
    with opened:
        yield opened


def _sequences(opened: h5py.File, file: Path, budget: Budget) -> _Sequences:
    """Return the sequences of a file."""
    parts: dict[str, dict[str, dict[str, ClipArray]]] = {"features": {}, "intervals": {}}
    metadata: dict[str, dict[str, Any]] = {}
    texts: dict[str, dict[str, str]] = {}
    for name, dataset in collect_datasets(opened, file, budget, most_names=_MOST_NAMES).items():
        root, _, rest = name.partition("/")
        kind, _, inner = rest.partition("/")
        if kind == "metadata":
            metadata.setdefault(_plain(root), {})[inner] = _value(dataset)
            continue
        clip_id, _, member = inner.rpartition("/")
        if kind != "data" or member not in parts or not clip_id:
            raise StoreError(
                f"{file}: expected ROOT/data/ID/features and ROOT/data/ID/intervals, found {name}"
            )
        if len(dataset.shape) == 2 and not dataset.shape[0]:
            continue
        if member == "features" and h5py.check_string_dtype(dataset.dtype) is not None:
            words = map(cell_text, np.asarray(dataset[()]).reshape(-1))
            texts.setdefault(_plain(root), {})[clip_id] = " ".join(w for w in words if w != "sp")
            continue
        array = array_of(
            dataset.shape, dataset.dtype, partial(dataset.__getitem__, ()), f"{file}: {name}"
        )
        parts[member].setdefault(_plain(root), {})[clip_id] = array
    for root, arrays in parts["features"].items():
        times = parts["intervals"].get(root, {})
        for clip_id, array in arrays.items():
            if clip_id not in times or times[clip_id].tokens != array.tokens:
                have = times[clip_id].tokens if clip_id in times else "no"
                raise StoreError(
                    f"{file}: {root}: {clip_id} has {have} intervals for "
                    f"{plural(array.tokens, 'token')}"
                )
    if not parts["features"] and not texts:
        raise StoreError(f"{file}: no computational sequence: it has no ROOT/data/ID/features")
    return _Sequences(parts["features"], parts["intervals"], metadata, texts)


def _plain(root: str) -> str:
    """Return the name of a sequence as that of a stream."""
    letters = [each if each.isalnum() or each in "_.-" else "-" for each in root]
    return "".join(letters).lstrip("-_.") or root


def _value(dataset: Any) -> Any:
    """Return a value of the metadata, which the SDK writes as JSON text."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        return [cell_text(each) for each in np.asarray(dataset[()]).reshape(-1)[:100]]
    texts = np.asarray(dataset.asstr(errors="replace")[()], object).reshape(-1)[:100]
    kept = [str(each)[:_MOST_TEXT].encode("utf-8", "replace").decode() for each in texts]
    if len(kept) != 1:
        return kept
    try:
        found = parse_checked(kept[0], AnyJson(), most_bytes=4 * _MOST_TEXT)
        json.dumps(found, ensure_ascii=False).encode()  # halves of characters cannot be written
    except (DocumentError, UnicodeEncodeError):
        return kept[0]
    return found


def _add_labels(
    cells: dict[str, dict[str, str]],
    name: str,
    arrays: Mapping[str, ClipArray],
    intervals: Mapping[str, ClipArray],
) -> list[str]:
    """Add labels of one row as columns; return a line about videos with several (segments)."""
    several = []
    for clip_id, array in arrays.items():
        values = np.asarray(array.read(), float)
        if len(values) == 1:
            row = cells.setdefault(clip_id, {})
            start, end = np.asarray(intervals[clip_id].read(), float)[0][:2]
            row |= {"start_seconds": cell_text(start), "end_seconds": cell_text(end)}
            names = (
                [name] if values.shape[1] == 1 else [f"{name}_{k}" for k in range(values.shape[1])]
            )
            row |= {key: cell_text(value) for key, value in zip(names, values[0], strict=True)}
        else:
            several.append(clip_id)
    if not several:
        return []
    return [
        f"{name}: {plural(len(several), 'video')} such as {several[0]} with several labelled "
        "segments: their labels are left out; align the sequences to them with mmsdk, or -o "
        "labels=none keeps them as tokens"
    ]


def _add_times(
    cells: dict[str, dict[str, str]],
    ids: list[str],
    streams: Mapping[str, Mapping[str, ClipArray]],
    options: CsdOptions,
) -> None:
    """Add the dialogue of aligned ids ``ID[3]``: the video, and the segment as its turn."""
    for clip_id in ids:
        video, bracket, number = clip_id.removesuffix("]").rpartition("[")
        if clip_id.endswith("]") and bracket and number.isdecimal():
            cells.setdefault(clip_id, {})
            cells[clip_id] = {"dialogue": video, "turn": number, **cells[clip_id]}


def _lines(ids: list[str], streams: Mapping[str, Mapping[str, ClipArray]]) -> list[str]:
    """Return lines for people: what the ids are, and whether streams are aligned."""
    pairs = [found for name, found in streams.items() if not name.endswith("-intervals")]
    is_aligned = len(pairs) > 1 and all(
        len({found[i].tokens for found in pairs if i in found}) == 1 for i in ids
    )
    segments = sum(clip_id.endswith("]") for clip_id in ids)
    what = f"{segments:,} segments VIDEO[K]" if segments else "whole videos"
    note = ["the streams of each clip have equally many tokens (aligned)"] * is_aligned
    return [f"ids: keys of the sequences, {what}", *note]
