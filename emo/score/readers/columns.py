"""Find the column of predictions in a table of any tool, without taking gold labels for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.errors import ScoreError, listed
from emo.manifest import COLUMNS
from emo.manifest.tables.text_table import TextTable
from emo.score.readers.answers import GOLD_ONLY, GOLDS, IDS, is_number

PREDICTIONS = (
    "prediction", "predictions", "predicted", "pred", "preds", "y_pred", "y_hat", "yhat",
    "predicted_label", "label_pred", "output", "model_output", "hypothesis",
)  # fmt: skip
"""Names that only predictions have, tried in this order; see also :func:`is_prediction_name`."""
SHARED = tuple(name for name in GOLDS if name not in GOLD_ONLY or name == "answer")
"""Names that predictions and gold labels use alike."""
_BESIDE = {
    *IDS, *COLUMNS, "", "index", "seed", "fold", "epoch", "cause_id", "utterance", "transcript",
} - {"label"}  # fmt: skip
"""Names of columns that hold neither predictions nor gold labels."""
_PREDICTED = re.compile(
    r"(pred|preds|predicted|prediction|predictions)_.+|.+_(pred|preds|predicted|prediction|hat)"
)
_SURENESS = re.compile(
    r"(.+_)?(p|prob|probs|proba|probability|probabilities|conf|confidence|logit|logits|score|scores"
    r"|certainty|entropy)(_.+)?"
)


@dataclass(frozen=True)
class ColumnsRead:
    """Which columns of a file were read as what."""

    id: str
    """Name of the column of clip ids."""
    prediction: str
    """Name of the column of predictions."""

    def __str__(self) -> str:
        """Return a text for people."""
        return f"id from {self.id!r}, prediction from {self.prediction!r}"


def prediction_column(
    rows: TextTable, path: Path, *, id_column: str, given: str | None = None
) -> str:
    """Return the name of the column of predictions.

    A name that only predictions have comes first. A name that gold labels have, too, counts only
    if the column stands alone beside ids, splits, seeds and probabilities.

    Args:
        rows: the table.
        path: the file, for error messages.
        id_column: the column of clip ids.
        given: the name that the user gives; None: find it.

    Raises:
        ScoreError: no column, or more than one, could be the predictions.
    """
    if given is not None:
        if given in rows.columns:
            return given
        raise _error(path, rows, f"expected a column {given}")
    left = [name for name in rows.columns if name != id_column]
    exact = [name for wanted in PREDICTIONS for name in left if plain_name(name) == wanted]
    if exact and (plain_name(exact[0]) == "prediction" or _are_alike(rows, exact)):
        return exact[0]
    named = [name for name in left if is_prediction_name(name)]
    sure = [name for name in named if name not in exact and _is_sureness(rows, name, left)]
    words = [name for name in named if name not in sure]
    if len(words) == 1:
        return words[0]
    candidates = [
        name
        for name in left
        if plain_name(name) not in _BESIDE and not _is_sureness(rows, name, left)
    ]
    if not named and len(candidates) == 1 and plain_name(candidates[0]) in SHARED:
        return candidates[0]
    if len(left) == 1 and plain_name(left[0]) not in GOLD_ONLY:
        return left[0]
    shown = named or [name for name in candidates if plain_name(name) in GOLDS]
    if shown:
        what = ", ".join(map(repr, shown))
        found = f"{what} may hold predictions or gold labels"
        raise _error(path, rows, f"cannot tell which column holds the predictions: {found}")
    raise _error(path, rows, "expected a column prediction or predicted or pred or y_pred")


def is_prediction_name(name: str) -> bool:
    """Return whether a column of this name holds predictions, such as ``predicted_emotion``."""
    plain = plain_name(name)
    return plain in PREDICTIONS or _PREDICTED.fullmatch(plain) is not None


def plain_name(name: str) -> str:
    """Return a column's name in lower case, its words joined by ``_``.

    >>> plain_name("predictedEmotion"), plain_name("Predicted Label")
    ('predicted_emotion', 'predicted_label')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s\-.:]+", "_", parted).lower()


def _are_alike(rows: TextTable, names: Sequence[str]) -> bool:
    """Return whether all these columns hold the same cells."""
    return all(rows.columns[name] == rows.columns[names[0]] for name in names[1:])


def _is_sureness(rows: TextTable, name: str, others: Sequence[str]) -> bool:
    """Return whether a column holds numbers that say how sure a prediction is.

    They are numbers within [0, 1], or with a name such as ``confidence``, or ``score`` beside
    labels in words.
    """
    plain = plain_name(name)
    if not _are_numbers(rows, name) or (plain in GOLDS and plain != "score"):
        return False
    labels = [each for each in others if each != name and plain_name(each) in SHARED]
    if any(not _are_numbers(rows, each) for each in labels):
        return plain == "score" or not is_prediction_name(name) or bool(_SURENESS.fullmatch(plain))
    within = all(0 <= float(cell) <= 1 for cell in rows.columns[name] if cell.strip())
    if is_prediction_name(name):
        return within and bool(labels) and bool(_SURENESS.fullmatch(plain))
    return plain != "score" and (within or bool(_SURENESS.fullmatch(plain)))


def _are_numbers(rows: TextTable, name: str) -> bool:
    """Return whether a column has cells and all of them are numbers."""
    cells = [cell for cell in map(str.strip, rows.columns[name]) if cell]
    return bool(cells) and all(map(is_number, cells))


def _error(path: Path, rows: TextTable, what: str) -> ScoreError:
    """Return the error for a table without a column of predictions."""
    return ScoreError(
        f"{path}: {what}; found {listed([*rows.columns]) or 'none'}. Name it with "
        "--column prediction=NAME"
    )
