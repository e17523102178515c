"""What changed numbers since a run was made: the table of CHANGELOG.md, and who says so."""

import json
import re
import shutil
from pathlib import Path

import pytest

import emo
from emo.heads.fitting.rerun import _differences
from emo.heads.runs.comparing.changed_numbers import (
    CHANGES,
    NEWER_TOKENS,
    changed_lines,
    changes_since,
    origin_words,
)
from emo.heads.runs.files import read_document
from emo.heads.runs.show import show_run

ROOT = Path(__file__).parents[4]
GOLDEN = ROOT / "tests" / "golden_runs_v1" / "aligned"
OLD = {"versions": {"emo": "0.1.0"}}
LATE = {
    "head": {"name": "linear", "options": {"fusion": "late"}},
    "streams": {"a/x": {}, "b/x": {}},
}
CASES = {
    "Sound lies": {"recipes": {"a": {"backbone": "timm", "version": 1}}},
    "hf calls": {"recipes": {"a": {"backbone": "hf", "version": 1}}},
    "Frames imported": {"recipes": {"a": {"backbone": "import-mertools", "version": 1}}},
    "Scaling judges": {"streams": {"a/x": {}}, "options": {"scaling": {"b/x": "raw"}}},
    "Late fusion": LATE,
    "linear on several": LATE,
    "Intervals are": {"metrics": {"test": {"mean": {}, "interval": {"uar": [0.1, 0.2]}}}},
    "Pearson's": {"metrics": {"mean": {}, "seeds": {"0": {"mae": 1.0, "pearson": 0.0}}}},
    "Cut splits": {"notes": ["val: 4 clips cut from train, whole speakers"]},
    "Steps of LSTMs": {"head": {"name": "bilstm"}},
}
"""Beginning of a change -> the least that a run.json must hold to be concerned."""


def test_the_changelog_has_a_row_for_each_change():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = text.partition("### Numbers that changed\n")[2].partition("\n### ")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in re.findall(r"^\|.*$", section, re.M)]
    assert rows[0] == ["what", "concerns", "by how much", "what to do"]
    assert [(row[0], row[3]) for row in rows[2:]] == [(each.what, each.to_do) for each in CHANGES]
    assert all(row[1] and row[2] for row in rows)
    assert all(f"\n## {each.since}\n" in text for each in CHANGES)


def test_the_versions_are_those_of_the_backbones():
    number = re.compile(r"\bversion(?:: ClassVar\[int\])? ?= ?(\d)(?=[,)\s])")
    of_models = int(number.search((ROOT / "emo/extract/models/model.py").read_text())[1])
    found = {}
    for file in (ROOT / "emo/extract/backbones").glob("[!_]*.py"):
        own = number.search(text := file.read_text(encoding="utf-8"))
        found[file.stem] = int(own[1]) if own else of_models if "(Model)" in text else 1
    assert {name: version for name, version in found.items() if version > 1} == NEWER_TOKENS


@pytest.mark.parametrize("start", CASES)
def test_each_change_concerns_a_run_that_shows_it(start):
    change = next(each for each in CHANGES if each.what.startswith(start))
    document = OLD | CASES[start]
    assert change in changes_since(document)
    assert change not in changes_since(OLD)
    today = document | {"versions": {"emo": emo.__version__}}
    assert (change in changes_since(today)) == change.is_of_tokens


def test_every_change_has_a_case():
    assert len(CASES) == len(CHANGES)


def test_what_is_not_concerned_is_not_told():
    interval = {"uar": [0.1, 0.2]}
    for document in (
        {"head": {"name": "joint"}, "metrics": {"test": {"mean": {}, "interval": interval}}},
        {"metrics": {"test": {"mean": {}, "interval": interval, "drawn": "12 dialogues"}}},
        {"streams": {"a/x": {}}, "options": {"scaling": {"a/x": "unit"}}},
        {"recipes": {"a": {"backbone": "classic", "version": 2}}},
        {"head": {"name": "linear", "options": {"fusion": "early"}}, "recipes": 7, "metrics": 7},
    ):
        told = [each.what for each in changes_since(OLD | document)]
        assert not [what for what in told if not what.startswith("Steps of")], told


def test_a_run_of_0_1_says_so_in_show_and_rerun_and_one_of_today_does_not(tmp_path):
    document = read_document(GOLDEN)
    lines = changed_lines(document)
    assert [line[:7] for line in lines][:1] == ["Scaling"]
    shown = show_run(GOLDEN)
    assert [text for _, text in shown["made by emo 0.1.0; since then"]] == lines
    differences = list(_differences(document, document))
    assert differences == [f"made by emo 0.1.0; since then: {line}" for line in lines]

    again = tmp_path / "again"
    shutil.copytree(GOLDEN, again)
    document["versions"]["emo"] = emo.__version__
    (again / "run.json").write_text(json.dumps(document))
    assert not [title for title in show_run(again) if "since" in title]
    assert list(_differences(document, document)) == []


def test_tokens_of_an_older_backbone_are_told_whoever_fitted_the_run():
    document = {"versions": {"emo": emo.__version__}} | CASES["Sound lies"]
    assert len(changed_lines(document)) == 1
    assert origin_words(document) == "fitted on tokens of an older backbone"
    assert origin_words(OLD) == "made by emo 0.1.0"
