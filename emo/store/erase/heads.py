"""Which fitted heads and adapted weights saw the clips, and whether they keep tokens of them.

A head that keeps rows of its training data (the support vectors of a kernel head, the prototypes
of a nearest-neighbour head) keeps tokens of persons. Rows of a head's weights are compared with
the clips' tokens and with their mean, as stored and as the run scales its streams.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo.store.adapted import ADAPTATION_FILE, SEEN_CLIPS_FILE, parse_clip_ids
from emo.store.backend.location import Location
from emo.store.erase.edits import ErasedClips

_RUN_FILE, _WEIGHTS = "run.json", "head.safetensors"
_DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
_VECTORS = "head/vectors_"
"""Beginning of the names of the support vectors of head ``svm``."""
_OTHER_SCALES = ("/speaker_mean", "/is_unit")
"""Ends of the names of scalings that are not undone here; support vectors then count as tokens."""
_CLOSE = 1e-3
_MOST_ROWS = 4096
"""Tokens that are compared with a head's rows; the clips' means always are."""


@dataclass(frozen=True)
class Fitted:
    """A run, or weights of `emo adapt`, fitted on the clips."""

    path: str
    """Folder of the run."""
    kind: str
    """``head`` or ``weights``."""
    clips: Mapping[str, int]
    """Split -> number of the erased clips in it; those of ``test`` were only scored."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def fitted_on(files: Iterable[Location], clips: ErasedClips) -> list[Fitted]:
    """Return the runs among some files whose list of clips names one of the erased ones."""
    found: list[Fitted] = []
    names: dict[Location, set[str]] = {}
    for path in files:
        names.setdefault(path.parent, set()).add(path.name)
    for folder, inside in names.items():
        if SEEN_CLIPS_FILE not in inside or not inside & {_RUN_FILE, ADAPTATION_FILE}:
            continue
        try:
            known = parse_clip_ids((folder / SEEN_CLIPS_FILE).read_bytes())
        except (OSError, ValueError):
            continue
        counts = {split: len(ids & clips.ids) for split, ids in sorted(known.items())}
        kind = "weights" if ADAPTATION_FILE in inside else "head"
        if any(counts.values()):
            own = {split: count for split, count in counts.items() if count}
            found.append(Fitted(str(folder), kind, own))
    return found


def keeps_tokens(weights: Path, tokens: Iterable[np.ndarray]) -> bool:
    """Return whether rows of a head's weights are tokens of the clips, or means of them.

    Args:
        weights: ``head.safetensors`` of a run.
        tokens: tokens (T, D) of each erased clip in each stream.
    """
    try:
        data = weights.read_bytes()
        tensors, names = dict(_tensors(data)), _header(data)
    except (OSError, ValueError, KeyError):
        return False
    if any(name.startswith(_VECTORS) for name in names) and any(
        name.endswith(_OTHER_SCALES) for name in names
    ):
        return True
    stored = [rows for name, rows in tensors.items() if rows.ndim == 2 and "scaling/" not in name]
    scalings = [
        (tensors[name], tensors[f"{name.removesuffix('centre')}scale"])
        for name in tensors
        if name.endswith("/centre") and f"{name.removesuffix('centre')}scale" in tensors
    ]
    for clip in tokens:
        one = clip.astype(np.float32)
        rows = np.concatenate([one.mean(axis=0, keepdims=True), one[:_MOST_ROWS]])
        forms = [rows] + [
            (rows - centre) * scale
            for centre, scale in scalings
            if {centre.size, scale.size} <= {1, rows.shape[1]}
        ]
        if any(_has_row(each, form) for each in stored for form in forms):
            return True
    return False


def _has_row(stored: np.ndarray, rows: np.ndarray) -> bool:
    """Return whether a row of one array nearly equals a row of the other."""
    if stored.shape[1] != rows.shape[1] or rows.shape[1] < 4:
        return False
    for row in rows:
        scale = _CLOSE * max(float(np.abs(row).max()), 1e-6)
        if (np.abs(stored - row).max(axis=1) <= scale).any():
            return True
    return False


def _tensors(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the floating-point tensors of a safetensors file."""
    size = int.from_bytes(data[:8], "little")
    for name, facts in _header(data).items():
        if name != "__metadata__" and facts["dtype"] in _DTYPES:
            start, stop = (8 + size + at for at in facts["data_offsets"])
            array = np.frombuffer(data[start:stop], _DTYPES[facts["dtype"]])
            yield name, array.astype(np.float32).reshape(facts["shape"])


def _header(data: bytes) -> dict[str, Any]:
    """Return the header of a safetensors file: facts on each tensor by name."""
    size = int.from_bytes(data[:8], "little")
    found: dict[str, Any] = json.loads(data[8 : 8 + size])
    return found
