"""`--missing`: score a head on clips without some of their streams, with no further training."""

from collections.abc import Sequence
from dataclasses import replace

from emo.errors import FitError
from emo.heads.head import Batch
from emo.ragged import Ragged

ALL_STREAMS = ""
"""Name of the variant in which no stream is removed."""


def missing_variants(streams: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the variants to score: by name, the streams that are removed.

    Each stream is removed once alone; with three streams or more, also all but one.

    Raises:
        FitError: there is only one stream.
    """
    if len(streams) < 2:
        raise FitError(f"--missing: expected at least two streams, got {', '.join(streams)}")
    found = {f"without {name}": frozenset([name]) for name in streams}
    if len(streams) > 2:
        found |= {f"only {name}": frozenset(streams) - {name} for name in streams}
    return found


def without_streams(batch: Batch, absent: frozenset[str]) -> Batch:
    """Return the batch with these streams absent from every clip."""
    return replace(
        batch,
        streams={
            name: _made_absent(tokens) if name in absent else tokens
            for name, tokens in batch.streams.items()
        },
    )


def _made_absent(tokens: Ragged) -> Ragged:
    """Return tokens of as many clips, each of length 0."""
    return Ragged(tokens.values[:0], tokens.offsets.new_zeros(len(tokens) + 1))
