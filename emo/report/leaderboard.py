"""The ranking of `emo score` as one HTML page: a class's or a challenge's leaderboard."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emo.report.board import rounded_ends
from emo.report.names import without_folders
from emo.report.page import render_template

if TYPE_CHECKING:
    from emo.score.report import Scored, ScoreReport


@dataclass(frozen=True)
class LeaderRow:
    """One file or run."""

    rank: int | None
    """Rank, from 1; equal scores share a rank; None: it cannot be scored."""
    name: str
    """File name, or name of the run's folder."""
    mean: float | None
    """Headline score; None: it cannot be scored."""
    std: float
    """Standard deviation over seeds."""
    seeds: int
    """Number of seeds."""
    interval: tuple[float, float] | None
    """95 % interval of the headline; None: not known."""
    others: dict[str, float]
    """Title of each other score -> its value."""
    error: str
    """Why it cannot be scored; empty: it can be."""


def leaderboard_page(report: "ScoreReport", title: str = "") -> str:
    """Return the ranking as HTML.

    Args:
        report: results of `emo score`.
        title: title of the page; empty: metric and file of the labels.
    """
    from emo.score.report import official_title

    rows = [_row(report, one) for one in report.results]
    known = [row for row in rows if row.mean is not None]
    numbers = [n for row in known for n in (row.mean, *(row.interval or ())) if n is not None]
    drawn = {one.drawn_over for one in report.results if one.headline_interval}
    names = list(dict.fromkeys(name for row in known for name in row.others))
    return render_template(
        "leaderboard.html", rows=rows, names=names, headline=official_title(report.headline),
        title=title or f"{report.metric} on {report.gold.name}",
        what=f"{report.count:,} {report.unit}" + (
            "" if report.split == "all" else f" of split {report.split}"),
        scale=rounded_ends([n for n in numbers if math.isfinite(n)]),
        is_lower_better=report.sign < 0,
        drawn=" or ".join(f"{name}s" for name in sorted(drawn)),
        notes=[without_folders(f"{one.name}: {note}") for one in report.results
               for note in one.notes],
        folders=[*report.folders_not_read],
    )  # fmt: skip


def _row(report: "ScoreReport", one: "Scored") -> LeaderRow:
    """Return the line of one file or run."""
    from emo.score.report import official_title

    interval = one.headline_interval or one.intervals.get(report.headline)
    return LeaderRow(
        report.rank_of(one), without_folders(one.name), one.scores.get(report.headline), one.std,
        one.seeds, interval,
        {official_title(name): value for name, value in one.scores.items()
         if name != report.headline},
        without_folders(one.error or ""),
    )  # fmt: skip
