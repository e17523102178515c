"""What scoring came to, as a table or JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emo.heads.metrics.measures import TITLES
from emo.score.answers import ALL
from emo.table import format_table

_SEMEVAL = {
    "w_f1": "weighted F1", "w_p": "weighted P", "w_r": "weighted R", "micro_f1": "micro F1",
    "micro_p": "micro P", "micro_r": "micro R",
}  # fmt: skip


@dataclass(frozen=True)
class Scored:
    """What one file, or one run, came to."""

    name: str
    scores: Mapping[str, float]
    """Means over seeds, the headline first; empty: it cannot be scored."""
    seeds: int = 1
    std: float = 0.0
    """Of the headline over seeds."""
    error: str | None = None
    label: str | None = None
    """The column of gold that it was scored against; None: conversations."""


@dataclass(frozen=True, eq=False)
class ScoreReport:
    """All that was scored, the best first, then what is broken."""

    metric: str
    headline: str
    sign: int
    gold: Path
    count: int
    unit: str
    """What is counted: ``clips`` or ``conversations``."""
    split: str
    results: tuple[Scored, ...]

    @property
    def exit_code(self) -> int:
        """3 when some cannot be scored."""
        return 3 if any(one.error for one in self.results) else 0

    def table(self) -> str:
        """For people."""
        names = next((list(one.scores) for one in self.results if one.scores), [])
        labels = {one.label for one in self.results if one.label}
        rows: list[dict[str, object]] = []
        for one in self.results:
            row: dict[str, object] = {"rank": self._rank(one), "predictions": one.name}
            if len(labels) > 1:
                row["label"] = one.label or ""
            for name in names:
                row[_title(name)] = one.scores.get(name)
            if any(each.seeds > 1 for each in self.results):
                row["seeds"] = one.seeds if one.scores else None
                row["± std"] = one.std if one.scores else None
            if any(each.error for each in self.results):
                row["why not"] = one.error or ""
            if len(self.results) == 1:
                del row["rank"]
            rows.append(row)
        where = "" if self.split == ALL else f" of split {self.split}"
        what = f"{self.metric} on {self.count:,} {self.unit}{where} in {self.gold}"
        return f"{format_table(rows)}\n\n{what}"

    def json(self) -> str:
        """One JSON document."""
        results = [
            {
                "predictions": one.name, "label": one.label, "rank": self._rank(one),
                "scores": _scores(one.scores), "seeds": one.seeds, "std": one.std,
                "error": one.error,
            }
            for one in self.results
        ]  # fmt: skip
        document = {
            "metric": self.metric, "headline": self.headline, "gold": str(self.gold),
            "split": self.split, self.unit: self.count, "results": results,
        }  # fmt: skip
        return json.dumps(document, indent=2, ensure_ascii=False)

    def _rank(self, one: Scored) -> int | None:
        """Equal scores share a rank."""
        if not one.scores:
            return None
        score = self.sign * one.scores[self.headline]
        others = [self.sign * each.scores[self.headline] for each in self.results if each.scores]
        return 1 + sum(other > score for other in others)


def _scores(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Return scores for JSON, which has no NaN: an undefined one is None."""
    return {name: None if math.isnan(value) else value for name, value in scores.items()}


def _title(name: str) -> str:
    if name.startswith("proportional_"):
        return f"prop. {_SEMEVAL[name.removeprefix('proportional_')]}"
    return _SEMEVAL.get(name) or TITLES.get(name, name.replace("_", " "))
