"""The scores and predictions of one run and target, read from its folder; imports no torch."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import FitError
from emo.heads.data.interval_groups import CLIP, DIALOGUE, groups_of_names
from emo.heads.data.targets import Target
from emo.heads.metrics.measures import HEADLINES, bootstrap, title_of, usable_groups
from emo.heads.runs.comparing.scored_rows import (
    has_dialogues,
    numbers_of,
    read_predictions,
    rows_by_seed,
    values_of_column,
    with_others,
)
from emo.heads.runs.document import SCORED, check_entries
from emo.heads.runs.files import (
    NOT_FINITE,
    RUN_FILE,
    check_probabilities,
    known_number,
    predictions_file,
    shown_path,
)
from emo.machine.table import fold_streams, with_spread

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
    """Target that the run predicts, with its classes."""

    def check_scores(self) -> None:
        """Check that ``run.json`` holds the scores that :meth:`row` shows.

        Raises:
            FitError: it does not.
        """
        file = self.path / RUN_FILE
        check_entries(file, self.document, SCORED)
        name, headline = self.target.name, HEADLINES[self.target.task]
        is_first = name == self.document["target"]
        if not (is_first or name in self.document.get("metrics_of_others", {})):
            raise FitError(f"{file}: damaged: it has no scores of {name}. Fit the run again.")
        variants = self.document.get("missing", {}).get(name, {})
        for where, found in {"metrics": self._by_split, **variants}.items():
            split = "test" if "test" in self._by_split else "val"
            scores = found.get(split, {})
            for kind in ("mean", "std", "interval"):
                if headline not in scores.get(kind, ()):
                    raise FitError(
                        f"{file}: damaged: {where} of {name}: expected {kind} of {headline} on "
                        f"{split}, found none. Fit the run again."
                    )

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
    def has_others(self) -> bool:
        """Whether labels may be classes that the head did not learn, which count as wrong."""
        return "top_classes" in self.document.get("options", {})

    @property
    def is_fitted(self) -> bool:
        """Whether a head was fitted; not for zero-shot classes and retrievals."""
        return "kept" in self.document or "folds" in self.document

    @property
    def is_transductive(self) -> bool:
        """Whether tokens were scaled with statistics of the scored clips, without their labels."""
        return bool(self.document.get("transductive"))

    @property
    def rank(self) -> float:
        """Number by which runs are ranked; lower is better."""
        score = known_number(self.metrics["mean"][HEADLINES[self.target.task]])
        return score if self.target.task == "regress" else -score

    def predictions(self) -> "pd.DataFrame":
        """Read the predictions on :attr:`split`, with cells as text.

        Raises:
            FitError: the run has no file of predictions, or they are not finite.
        """
        return self._predictions

    @functools.cached_property
    def _predictions(self) -> "pd.DataFrame":
        """Predictions on :attr:`split`, with cells as text."""
        is_first = self.target.name == self.document["target"]
        path = self.path / predictions_file(self.target.name, is_first=is_first)
        table = read_predictions(path, self.target, has_others=self.has_others)
        table = table[table["split"] == self.split]
        if table.empty:
            raise FitError(f"{path}: it has no row of split {self.split}; fit the run again")
        check_probabilities(path, {str(name): table[name].tolist() for name in table})
        if self.target.task == "regress" and not NOT_FINITE.isdisjoint(table["prediction"]):
            raise FitError(
                f"{path}: predictions of {self.target.name} are not finite: training of the head "
                "diverged. Fit it again with a smaller --learning-rate."
            )
        return table

    def drawn_over(self, over: str = "") -> str:
        """Return what an interval is drawn over: ``clip``, ``dialogue`` or a column.

        Args:
            over: ``clip``, ``dialogue`` or a column; empty: dialogues if there are any, else clips.
        """
        return over or (DIALOGUE if has_dialogues(self.predictions()) else CLIP)

    def groups(self, table: "pd.DataFrame", over: str = "") -> np.ndarray | None:
        """Return the group of each row that an interval is drawn over, int64 (rows,).

        Args:
            table: rows of :meth:`predictions`.
            over: see :meth:`drawn_over`.

        Returns:
            None where single rows are resampled.

        Raises:
            FitError: no clip has a value of the column, or the run's manifest cannot be read.
        """
        over = self.drawn_over(over)
        if over == CLIP:
            return None
        if over == DIALOGUE and DIALOGUE in table:
            names = table[DIALOGUE].tolist()
        else:
            known = values_of_column(self.path, self.document, over)
            names = [known.get(clip_id, "") for clip_id in table["id"]]
        if not any(names):
            raise FitError(
                f"{shown_path(self.path)}: --interval-over {over}: no scored clip has a {over}"
            )
        return usable_groups(groups_of_names(names, table["id"].tolist()))

    def interval(self, over: str = "") -> tuple[float, float]:
        """Return the 95 % interval of the headline score.

        It is read from ``run.json`` if it was drawn over the same, else drawn again.

        Args:
            over: see :meth:`drawn_over`.
        """
        headline = HEADLINES[self.target.task]
        if self.document.get("drawn") == self.drawn_over(over):
            low, high = self.metrics["interval"][headline]
            return low, high
        seeds = list(rows_by_seed(self.predictions()).values())
        classes = list(self.target.classes)
        if self.has_others:
            classes = with_others(
                classes, seeds[0]["label"], *(rows["prediction"] for rows in seeds)
            )
        found = bootstrap(
            self.target.task,
            numbers_of(self.target, classes, seeds[0]["label"]),
            np.stack([numbers_of(self.target, classes, rows["prediction"]) for rows in seeds]),
            classes=len(classes),
            scale=self.target.scale,
            groups=self.groups(seeds[0], over),
            seed=self.document.get("options", {}).get("first_seed", 0),
        )
        return found[headline]

    def row(self, over: str = "") -> dict[str, object]:
        """Return the run's row of the ranking.

        Args:
            over: what intervals are drawn over, see :meth:`drawn_over`.
        """
        return {
            "run": shown_path(self.path),
            "head": self.document["head"]["name"],
            "streams": fold_streams(self.document["streams"]),
            "scored on": self._scored_on,
            **self._scores_row(self.metrics, self.interval(over)),
        }

    def missing_rows(self, over: str = "") -> list[dict[str, object]]:
        """Return a row of the ranking for each variant of ``--missing``, without some streams.

        They have no interval if the run's intervals are drawn over something else than ``over``.
        """
        found = self.document.get("missing", {}).get(self.target.name, {})
        shown = {"head": "", "scored on": self._scored_on}
        is_same = self.document.get("drawn") == self.drawn_over(over)
        headline = HEADLINES[self.target.task]
        return [
            {
                **self._scores_row(
                    metrics[self.split],
                    metrics[self.split]["interval"][headline] if is_same else None,
                ),
                "run": f"  {name}",
                "streams": "",
                **shown,
            }
            for name, metrics in found.items()
        ]

    @property
    def _scored_on(self) -> str:
        """The split that is compared, or the number of folds, in words."""
        folds = self.document.get("folds")
        return f"{len(folds['each'])} folds" if folds else self.split

    def _scores_row(
        self, found: Mapping[str, Any], interval: Sequence[float] | None
    ) -> dict[str, object]:
        """Return the cells of a row that hold scores, and the interval of the headline score."""
        headline = HEADLINES[self.target.task]
        mean, std = found["mean"], found["std"]
        few = 3 if self.target.task == "regress" else None  # numbers have a dozen scores
        others = [name for name in mean if name != headline][:few]
        return {
            "clips": found["clips"],
            "seeds": len(found["seeds"]),
            title_of(headline): with_spread(
                known_number(mean[headline]), known_number(std[headline]), len(found["seeds"])
            ),
            "95 % interval": interval and "{:.3f} – {:.3f}".format(*map(known_number, interval)),
            **{title_of(name): known_number(mean[name]) for name in others},
        }

    @property
    def _by_split(self) -> dict[str, Any]:
        """Scores of the target by split."""
        if self.target.name == self.document["target"]:
            found: dict[str, Any] = self.document["metrics"]
            return found
        found = self.document["metrics_of_others"][self.target.name]
        return found
