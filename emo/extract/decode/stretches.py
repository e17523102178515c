"""Cut long clips into consecutive stretches, so that memory does not grow with their length.

A backbone that works in windows says how long a stretch may be (``Backbone.stretch_seconds``).
Each stretch is decoded, prepared and encoded like a short clip, and the tokens are joined in time
order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from emo.extract.decode.decode import probe_seconds
from emo.extract.decode.faults import join_notes
from emo.extract.decode.limits import media_limits
from emo.extract.decode.source import ClipSource

_MOST_STRETCHES = 100_000
"""Most stretches of a clip: 277 days of sound in stretches of 240 s."""
ClipTokens = Mapping[str, np.ndarray]
"""Tokens of a clip or stretch: stream -> (T, D)."""


@dataclass(frozen=True, eq=False)
class StretchResult:
    """Tokens of one stretch of a clip for one backbone, or the reason why it has none."""

    tokens: ClipTokens = field(default_factory=dict)
    """Stream -> (T, D); empty after a failure."""
    failure: str | None = None
    """Reason why the stretch could not be decoded, prepared or encoded; None: it could."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Absent stream -> reason, see ``Prepared.absent``."""
    notes: Mapping[str, float] = field(default_factory=dict)
    """Name -> number to store beside the tokens, see ``Prepared.notes``."""


def stretches_of(source: ClipSource, seconds: float | None) -> list[ClipSource]:
    """Cut a clip into stretches of ``seconds``.

    The clip stays whole when ``seconds`` is None or the clip is shorter. Its length is what the
    file's headers declare; the last stretch has no end of its own, in case they declare too little.
    A file that declares thousands of years stays whole, too: then the limit of memory decides. So
    does a clip that is longer than ``--max-seconds`` allows, which then fails.
    """
    length = probe_seconds(source) if seconds else None
    if not seconds or not length or length <= seconds or length / seconds > _MOST_STRETCHES:
        return [source]
    if length > (media_limits().clip_seconds or np.inf):
        return [source]
    first = source.start_seconds or 0.0
    starts = first + np.arange(int(np.ceil(length / seconds - 1e-6))) * seconds
    ends = [*starts[1:].tolist(), source.end_seconds]
    return [  # the text belongs to the whole clip: it goes with the first stretch
        replace(source, start_seconds=low, end_seconds=high, text=None if index else source.text)
        for index, (low, high) in enumerate(zip(starts.tolist(), ends, strict=True))
    ]


def join_stretches(pieces: Sequence[StretchResult]) -> StretchResult:
    """Join the results of a clip's stretches, in time order, to the result of the clip.

    One failed stretch makes the clip fail. A stream that is absent in some stretches has the tokens
    of the others. Notes are averaged; seconds and counts of damage are added up.
    """
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
        for piece in reversed(pieces)  # the reason of the first stretch is kept
        for name, reason in piece.absent.items()
        if name not in names
    }
    return StretchResult(tokens, None, absent, join_notes(piece.notes for piece in pieces))
