"""The result of `emo retrieve`: the scores as text, and the run folder that holds the ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.errors import line_of
from emo.heads.metrics.measures import bootstrap, measure, title_of
from emo.heads.metrics.retrieval import RankCounts
from emo.heads.runs.files import RUN_FORMAT_VERSION, write_table
from emo.heads.runs.ranks import QueryRanks, write_ranks
from emo.heads.runs.write import run_folder, write_document
from emo.machine.table import fit_lines, format_table, json_text
from emo.manifest import Manifest
from emo.predict.similarity.nearest import nearest
from emo.predict.similarity.vectors import Vectors


@dataclass(frozen=True)
class RetrieveReport:
    """Scores of a retrieval, and what was left out."""

    out: Path
    """Folder of the run."""
    scores: dict[str, dict[str, float]]
    """Direction and normalisation -> scores; the plain text-to-video scores come first."""
    intervals: dict[str, tuple[float, float]]
    """95 % interval of each plain score, drawn by item."""
    lines: tuple[str, ...]
    """What was ranked, and what was left out, as sentences."""

    def table(self) -> str:
        """Return the scores as a text table, then the interval and what was left out."""
        rows = [
            {"direction": name, **{title_of(key): value for key, value in found.items()}}
            for name, found in self.scores.items()
        ]
        ends = ", ".join(
            f"{title_of(name)} {low:.3f} to {high:.3f}"
            for name, (low, high) in self.intervals.items()
        )
        lines = [f"95 % interval of query to item, drawn by item: {ends}", *self.lines]
        return "\n".join([format_table(rows), *(fit_lines(line_of(line)) for line in lines)])

    def json(self) -> str:
        """Return the scores as one JSON document."""
        return json_text(
            {"out": str(self.out), "scores": self.scores, "notes": [*self.lines],
             "interval": {name: [*ends] for name, ends in self.intervals.items()}}
        )  # fmt: skip


def write_retrieval(
    out: Path, texts: Vectors, videos: Vectors, truth: np.ndarray, counts: RankCounts, split: str,
    captions: Manifest, *, target: str, streams: Sequence[str], head: Mapping[str, str],
) -> None:  # fmt: skip
    """Write ``ranks.csv``, ``predictions.csv`` (the best item of each query) and ``run.json``.

    Args:
        out: folder of the run.
        texts: vectors of the queries.
        videos: vectors of the items.
        truth: int (Q,), index of each query's right item.
        counts: the ranks.
        split: the split that the queries are of.
        captions: their manifest.
        target: column of the right items.
        streams: the streams of the queries and of the items.
        head: how they are compared, for ``run.json``.
    """
    best = np.array([int(hits.items[0]) for hits in nearest(texts, videos, 1)])
    names = sorted(videos.ids)
    number = {name: k for k, name in enumerate(names)}
    labels, found = (np.array([number[videos.ids[int(k)]] for k in each]) for each in (truth, best))
    scores = measure("classify", labels, found[None], classes=len(names))
    values = {name: float(value[0]) for name, value in scores.items()}
    ends = bootstrap("classify", labels, found[None], classes=len(names), scale="any",
                     groups=truth, seed=0)  # fmt: skip
    split = "test" if split == "all" else split
    document = {
        "format_version": RUN_FORMAT_VERSION, "target": target, "classes": names,
        "targets": [{"name": target, "task": "classify", "classes": names}],
        "head": {"name": "retrieve", "options": {**head}},
        "streams": {name: {"dim": videos.rows.shape[1]} for name in streams},
        "options": {"first_seed": 0},
        "manifest": {"path": str(captions.path.absolute()), "sha256": captions.sha256,
                     "columns": {**captions.columns}},
        "metrics": {split: {"clips": len(labels), "seeds": {"0": values}, "mean": values,
                            "std": dict.fromkeys(values, 0.0),
                            "interval": {name: [*pair] for name, pair in ends.items()}}},
    }  # fmt: skip
    right = [videos.ids[int(k)] for k in truth]
    splits, seeds = [split] * len(right), [0] * len(right)
    with run_folder(out) as folder:
        write_ranks(folder, QueryRanks([*texts.ids], right, counts))
        write_table(
            folder / "predictions.csv",
            {"id": [*texts.ids], "split": splits, "seed": seeds, "label": right,
             "prediction": [videos.ids[int(k)] for k in best]},
        )  # fmt: skip
        write_document(folder, document)
