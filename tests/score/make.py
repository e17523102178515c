"""Where the official scorers' inputs and outputs lie, and small files to score."""

import csv
import json
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="no shared/golden beside the tree")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, header, *rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def make_run(folder, target, *rows, seeds=1, task="regress", classes=()):
    """What `emo score` reads of a run: its target, and (clip, prediction) of every seed."""
    folder.mkdir(parents=True)
    named = {"name": target, "task": task, "classes": classes}
    document = {"format_version": 1, "target": target, "classes": classes, "targets": [named]}
    (folder / "run.json").write_text(json.dumps(document))
    lines = [
        (clip, seed, value + seed if seed else value)
        for seed in range(seeds)
        for clip, value in rows
    ]
    write(folder / "predictions.csv", "id,seed,prediction", *lines)
    return folder
