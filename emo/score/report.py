"""Results of scoring, as a table or JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emo.errors import line_of, listed, plural
from emo.heads.metrics.by_column import ScoresByValue, cut_line, table_rows
from emo.heads.metrics.measures import title_of
from emo.machine.table import fit_lines, format_table, json_text
from emo.score.readers.answers import ALL
from emo.score.readers.columns import ColumnsRead

if TYPE_CHECKING:
    import pandas as pd

_SEMEVAL = {
    "w_f1": "weighted F1", "w_p": "weighted P", "w_r": "weighted R", "micro_f1": "micro F1",
    "micro_p": "micro P", "micro_r": "micro R",
}  # fmt: skip


_DIRECTIONS = {
    "": "query to item", "v2t_": "item to query", "v2t_grouped_": "item to query, grouped",
}  # fmt: skip
"""Start of the name of a score -> direction of the retrieval, for people."""


@dataclass(frozen=True)
class Scored:
    """Scores of one file of predictions or one run."""

    name: str
    """File name, or name of the run's folder."""
    scores: Mapping[str, float]
    """Name -> mean over seeds, the headline first; empty: it cannot be scored."""
    seeds: int = 1
    """Number of seeds."""
    std: float = 0.0
    """Standard deviation of the headline over seeds."""
    error: str | None = None
    """Reason why the file or run cannot be scored; None: it can be."""
    read: ColumnsRead | None = None
    """Columns of the file that were read; None: the JSON of dialogues, or an unreadable file."""
    has_several_labels: bool = False
    """Whether each label of a cell such as ``joy|fear`` was scored."""
    label: str | None = None
    """Name of the gold column that it was scored against; None: the JSON of dialogues."""
    notes: tuple[str, ...] = ()
    """What was counted and left out, as sentences."""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Name of a score -> its 95 % interval; empty: none is drawn."""
    headline_interval: tuple[float, float] | None = None
    """95 % interval of the headline; None: not drawn."""
    drawn_over: str = "clip"
    """What it is drawn over: ``clip``, ``dialogue`` or ``speaker``."""
    by: ScoresByValue = field(default_factory=dict)
    """Value of the column of ``--by`` -> rows, share and scores; empty: no such column is named."""


def ranked_results(results: Sequence[Scored], headline: str, sign: int) -> tuple[Scored, ...]:
    """Return results, the best first; those that cannot be scored come last.

    Args:
        results: a result for each file or run.
        headline: name of the score that ranks them.
        sign: 1 when a higher headline is better, -1 when a lower one is.
    """
    return tuple(
        sorted(
            results,
            key=lambda one: (
                one.error is not None,
                -sign * one.scores[headline] if one.scores else 0.0,
                one.name,
            ),
        )
    )


@dataclass(frozen=True, eq=False, repr=False)
class ScoreReport:
    """Scores of all files and runs, the best first; those that cannot be scored come last."""

    metric: str
    """Name of the metric."""
    headline: str
    """Name of the score that ranks predictions."""
    sign: int
    """1 when a higher headline is better, -1 when a lower one is."""
    gold: Path
    """The file of gold labels."""
    count: int
    """Number of clips or dialogues that were scored."""
    unit: str
    """Word for what ``count`` counts: ``clips`` or ``dialogues``."""
    split: str
    """The split that was scored."""
    results: tuple[Scored, ...]
    """A result for each file or run."""
    has_several_labels: bool = False
    """Whether a cell may hold several classes, joined by ``|``."""
    by: str = ""
    """Name of the column by whose values the scores are split; "": none."""
    folders_not_read: tuple[str, ...] = ()
    """Names of folders in the scored folder that are no runs; files in them are not scored."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 3 when some cannot be scored, else 0."""
        return 3 if any(one.error for one in self.results) else 0

    def table(self) -> str:
        """Return the results as a text table."""
        names = next((list(one.scores) for one in self.results if one.scores), [])
        labels = {one.label for one in self.results if one.label}
        rows: list[dict[str, object]] = []
        for one in self.results:
            row: dict[str, object] = {"rank": self.rank_of(one), "predictions": one.name}
            if len(labels) > 1:
                row["label"] = one.label or ""
            if any(each.seeds > 1 for each in self.results):
                spread = {"seeds": one.seeds if one.scores else None,
                          "± std": one.std if one.scores else None}  # fmt: skip
            else:
                spread = {}
            if len(self.results) == 1:
                del row["rank"]
            for direction, titles in _by_direction(names).items():
                way = {"direction": direction} if direction else {}
                scores = {title: one.scores.get(name) for name, title in titles.items()}
                rows.append(row | way | scores | spread)
        where = "" if self.split == ALL else f" of split {self.split}"
        what = f"{self.metric} on {self.count:,} {self.unit}{where} in {self.gold}"
        if self.has_several_labels:
            what += "; each label of a cell such as joy|fear counts"
        errors = [
            fit_lines(line_of(f"- {one.name}: {one.error}")) for one in self.results if one.error
        ]
        what = "\n".join([what, *self._read_lines(), *self._note_lines(), *self._folder_lines()])
        tables = [format_table(rows, keys=2), *self._by_tables()]
        return "\n\n".join([*tables, *(["\n".join(errors)] if errors else []), what])

    def _by_tables(self) -> list[str]:
        """Return a table of scores by the values of a column for each file or run."""
        tables = []
        for one in self.results:
            if one.by:
                title = [f"{one.name}:"] if len(self.results) > 1 else []
                more = [line] if (line := cut_line(self.by, one.by)) else []
                table = format_table(table_rows(self.by, one.by, official_title))
                tables.append("\n".join([*title, table, *more]))
        return tables

    def _note_lines(self) -> list[str]:
        """Return the notes of each file or run, with the 95 % intervals first."""
        lines = []
        for one in self.results:
            name = f"{one.name}: " if len(self.results) > 1 else ""
            if one.intervals:
                words = [
                    f"{official_title(key)} {_ends(ends)}" for key, ends in one.intervals.items()
                ]
                lines.append(f"{name}95 % interval, drawn by item: {', '.join(words)}")
            lines += [f"{name}{note}" for note in one.notes]
        return [fit_lines(line_of(line)) for line in lines]

    def _read_lines(self) -> list[str]:
        """Return lines that say which columns were read as what; none for the JSON of dialogues."""
        read = [one for one in self.results if one.read]
        if not read:
            return []
        gold = {one.label for one in read if one.label}
        labels = f"; label of {self.gold} from {min(gold)!r}" if len(gold) == 1 else ""
        if len({one.read for one in read}) == 1:
            alike = f" ({len(read):,} files alike)" if len(read) > 1 else ""
            return [fit_lines(line_of(f"read: {read[0].read}{alike}{labels}"))]
        lines = [f"read{labels.replace(';', ':')}", *(f"- {one.name}: {one.read}" for one in read)]
        return [fit_lines(line_of(line)) for line in lines]

    def _folder_lines(self) -> list[str]:
        """Return a line on the folders that were not read; none if there are none."""
        if not self.folders_not_read:
            return []
        count = plural(len(self.folders_not_read), "folder")
        names = listed(self.folders_not_read)
        return [fit_lines(line_of(f"{count} not read: {names}; move the predictions in them up"))]

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a file or run: ``predictions``, ``rank``, scores by name, ``std``, ``error``."""
        import pandas as pd

        rows = [
            {"predictions": one.name, "rank": self.rank_of(one), **one.scores, "seeds": one.seeds,
             "std": one.std, "error": one.error}
            for one in self.results
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        """Return the table of `emo score`."""
        return self.table()

    def json(self) -> str:
        """Return the results as one JSON document."""
        results = [
            {
                "predictions": one.name, "label": one.label, "rank": self.rank_of(one),
                "scores": _scores(one.scores), "seeds": one.seeds, "std": one.std,
                "read": asdict(one.read) if one.read else None, "error": one.error,
                **_further(one),
            }
            for one in self.results
        ]  # fmt: skip
        document = {
            "metric": self.metric, "headline": self.headline, "gold": str(self.gold),
            "split": self.split, self.unit: self.count, "results": results,
            **({"by": self.by} if self.by else {}), "folders_not_read": [*self.folders_not_read],
        }  # fmt: skip
        return json_text(document, indent=2)

    def rank_of(self, one: Scored) -> int | None:
        """Return the rank of a result, from 1; equal scores share a rank; None: not scored."""
        if not one.scores:
            return None
        score = self.sign * one.scores[self.headline]
        others = [self.sign * each.scores[self.headline] for each in self.results if each.scores]
        return 1 + sum(other > score for other in others)


def _scores(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Return scores for JSON, which has no NaN: an undefined one is None."""
    return {name: None if math.isnan(value) else value for name, value in scores.items()}


def _by_direction(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return direction of a retrieval -> name of a score -> its title; "" for other scores."""
    if not any(name.startswith("v2t_") for name in names):
        return {"": {name: official_title(name) for name in names}}
    found: dict[str, dict[str, str]] = {}
    for name in names:
        score = name.removeprefix("v2t_").removeprefix("grouped_")
        mark = name.removesuffix(score)
        found.setdefault(_DIRECTIONS[mark], {})[name] = official_title(score)
    return found


def _further(one: Scored) -> dict[str, object]:
    """Return the entries of JSON that only some results have."""
    by = {value: _scores(each) for value, each in one.by.items()}
    found = {"by": by, "interval": {k: [*ends] for k, ends in one.intervals.items()},
             "notes": [*one.notes]}  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _ends(ends: tuple[float, float]) -> str:
    """Return an interval as text."""
    return f"{ends[0]:.3f} to {ends[1]:.3f}"


def official_title(name: str) -> str:
    """Return the column title of a score."""
    if name.startswith("proportional_"):
        return f"prop. {_SEMEVAL[name.removeprefix('proportional_')]}"
    return _SEMEVAL.get(name) or title_of(name)
