"""The run folder of a cross-validation: as of a fit, without a head."""

from pathlib import Path
from typing import Any

from emo.heads.runs.cross_result import CrossResult
from emo.heads.runs.files import write_table
from emo.heads.runs.write import document_of, history_of, write_document, write_target


def write_folds(folder: Path, result: CrossResult) -> None:
    """``run.json``, ``predictions.csv``, ``history.csv`` and a plot; there is no head to keep."""
    for target in result.pooled.data.targets:
        table = result.prediction_frame(target)
        columns = {str(name): table[name].tolist() for name in table}
        write_target(folder, result.pooled, target, columns)
    rounds = [(fold.name, row) for fold in result.folds for row in fold.history]
    history = history_of([row for _, row in rounds], result.pooled.headline)
    write_table(folder / "history.csv", {"fold": [name for name, _ in rounds], **history})
    write_document(folder, _document(result))


def _document(result: CrossResult) -> dict[str, Any]:
    """As of a fit; ``folds`` instead of what was kept."""
    document = document_of(result.pooled)
    for name in ("kept", "splits"):
        del document[name]
    document["folds"] = {
        "by": result.by,
        "how": result.how,
        "each": [
            {
                "name": fold.name,
                "splits": fold.counts,
                "metrics": {
                    target.name: fold.metrics_of(target.name)
                    for target in result.pooled.data.targets
                },
            }
            for fold in result.folds
        ],
    }
    return document
