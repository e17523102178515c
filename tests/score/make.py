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
