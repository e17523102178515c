"""`emo score`: scores of a file, of a run, or of a whole folder of them, ranked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.errors import EmoError, FitError, ScoreError
from emo.heads.semeval import score_pairs, score_spans
from emo.heads.titles import TITLES
from emo.manifest.rows import Rows
from emo.score.gold import Gold, read_gold
from emo.score.metrics import Metric, find_metric, score_cells
from emo.score.run_folder import conversations_of, is_run, predictions_of
from emo.score.tables import (
    ALL,
    IDS,
    PREDICTIONS,
    answers_of,
    check_cells,
    find_column,
    read_json,
    read_table,
)
from emo.table import format_table

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
_SEMEVAL = {
    "w_f1": "weighted F1", "w_p": "weighted P", "w_r": "weighted R", "micro_f1": "micro F1",
    "micro_p": "micro P", "micro_r": "micro R", "proportional_w_f1": "proportional F1",
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


@dataclass(frozen=True, eq=False)
class ScoreReport:
    """All that was scored, the best first, then what is broken."""

    metric: str
    headline: str
    sign: int
    gold: Path
    clips: int
    """Or conversations."""
    split: str
    results: tuple[Scored, ...]

    @property
    def exit_code(self) -> int:
        """3 when some cannot be scored."""
        return 3 if any(one.error for one in self.results) else 0

    def table(self) -> str:
        """For people."""
        names = next((list(one.scores) for one in self.results if one.scores), [])
        rows: list[dict[str, object]] = []
        for one in self.results:
            row: dict[str, object] = {"rank": self._rank(one), "predictions": one.name}
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
        return f"{format_table(rows)}\n\n{self.metric} on {self.clips:,}{where} in {self.gold}"

    def json(self) -> str:
        """One JSON document."""
        results = [
            {
                "predictions": one.name, "rank": self._rank(one), "scores": dict(one.scores),
                "seeds": one.seeds, "std": one.std, "error": one.error,
            }
            for one in self.results
        ]  # fmt: skip
        document = {
            "metric": self.metric, "headline": self.headline, "gold": str(self.gold),
            "split": self.split, "clips": self.clips, "results": results,
        }  # fmt: skip
        return json.dumps(document, indent=2, ensure_ascii=False)

    def _rank(self, one: Scored) -> int | None:
        """Equal scores share a rank."""
        if not one.scores:
            return None
        score = self.sign * one.scores[self.headline]
        others = [self.sign * each.scores[self.headline] for each in self.results if each.scores]
        return 1 + sum(other > score for other in others)


@dataclass(frozen=True)
class ScoreOptions:
    """How files are read, and by what they are scored."""

    metric: str | None = None
    """None: as such labels usually are."""
    classes: tuple[str, ...] = ()
    columns: Mapping[str, str] | None = None
    """``id`` and ``prediction`` of the predictions, ``gold_id`` and ``label`` of the gold."""
    split: str | None = None
    target: str | None = None
    """Of a run; None: its first."""


def score(path: Path, gold_path: Path, options: ScoreOptions) -> ScoreReport:
    """Score one file or run, or every one of a folder.

    Args:
        path: predictions, the folder of a run, or a folder of either.
        gold_path: the labels.
        options: how.

    Raises:
        EmoError: the gold cannot be read; the one file cannot be scored; a folder without files.
    """
    if not path.exists():
        raise ScoreError(f"{path}: no such file or folder")
    target = options.target or (predictions_of(path, None)[0] if is_run(path) else None)
    gold = read_gold(gold_path, columns=options.columns or {}, split=options.split, target=target)
    name = options.metric or gold.metric
    metric = find_metric(name)
    _check_gold(gold, metric, name, options)
    if path.is_file() or is_run(path):
        results = [_scored(path, str(path), gold, metric, options)]
    else:
        results = [_tried(each, gold, metric, options) for each in _inside(path, gold_path)]
    ranked = sorted(
        results,
        key=lambda one: (
            one.error is not None,
            -metric.sign * one.scores[metric.headline] if one.scores else 0.0,
            one.name,
        ),
    )
    clips = len(gold.conversations) or len(gold.cells)
    return ScoreReport(
        name, metric.headline, metric.sign, gold_path, clips, gold.split, tuple(ranked)
    )


def _inside(folder: Path, gold: Path) -> list[Path]:
    found = [
        each
        for each in sorted(folder.iterdir())
        if (each.suffix.lower() in ENDINGS and each.is_file() and not _is_same(each, gold))
        or (each.is_dir() and is_run(each))
    ]
    if not found:
        raise ScoreError(f"{folder}: no predictions ({' '.join(ENDINGS)}) and no run in it")
    return found


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _tried(path: Path, gold: Gold, metric: Metric, options: ScoreOptions) -> Scored:
    try:
        return _scored(path, path.name, gold, metric, options)
    except (EmoError, OSError, ValueError, KeyError, TypeError) as error:
        text = str(error) if isinstance(error, EmoError) else repr(error)
        return Scored(path.name, {}, error=text.removeprefix(f"{path}: "))


def _scored(path: Path, name: str, gold: Gold, metric: Metric, options: ScoreOptions) -> Scored:
    if metric.kind in ("pairs", "spans"):
        return Scored(name, _score_conversations(path, gold, metric, options))
    rows = predictions_of(path, options.target)[1] if is_run(path) else read_table(path)
    if is_run(path) and "cause_id" in rows.columns:
        raise ScoreError(
            f"{path}: what it predicts is of pairs: give the JSON of conversations as --gold, or "
            "another target with --target"
        )
    columns = options.columns or {}
    id_column = find_column(rows, path, IDS, given=columns.get("id"), option="id")
    column = find_column(
        rows, path, PREDICTIONS, given=columns.get("prediction"), option="prediction",
        but=(id_column,),
    )  # fmt: skip
    found = []
    for part in _by_seed(rows):
        answers = answers_of(part, path, id_column=id_column, column=column, split=gold.split)
        allowed = options.classes or sorted(set(gold.cells.values()))
        check_cells(answers, gold.cells, None if metric.kind == "numbers" else allowed)
        predicted = [answers.cells[clip_id] for clip_id in gold.cells]
        found.append(score_cells(metric, [*gold.cells.values()], predicted, options.classes))
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    values = [one[metric.headline] for one in found]
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Scored(name, means, len(found), std)


def _by_seed(rows: Rows) -> list[Rows]:
    """A table of several seeds, as `emo fit-head` writes it, one by one."""
    seeds = rows.columns.get("seed", [])
    if len(set(seeds)) < 2:
        return [rows]
    parts = []
    for seed in dict.fromkeys(seeds):
        kept = [k for k, each in enumerate(seeds) if each == seed]
        columns = {name: [cells[k] for k in kept] for name, cells in rows.columns.items()}
        parts.append(Rows(columns, [rows.places[k] for k in kept]))
    return parts


def _score_conversations(
    path: Path, gold: Gold, metric: Metric, options: ScoreOptions
) -> dict[str, float]:
    if is_run(path) and metric.kind == "spans":
        raise ScoreError(f"{path}: a run predicts which utterance is the cause, not which words")
    if is_run(path):
        document = conversations_of(path, split=options.split or "test")
    else:
        document = read_json(path)
    _check_conversations(document, path)
    try:
        if metric.kind == "pairs":
            found = score_pairs(gold.conversations, document)
        else:
            both = score_spans(gold.conversations, document)
            overlap = both["proportional"].items()
            found = both["strict"] | {f"proportional_{name}": value for name, value in overlap}
    except FitError as error:
        raise ScoreError(f"{path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ScoreError(f'{path}: a pair is not like ["3_joy", "2"]: {error!r}') from error
    return {metric.headline: found[metric.headline]} | found


def _check_conversations(document: object, path: Path) -> None:
    if not isinstance(document, list) or not all(
        isinstance(one, dict) and {"conversation_ID", "emotion-cause_pairs"} <= one.keys()
        for one in document
    ):
        raise ScoreError(
            f'{path}: expected [{{"conversation_ID": 1, "emotion-cause_pairs": [["3_joy", "2"]]}}, '
            "…] as SemEval-2024 Task 3 takes it"
        )
    numbers = [one["conversation_ID"] for one in document]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise ScoreError(f"{path}: conversation {twice} stands {numbers.count(twice)} times")


def _check_gold(gold: Gold, metric: Metric, name: str, options: ScoreOptions) -> None:
    if (metric.kind in ("pairs", "spans")) != bool(gold.conversations):
        raise ScoreError(
            f"{gold.path}: --metric {name} needs "
            + ("labels of clips" if gold.conversations else "the JSON of conversations")
        )
    if options.classes and metric.kind != "classes":
        raise ScoreError(f"--classes: --metric {name} is not of classes; leave it out")
    for clip_id, cell in gold.cells.items():
        if metric.kind == "numbers":
            _check_number(cell, f"{gold.path}: clip {clip_id!r}")
        elif options.classes and cell not in options.classes:
            raise ScoreError(
                f"{gold.path}: clip {clip_id!r} is labelled {cell!r}, which is none of --classes "
                f"{','.join(options.classes)}"
            )


def _check_number(cell: str, where: str) -> None:
    try:
        float(cell)
    except ValueError as error:
        raise ScoreError(f"{where}: expected a number as its label, got {cell!r}") from error


def _title(name: str) -> str:
    return _SEMEVAL.get(name) or TITLES.get(name, name.replace("_", " "))


def classes_of(text: str | None) -> tuple[str, ...]:
    """``joy, fear`` -> ``("joy", "fear")``.

    Raises:
        ScoreError: a class twice, or only one.
    """
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(names) < 2 or len(set(names)) < len(names):
        raise ScoreError(f"--classes {text}: expected several different classes, such as joy,fear")
    return names
