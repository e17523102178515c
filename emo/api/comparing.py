"""Compare runs and score predictions from Python, as `emo compare` and `emo score` do."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from emo.api.clips import Clips, plain_table
from emo.api.frames import FRAME
from emo.api.runs import FittedRun
from emo.heads.runs.comparing.compare import Comparison, compare_runs
from emo.heads.runs.comparing.formats import to_csv, to_json, to_latex, to_markdown
from emo.heads.runs.comparing.records import tables_of
from emo.manifest import Manifest
from emo.manifest.write import write_rows
from emo.score.report import ScoreReport
from emo.score.score import ScoreOptions, score

if TYPE_CHECKING:
    import pandas as pd


class RankedRuns:
    """Ranked runs, and the difference of two of them."""

    def __init__(self, comparison: Comparison) -> None:
        """Remember the comparison."""
        self.comparison = comparison

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a run, the best first within its target; scores are numbers.

        Columns are ``run``, ``target``, ``head``, ``streams`` (of an ablation a column of ``✓`` for
        each stream), ``scored_on``, ``clips``, ``seeds``, scores by name, ``std``, ``low`` and
        ``high`` of the headline score; with a baseline also ``difference``, ``difference_low``,
        ``difference_high``, ``p`` and ``p_corrected``.
        """
        import pandas as pd

        tables = tables_of(self.comparison)
        return pd.DataFrame([record for table in tables for record in table.records])

    def to_latex(self, path: str | Path | None = None, *, metrics: Sequence[str] | str = ()) -> str:
        """Return a LaTeX table for each target, the best headline score in bold.

        Args:
            path: file to write it to as well; None: none.
            metrics: scores beside the headline score, such as ``uar``; empty: all.

        Raises:
            OptionError: an unknown score.
        """
        return _written(to_latex(self.comparison, metrics=_several(metrics)), path)

    def to_markdown(
        self, path: str | Path | None = None, *, metrics: Sequence[str] | str = ()
    ) -> str:
        """Return a Markdown table for each target; see :meth:`to_latex`."""
        return _written(to_markdown(self.comparison, metrics=_several(metrics)), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return CSV with a line for each run; see :meth:`to_latex`."""
        return _written(to_csv(self.comparison), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return one JSON document; see :meth:`to_latex`."""
        return _written(to_json(self.comparison), path)

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know."""
        return list(self.comparison.notes)

    def __repr__(self) -> str:
        """Return the table of `emo compare`."""
        return self.comparison.table()

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)


def compare(
    runs: "Sequence[str | Path | FittedRun] | str | Path | FittedRun",
    *,
    pair: "tuple[str | Path | FittedRun, str | Path | FittedRun] | None" = None,
    target: str | None = None,
    seed: int = 0,
    interval_over: str = "",
    baseline: "str | Path | FittedRun | None" = None,
    correction: str = "holm",
) -> RankedRuns:
    """Rank runs by their scores, and test the difference of two, or of all from one.

    Args:
        runs: folders of runs, or runs.
        pair: the two runs whose difference is tested; None: the runs, if there are two.
        target: target that is compared; None: each run's first.
        seed: seed of the bootstrap.
        interval_over: ``clip``, ``dialogue`` or a column that intervals are drawn over; empty:
            dialogues where there are any.
        baseline: run that all others are tested against; None: no tests.
        correction: how their p values are corrected: ``holm`` or ``none``.

    Raises:
        OptionError: both a pair and a baseline, or an unknown correction.
        FitError: no run, a damaged run, or two runs without a common target or clip.
    """
    if isinstance(runs, str | Path | FittedRun):
        runs = [runs]
    two = (_path(pair[0]), _path(pair[1])) if pair else None
    return RankedRuns(
        compare_runs(
            [_path(run) for run in runs],
            pair=two,
            target=target,
            seed=seed,
            interval_over=interval_over,
            baseline=None if baseline is None else _path(baseline),
            correction=correction,
        )
    )


def score_predictions(
    predictions: "str | Path | FittedRun | pd.DataFrame",
    gold: "Clips | pd.DataFrame",
    *,
    metric: str | None = None,
    classes: Sequence[str] | str = (),
    columns: Mapping[str, str] = MappingProxyType({}),
    split: str | None = None,
    target: str | None = None,
    is_open: bool = False,
    by: str | None = None,
    video_to_text: str = "own",
    answers: str | Path | None = None,
) -> ScoreReport:
    """Score predictions by official metrics, as `emo score` does.

    Args:
        predictions: a table, a DataFrame, a JSON file, a run, or a folder of them.
        gold: the true labels: a table with ids, a DataFrame, a manifest, or JSON.
        metric: a name of `emo list metrics`; None: by the labels.
        classes: all classes there are; empty: those of the labels.
        columns: columns under other names: ``id``, ``prediction``, ``gold_id``, ``label``.
        split: ``train``, ``val``, ``test`` or ``all``; None: test if there is one.
        target: target of a run; None: its first.
        is_open: count classes that the labels lack as wrong answers.
        by: a column of the labels by whose values the scores are split, too.
        video_to_text: with ``metric="retrieval"``, the rule for items of several queries: ``own``
            or ``grouped``.
        answers: JSON file with the number of each answer, for ALPRO's answers.

    Raises:
        EmoError: a file cannot be read, or lacks clips of the other.
    """
    options = ScoreOptions(
        metric, _several(classes), columns, split, target, is_open, by, video_to_text,
        None if answers is None else Path(answers),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        answers = _file(predictions, Path(folder, "predictions.csv"))
        labels = _file(gold, Path(folder, "gold.csv"))
        report = score(answers, labels, options)
    if labels.parent == Path(folder):
        path = gold.path if isinstance(gold, Manifest) else FRAME
        report = replace(report, gold=path)
    if answers.parent == Path(folder):
        report = replace(report, results=tuple(replace(r, name=str(FRAME)) for r in report.results))
    return report


def _file(table: "str | Path | FittedRun | Clips | pd.DataFrame", file: Path) -> Path:
    """Return the path of a table; one that is in memory is written to ``file``."""
    if isinstance(table, str | Path | FittedRun):
        return _path(table)
    write_rows(file, plain_table(table).columns)
    return file


def _path(run: "str | Path | FittedRun") -> Path:
    return run.path if isinstance(run, FittedRun) else Path(run)


def _several(names: Sequence[str] | str) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def _written(text: str, path: str | Path | None) -> str:
    """Write a text to a file if one is named, and return it."""
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text
