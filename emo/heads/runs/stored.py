"""The tokens that a run reads, from a store; and which clips have none of them."""

from collections.abc import Sequence

import numpy as np

from emo.heads.runs.run import Run
from emo.ragged import Ragged
from emo.store.store import Store


def stored_tokens(
    run: Run, ids: Sequence[str], store: Store
) -> tuple[dict[str, Ragged], dict[str, str]]:
    """Tokens by stream, as stored, of the clips that have any; and the others, with reasons.

    A head would answer for a clip without tokens too: with what it says when it knows nothing.

    Args:
        run: whose streams are read.
        ids: of clips; those without tokens are left out of what is returned, the order stays.
        store: it holds the run's recipes.
    """
    streams = {}
    for stream in run.streams:
        recipe, _, name = stream.partition("/")
        streams[stream] = store.recipes[recipe].read_present(name, ids)
    is_present = np.any([tokens.lengths > 0 for tokens in streams.values()], axis=0)
    if is_present.all():
        return streams, {}
    kept = np.flatnonzero(is_present)
    bare = [ids[row] for row in np.flatnonzero(~is_present).tolist()]
    return (
        {name: tokens.select(kept) for name, tokens in streams.items()},
        {clip_id: _told(run, absent_of(run, clip_id, store)) for clip_id in bare},
    )


def absent_of(run: Run, clip_id: str, store: Store) -> dict[str, str]:
    """The streams of the run that a clip lacks, with the reasons that were kept."""
    found = {}
    for stream in run.streams:
        recipe, _, name = stream.partition("/")
        reasons = store.recipes[recipe].absent.get(clip_id, {})
        if name in reasons:
            found[stream] = reasons[name]
    return found


def _told(run: Run, absent: dict[str, str]) -> str:
    reasons = [f"without {stream}: {reason}" for stream, reason in absent.items()]
    return "; ".join(reasons) or f"without {', '.join(run.streams)}"
