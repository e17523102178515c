"""`emo compare`: runs ranked by their scores, from their run.json and predictions.csv alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.errors import FitError
from emo.heads.data.targets import Target, targets_of
from emo.heads.metrics.measures import HEADLINES
from emo.heads.metrics.titles import TITLES
from emo.heads.runs.files import RUN_FILE, predictions_file, read_document
from emo.heads.runs.paired_bootstrap import Paired, paired_bootstrap
from emo.table import format_table, with_spread

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """What a run wrote about one of its targets."""

    path: Path
    document: dict[str, Any]
    target: Target

    @property
    def split(self) -> str:
        """``test``, or ``val`` if the run had no test clips."""
        return "test" if "test" in self._by_split else "val"

    @property
    def metrics(self) -> dict[str, Any]:
        """On :attr:`split`; see :meth:`emo.heads.metrics.scores.Scores.to_json`."""
        found: dict[str, Any] = self._by_split[self.split]
        return found

    @property
    def rank(self) -> float:
        """Lower is better."""
        score: float = self.metrics["mean"][HEADLINES[self.target.task]]
        return score if self.target.task == "regress" else -score

    def predictions(self) -> "pd.DataFrame":
        """On :attr:`split`, cells as text.

        Raises:
            FitError: the file is not there.
        """
        import pandas as pd  # a second to import

        is_first = self.target.name == self.document["target"]
        path = self.path / predictions_file(self.target.name, is_first=is_first)
        if not path.is_file():
            raise FitError(f"{path}: no such file; fit the run again")
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return table[table["split"] == self.split]

    def row(self) -> dict[str, object]:
        """Of the leaderboard."""
        folds = self.document.get("folds")
        return {
            "run": str(self.path),
            "head": self.document["head"]["name"],
            "streams": ", ".join(self.document["streams"]),
            "scored on": f"{len(folds['each'])} folds" if folds else self.split,
            **self._scores_row(self.metrics),
        }

    def missing_rows(self) -> list[dict[str, object]]:
        """Of the leaderboard: the same heads on clips whose streams were taken away."""
        found = self.document.get("missing", {}).get(self.target.name, {})
        shown = {"head": "", "scored on": self.row()["scored on"]}
        return [
            {**self._scores_row(metrics[self.split]), "run": "", "streams": name, **shown}
            for name, metrics in found.items()
        ]

    def _scores_row(self, found: Mapping[str, Any]) -> dict[str, object]:
        headline = HEADLINES[self.target.task]
        mean, std, interval = (found[name] for name in ("mean", "std", "interval"))
        others = [name for name in mean if name != headline][:3]
        return {
            "clips": found["clips"],
            "seeds": len(found["seeds"]),
            TITLES[headline]: with_spread(mean[headline], std[headline], len(found["seeds"])),
            "95 % interval": "{:.3f} – {:.3f}".format(*interval[headline]),
            **{TITLES[name]: mean[name] for name in others},
        }

    @property
    def _by_split(self) -> dict[str, Any]:
        if self.target.name == self.document["target"]:
            found: dict[str, Any] = self.document["metrics"]
            return found
        found = self.document["metrics_of_others"][self.target.name]
        return found


@dataclass(frozen=True, eq=False)
class Comparison:
    """The leaderboard, and the difference of two runs."""

    runs: tuple[ScoredRun, ...]
    """The best first, by target."""
    paired: Paired | None
    notes: tuple[str, ...]

    def table(self) -> str:
        """One table for each target and task, then the difference, then what to know."""
        parts = []
        tasks_of: dict[str, set[str]] = {}
        for run in self.runs:
            tasks_of.setdefault(run.target.name, set()).add(run.target.task)
        for target, task in dict.fromkeys(_place(run) for run in self.runs):
            runs = [run for run in self.runs if _place(run) == (target, task)]
            title = target if len(tasks_of[target]) == 1 else f"{target} ({task})"
            rows = [row for run in runs for row in (run.row(), *run.missing_rows())]
            names = dict.fromkeys(name for row in rows for name in row)
            table = format_table([{name: row.get(name) for name in names} for row in rows])
            parts.append(f"{title}\n\n{table}\nmean ± std over seeds, interval: bootstrap")
        if self.paired is not None:
            parts.append(self.paired.table())
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts)


def compare_runs(
    runs: Sequence[Path],
    *,
    pair: tuple[Path, Path] | None = None,
    target: str | None = None,
    seed: int = 0,
) -> Comparison:
    """Rank runs, and test the difference of two.

    Args:
        runs: folders of fits and cross-validations; folders that are no runs are left out.
        pair: the two whose difference is tested; None: the runs, if there are exactly two.
        target: what they predict; None: each run's first target.
        seed: of the resamples.

    Raises:
        FitError: no run, a damaged one, or two that have nothing in common.
    """
    found, notes = [], []
    for path in dict.fromkeys(runs):
        if path.is_dir() and not (path / RUN_FILE).is_file():
            notes.append(f"{path} holds no {RUN_FILE}: left out")
        else:
            found.append(_scored(path, target))
    if not found:
        raise FitError(f"{', '.join(map(str, runs))}: no run; emo fit-head --out makes one")
    two = [_scored(path, target) for path in pair] if pair else found
    is_pair = pair is not None or (len(two) == 2 and len({_place(run) for run in two}) == 1)
    paired = paired_bootstrap(two[0], two[1], seed=seed) if is_pair else None
    places = {place: k for k, place in enumerate(dict.fromkeys(map(_place, found)))}
    ranked = tuple(sorted(found, key=lambda run: (places[_place(run)], run.rank)))
    return Comparison(ranked, paired, (*notes, *_unlike(ranked)))


def _scored(path: Path, target: str | None) -> ScoredRun:
    document = read_document(path)
    known = {found.name: found for found in targets_of(document)}
    name = document["target"] if target is None else target
    if name not in known:
        raise FitError(f"{path}: {plugins.unknown('target', name, known)}")
    return ScoredRun(path, document, known[name])


def _place(run: ScoredRun) -> tuple[str, str]:
    """Target and task: the table in which it is ranked."""
    return run.target.name, run.target.task


def _unlike(runs: Sequence[ScoredRun]) -> list[str]:
    """Notes on runs that were scored on other clips than the best of their target."""
    notes = []
    best: dict[tuple[str, str], tuple[ScoredRun, frozenset[tuple[str, ...]]]] = {}
    for run in runs:
        table = run.predictions()
        keys = [name for name in ("id", "cause_id", "label") if name in table]
        clips = frozenset(table[keys].itertuples(index=False, name=None))
        first, expected = best.setdefault(_place(run), (run, clips))
        if clips != expected:
            notes.append(
                f"{run.path} was scored on other clips or labels than {first.path} "
                f"({len(clips & expected):,} of {len(clips):,} are the same): their "
                "places in the table do not compare"
            )
    return notes
