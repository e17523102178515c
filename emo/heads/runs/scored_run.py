"""The scores and predictions of one run and target, read from its folder; imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.errors import FitError
from emo.heads.data.targets import Target
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.files import NOT_FINITE, check_probabilities, predictions_file
from emo.table import fold_streams, with_spread

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """The results of one run on one of its targets."""

    path: Path
    """Folder of the run."""
    document: dict[str, Any]
    """Contents of ``run.json``."""
    target: Target
    """The target."""

    @property
    def split(self) -> str:
        """Split that is compared: ``test``, or ``val`` if the run had no test clips."""
        return "test" if "test" in self._by_split else "val"

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores on :attr:`split`; see :meth:`emo.heads.metrics.scores.Scores.to_json`."""
        found: dict[str, Any] = self._by_split[self.split]
        return found

    @property
    def rank(self) -> float:
        """Number by which runs are ranked; lower is better."""
        score: float = self.metrics["mean"][HEADLINES[self.target.task]]
        return score if self.target.task == "regress" else -score

    def predictions(self) -> "pd.DataFrame":
        """Read the predictions on :attr:`split`, with cells as text.

        Raises:
            FitError: the run has no file of predictions, or they are not finite.
        """
        import pandas as pd  # a second to import

        is_first = self.target.name == self.document["target"]
        path = self.path / predictions_file(self.target.name, is_first=is_first)
        if not path.is_file():
            raise FitError(f"{path}: no such file; fit the run again")
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table = table[table["split"] == self.split]
        check_probabilities(path, {str(name): table[name].tolist() for name in table})
        if self.target.task == "regress" and not NOT_FINITE.isdisjoint(table["prediction"]):
            raise FitError(
                f"{path}: predictions of {self.target.name} are not finite: training of the head "
                "diverged. Fit it again with a smaller --learning-rate."
            )
        return table

    def row(self) -> dict[str, object]:
        """Return the run's row of the ranking."""
        folds = self.document.get("folds")
        return {
            "run": str(self.path),
            "head": self.document["head"]["name"],
            "streams": fold_streams(self.document["streams"]),
            "scored on": f"{len(folds['each'])} folds" if folds else self.split,
            **self._scores_row(self.metrics),
        }

    def missing_rows(self) -> list[dict[str, object]]:
        """Return a row of the ranking for each variant of ``--missing``, without some streams."""
        found = self.document.get("missing", {}).get(self.target.name, {})
        shown = {"head": "", "scored on": self.row()["scored on"]}
        return [
            {**self._scores_row(metrics[self.split]), "run": f"  {name}", "streams": "", **shown}
            for name, metrics in found.items()
        ]

    def _scores_row(self, found: Mapping[str, Any]) -> dict[str, object]:
        """Return the cells of a row that hold scores."""
        headline = HEADLINES[self.target.task]
        mean, std, interval = (found[name] for name in ("mean", "std", "interval"))
        others = [name for name in mean if name != headline][:3]
        return {
            "clips": found["clips"],
            "seeds": len(found["seeds"]),
            title_of(headline): with_spread(mean[headline], std[headline], len(found["seeds"])),
            "95 % interval": "{:.3f} – {:.3f}".format(*interval[headline]),
            **{title_of(name): mean[name] for name in others},
        }

    @property
    def _by_split(self) -> dict[str, Any]:
        """Scores of the target by split."""
        if self.target.name == self.document["target"]:
            found: dict[str, Any] = self.document["metrics"]
            return found
        found = self.document["metrics_of_others"][self.target.name]
        return found
