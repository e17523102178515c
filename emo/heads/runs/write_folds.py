"""Write the run folder of a cross-validation, which has scores and predictions but no head."""

from pathlib import Path
from typing import Any

from emo.heads.runs.command_lines import commands_of
from emo.heads.runs.cross_result import CrossResult
from emo.heads.runs.files import write_table
from emo.heads.runs.write import document_of, history_columns, write_document, write_target


def write_folds(folder: Path, result: CrossResult) -> None:
    """Write ``run.json``, ``history.csv``, and for each target ``predictions.csv`` and a plot.

    Args:
        folder: an empty folder.
        result: the cross-validation.
    """
    for target in result.pooled.data.targets:
        table = result.prediction_frame(target)
        columns = {str(name): table[name].tolist() for name in table}
        write_target(folder, result.pooled, target, columns)
    rounds = [(fold.name, row) for fold in result.folds for row in fold.history]
    history = history_columns([row for _, row in rounds], result.pooled.headline)
    write_table(folder / "history.csv", {"fold": [name for name, _ in rounds], **history})
    write_document(folder, _document(result))


def _document(result: CrossResult) -> dict[str, Any]:
    """Return the contents of ``run.json``: those of a fit, with ``folds`` instead of ``kept``."""
    document = document_of(result.pooled)
    for name in ("kept", "splits", "fusion", "chosen"):
        document.pop(name, None)
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
                **({"fusion": fold.choice.to_json()} if fold.choice is not None else {}),
                **({"chosen": dict(fold.settings)} if fold.settings else {}),
            }
            for fold in result.folds
        ],
    }
    return document | {"asked": commands_of(document, relative=True)}
