"""Predict one chunk of clips and commit its part."""

from collections.abc import Sequence
from dataclasses import dataclass

from emo.manifest import Clip
from emo.predict.scale.chunk import ChunkPredictions, predict_chunk
from emo.predict.scale.prediction_parts import PredictionParts
from emo.predict.scale.tables import failures_table, predictions_table
from emo.predict.scale.tokens import ChunkState, ChunkTokens, name_of

PARTS_FORMAT = "emo predictions 1"
"""Part of every name; a new number predicts everything again."""


@dataclass(frozen=True)
class PartsOptions:
    """What is written into the parts, besides the predictions' values."""

    all_probabilities: bool = False
    """Whether the probabilities of more than 100 classes are all written."""
    spreadsheet_safe: bool = False
    """Whether cells that a spreadsheet would run as formulas get an apostrophe."""


AS_USUAL = PartsOptions()
"""The options where none are given."""


def chunk_name(state: ChunkState, options: PartsOptions) -> str:
    """Return the name of the part of a chunk."""
    words = f"{options.all_probabilities} {options.spreadsheet_safe}"
    return name_of(state.words, PARTS_FORMAT, words)


def write_chunk(
    clips: Sequence[Clip],
    state: ChunkState,
    parts: PredictionParts,
    tokens: ChunkTokens,
    options: PartsOptions,
) -> ChunkPredictions:
    """Predict one chunk, commit its part, and return the predictions.

    Args:
        clips: the clips.
        state: what the stores have of them.
        parts: where the part is committed.
        tokens: the tokens that the run reads.
        options: what is written.

    Raises:
        EmoError: tokens cannot be read, or the part cannot be written.
    """
    done = predict_chunk(tokens, clips, state)
    tables = {
        target.name: predictions_table(
            done.found,
            target,
            all_classes=options.all_probabilities,
            is_disarmed=options.spreadsheet_safe,
        )
        for target in tokens.run.targets
    }
    parts.commit(chunk_name(state, options), tables, failures_table(done.failures))
    tokens.forget()
    return done
