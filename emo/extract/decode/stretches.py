"""Long clips in consecutive stretches, so that memory does not grow with their length.

A backbone that works in windows says how long a stretch may be; each is decoded, prepared and
encoded like a short clip, and the tokens are joined in time order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from emo.extract.decode.decode import probe_seconds
from emo.extract.decode.source import ClipSource

Tokens = Mapping[str, np.ndarray]
"""Stream -> (T, D)."""


@dataclass(frozen=True, eq=False)
class StretchResult:
    """What one stretch of a clip gave."""

    tokens: Tokens = field(default_factory=dict)
    failure: str | None = None
    """Why it could not be decoded, prepared or encoded."""
    absent: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)


def stretches_of(source: ClipSource, seconds: float | None) -> list[ClipSource]:
    """The clip cut into stretches of ``seconds``; None, or a clip that is shorter: as it is.

    How long it lasts is what its headers say; the last stretch is open, should they say too little.
    """
    length = probe_seconds(source) if seconds else None
    if not seconds or not length or length <= seconds:
        return [source]
    first = source.start_seconds or 0.0
    starts = first + np.arange(int(np.ceil(length / seconds - 1e-6))) * seconds
    ends = [*starts[1:].tolist(), source.end_seconds]
    return [  # the text belongs to the whole clip: it goes with the first stretch
        replace(source, start_seconds=low, end_seconds=high, text=None if index else source.text)
        for index, (low, high) in enumerate(zip(starts.tolist(), ends, strict=True))
    ]


def join_stretches(pieces: Sequence[StretchResult]) -> StretchResult:
    """One clip from its stretches: a failed one fails all; a stream may be absent in some."""
    failure = next((piece.failure for piece in pieces if piece.failure is not None), None)
    if len(pieces) == 1 or failure is not None:
        return pieces[0] if failure is None else StretchResult(failure=failure)
    names = dict.fromkeys(name for piece in pieces for name in piece.tokens)
    tokens = {
        name: np.concatenate([piece.tokens[name] for piece in pieces if name in piece.tokens])
        for name in names
    }
    absent = {
        name: reason
        for piece in reversed(pieces)  # the first stretch has the last word
        for name, reason in piece.absent.items()
        if name not in names
    }
    keys = dict.fromkeys(key for piece in pieces for key in piece.notes)
    notes = {
        key: float(np.mean([piece.notes[key] for piece in pieces if key in piece.notes]))
        for key in keys
    }
    return StretchResult(tokens, None, absent, notes)
