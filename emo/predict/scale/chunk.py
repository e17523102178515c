"""Predict the clips of one chunk, some forward passes at a time, so that memory is bounded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emo.heads.data.dialogues import pairs_of, turns_of
from emo.heads.runs.chunks import passes
from emo.heads.runs.run import Run
from emo.manifest import Clip
from emo.predict.predicted import Predicted
from emo.predict.scale.tokens import ChunkState, TokenSource
from emo.ragged import Ragged

READ_BYTES = 2**26
"""Stored bytes of tokens that are read at a time, 64 MiB, unless one forward pass has more."""
NO_OUTPUTS = "the head's outputs are not finite; these features are very large, or not finite"
"""Reason of a clip whose prediction would be NaN or infinite."""


@dataclass(frozen=True, eq=False)
class ChunkPredictions:
    """Predictions of the clips of a chunk."""

    found: Predicted
    """The predictions of clips that have any."""
    failures: dict[str, str]
    """Clip without a prediction -> reason."""


def predict_chunk(
    tokens: TokenSource, clips: Sequence[Clip], state: ChunkState
) -> ChunkPredictions:
    """Predict the clips of a chunk.

    Args:
        tokens: the tokens that the run reads.
        clips: the N clips.
        state: what the stores have of them.
    """
    run, is_present = tokens.run, state.is_present
    failures = {
        clips[row].id: tokens.reason(clips[row], state.lengths[:, row])
        for row in np.flatnonzero(~is_present).tolist()
    }
    present = [clips[row] for row in np.flatnonzero(is_present).tolist()]
    lengths = state.lengths[:, is_present]
    is_bad = np.zeros(len(present), bool)
    tables: dict[str, list[np.ndarray]] = {target.name: [] for target in run.targets}
    order: list[np.ndarray] = []
    for rows in _groups(run, present, tokens.size_bytes(lengths)):
        chosen = [present[row] for row in rows.tolist()]
        found, bad = _finite(run, chosen, tokens.read(chosen))
        is_bad[rows[bad]] = True
        order.append(rows[~bad])
        for name, table in found.items():
            tables[name].append(table)
    failures |= {present[row].id: NO_OUTPUTS for row in np.flatnonzero(is_bad).tolist()}
    kept = np.flatnonzero(~is_bad)
    return ChunkPredictions(
        Predicted(
            run,
            tuple(present[row] for row in kept.tolist()),
            _joined(run, tables, order),
            _absent(run, lengths[:, kept]),
            {},
        ),
        failures,
    )


def _groups(run: Run, clips: Sequence[Clip], size_bytes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of clips whose tokens are read together, int64 (n,): some forward passes."""
    waiting: list[np.ndarray] = []
    total = 0
    for rows in passes(run.head.unit, clips):
        size = int(size_bytes[rows].sum())
        if waiting and total + size > READ_BYTES:
            yield np.sort(np.concatenate(waiting))
            waiting, total = [], 0
        waiting.append(rows)
        total += size
    if waiting:
        yield np.sort(np.concatenate(waiting))


def _finite(
    run: Run, clips: Sequence[Clip], streams: dict[str, Ragged]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the finite predictions of N clips by target, and which clips have none, bool (N,).

    In a batch with a clip that is not finite, others may not be either; each is tried alone. Of a
    head of dialogues, all clips of such a dialogue have no prediction.
    """
    turns = turns_of(clips)
    tables = run.outputs(streams, turns)
    pairs = pairs_of(turns) if run.head.pair_targets else np.zeros((0, 2), np.int64)
    of_pairs = run.head.pair_targets
    bad = np.zeros(len(clips), bool)
    for name, table in tables.items():
        wrong = ~np.isfinite(table).all(axis=1)
        bad[pairs[wrong, 0] if name in of_pairs else np.flatnonzero(wrong)] = True
    if not bad.any():
        return tables, bad
    if run.head.unit == "dialogue":
        for dialogue in turns:
            rows = dialogue[dialogue >= 0]
            bad[rows] = bad[rows].any()
    else:
        for row in np.flatnonzero(bad).tolist():
            alone = run.outputs({name: each.subset([row]) for name, each in streams.items()})
            bad[row] = not all(np.isfinite(table).all() for table in alone.values())
            for name, table in alone.items():
                tables[name][row] = table[0]
    kept_pairs = ~bad[pairs[:, 0]]
    return {
        name: table[kept_pairs if name in of_pairs else ~bad] for name, table in tables.items()
    }, bad


def _joined(
    run: Run, tables: dict[str, list[np.ndarray]], order: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Join the predictions of groups by target; rows of clips are put into the order of clips."""
    found = {}
    for target in run.targets:
        parts = tables[target.name]
        width = max(len(target.classes), 1)
        table = np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
        if target.task != "pairs" and parts:
            table = table[np.argsort(np.concatenate(order), kind="stable")]
        found[target.name] = table
    return found


def _absent(run: Run, lengths: np.ndarray) -> tuple[str, ...]:
    """Return what each of N clips lacks of the streams that the head reads, with commas.

    Args:
        run: the run.
        lengths: int64 (streams, N), numbers of tokens.
    """
    names = [name if name in run.head.read_streams else "" for name in run.stream_names]
    return tuple(
        ", ".join(name for name, count in zip(names, column, strict=True) if count <= 0 and name)
        for column in lengths.T.tolist()
    )
