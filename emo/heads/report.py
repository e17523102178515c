"""What came of a fit: scores of every split, predictions, and the table for people."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.heads.data import Data
from emo.heads.loop import Outcome
from emo.heads.metrics import METRICS
from emo.heads.options import FitOptions
from emo.heads.scores import Scores
from emo.manifest import Manifest
from emo.table import format_table

if TYPE_CHECKING:
    import pandas as pd

TITLES = {
    "weighted_f1": "weighted F1", "macro_f1": "macro F1", "uar": "UAR", "accuracy": "accuracy",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class FitResult:
    """One run: what was asked, the heads of all seeds, and how they did."""

    options: FitOptions
    head_options: Mapping[str, Any]
    """The head's options, defaults included."""
    data: Data
    manifest: Manifest
    features: tuple[Path, ...]
    outcomes: tuple[Outcome, ...]
    """One a seed."""
    scores: dict[str, Scores]
    """By split, in the order train, val, test."""
    seconds: float
    """Of the whole fit, reading included."""
    out: Path | None

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.data.classes

    @property
    def best(self) -> Outcome:
        """The head that the run keeps: the best on ``val``, then the lowest loss there."""
        return max(self.outcomes, key=lambda o: (o.best.val_weighted_f1, -o.best.val_loss))

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """JSON values by split, see :meth:`emo.heads.scores.Scores.to_json`."""
        return {split: scores.to_json() for split, scores in self.scores.items()}

    @functools.cached_property
    def predictions(self) -> "pd.DataFrame":
        """``id, split, seed, label, prediction`` and ``p_<class>`` of every clip and seed.

        Probabilities are rounded to 6 digits: as many as differ neither by neighbours nor threads.
        """
        import pandas as pd  # a second to import

        tables = []
        for split, scores in self.scores.items():
            for place, seed in enumerate(scores.seeds):
                rounded = scores.probabilities[place].astype(np.float64).round(6)
                table = pd.DataFrame(rounded, columns=[f"p_{name}" for name in self.classes])
                names = pd.Series(self.classes)
                table.insert(0, "id", self.data.splits[split].ids)
                table.insert(1, "split", split)
                table.insert(2, "seed", seed)
                table.insert(3, "label", names[scores.labels].to_numpy())
                table.insert(4, "prediction", names[scores.predictions[place]].to_numpy())
                tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def table(self) -> str:
        """Scores by split, the classes of the last split, and what to know about them."""
        last = list(self.scores)[-1]
        return "\n".join(
            [
                self._title(),
                "",
                format_table([row for split in self.metrics for row in self._rows(split)]),
                self._legend(),
                "",
                f"classes on {last} (means over seeds):",
                format_table(self._class_rows(last)),
                *(["", *(f"- {note}" for note in self.data.notes)] if self.data.notes else []),
                "",
                f"{self.seconds:.1f} s" + (f"; run written to {self.out}" if self.out else ""),
            ]
        )

    def _title(self) -> str:
        streams = ", ".join(self.data.dims)
        return f"{self.options.head} on {streams} -> {self.data.target}"

    def _rows(self, split: str) -> list[dict[str, object]]:
        """The head's scores, their interval if there is one, and the majority class."""
        found = self.metrics[split]
        head = {name: f"{found['mean'][name]:.3f} ± {found['std'][name]:.3f}" for name in METRICS}
        interval = {
            name: "{:.3f} – {:.3f}".format(*ends) for name, ends in found["interval"].items()
        }
        baseline = {name: f"{found['majority'][name]:.3f}" for name in METRICS}
        lines = [_line(split, f"{found['clips']:,}", "head", head)]
        if interval:
            lines.append(_line("", "", "  95 % interval", interval))
        return [*lines, _line("", "", "majority class", baseline)]

    def _legend(self) -> str:
        """How to read the numbers."""
        seeds = len(self.outcomes)
        same = " (an exact solution: every seed gives the same)" if self.best.is_exact else ""
        interval = ", interval: bootstrap over clips" if self._has_interval() else ""
        return f"mean ± std over {seeds} seed{'s'[: seeds > 1]}{same}{interval}"

    def _has_interval(self) -> bool:
        return any(found["interval"] for found in self.metrics.values())

    def _class_rows(self, split: str) -> list[dict[str, object]]:
        found = self.metrics[split]["classes"]
        return [
            {
                "class": label, "clips": int(row["clips"]), "predicted": round(row["predicted"]),
                "precision": row["precision"], "recall": row["recall"], "F1": row["f1"],
            }
            for label, row in found.items()
        ]  # fmt: skip


def _line(split: str, clips: str, what: str, values: Mapping[str, str]) -> dict[str, object]:
    scores = {TITLES[name]: values[name] for name in METRICS}
    return {"split": split, "clips": clips, "of": what, **scores}
