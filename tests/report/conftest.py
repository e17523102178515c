"""Runs of all tasks without training, and the page of two of them."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from emo.manifest import read_manifest
from emo.report import ReportOptions, read_report, render_page
from tests.heads.conftest import without_plots
from tests.report.make_runs import make_run

__all__ = ["without_plots"]

CLASSES = ["anger", "joy", "neutral", "sadness"]
COUNT = 60
IDS = [f"c{k}" for k in range(COUNT)]
DIALOGUES = [f"d{k // 6}" for k in range(COUNT)]
LABELS = np.random.default_rng(0).integers(0, 4, COUNT)


class Cells(HTMLParser):
    """Texts of the cells of all tables, by the label of the region around the table."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.region, self._cell = {}, "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if found.get("role") == "region":
            self.region = found["aria-label"]
            self.tables[self.region] = []
        if tag == "tr" and self.region:
            self.tables[self.region].append([])
        if tag in ("td", "th") and self.region:
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self._cell is not None:
            self.tables[self.region][-1].append(re.sub(r"\s+", " ", self._cell).strip())
            self._cell = None


def page_of(*runs, media=None, **options):
    """The page of some runs as text."""
    facts = read_report(list(runs), ReportOptions(**options))
    return render_page(facts) if media is None else render_page(facts, media=media)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    """A manifest with words, speakers and another column."""
    path = tmp_path_factory.mktemp("report") / "manifest.csv"
    lines = [f"{name},secret words {k},{'test' if k < COUNT else 'train'},ann {k % 5},d{k // 6},"
             f"{'fm'[k % 2]}" for k, name in enumerate([*IDS, "x1", "x2", "x3"])]  # fmt: skip
    path.write_text("\n".join(["id,text,split,speaker,dialogue,gender", *lines]) + "\n")
    return read_manifest(path)


@pytest.fixture(scope="session")
def runs(manifest):
    """Two runs on the same clips, the second with less skill."""
    folder = manifest.path.parent / "runs"
    return [
        make_run(folder / name, CLASSES, LABELS, dialogues=DIALOGUES, manifest=manifest,
                 skill=skill, seed=seed)
        for name, skill, seed in (("plain", 1.0, 1), ("better", 2.0, 0))
    ]  # fmt: skip


@pytest.fixture(scope="session")
def page(runs):
    """The page of the two runs."""
    return page_of(*runs, by=("speaker", "gender"), title="Two runs")
