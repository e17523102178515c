"""`--missing`: how a head does on clips whose streams are taken away, without training it anew."""

from collections.abc import Sequence
from dataclasses import replace

from emo.errors import FitError
from emo.heads.head import Batch
from emo.ragged import Ragged

WHOLE = ""
"""Nothing taken away."""


def variants(streams: Sequence[str]) -> dict[str, frozenset[str]]:
    """By name, the streams that are taken away: each alone; of three and more, all but one too.

    Raises:
        FitError: there is one stream only.
    """
    if len(streams) < 2:
        raise FitError(f"--missing: expected two streams or more, got {', '.join(streams)}")
    found = {f"without {name}": frozenset([name]) for name in streams}
    if len(streams) > 2:
        found |= {f"only {name}": frozenset(streams) - {name} for name in streams}
    return found


def take_away(batch: Batch, absent: frozenset[str]) -> Batch:
    """The same clips; those streams are absent from each."""
    return replace(
        batch,
        streams={
            name: _nothing(tokens) if name in absent else tokens
            for name, tokens in batch.streams.items()
        },
    )


def _nothing(tokens: Ragged) -> Ragged:
    return Ragged(tokens.values[:0], tokens.offsets * 0)
