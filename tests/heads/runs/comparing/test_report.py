"""Runs against a baseline, and their tables for papers."""

import csv
import io
import json
import re

import numpy as np
import pytest

from emo.errors import EmoError
from emo.heads.fitting.fit import fit_head
from emo.heads.runs.comparing.baseline import holm
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.comparing.formats import to_csv, to_json, to_latex, to_markdown
from emo.heads.runs.comparing.paired_bootstrap import p_value
from emo.heads.runs.comparing.records import tables_of
from tests.heads.conftest import quick

pytestmark = pytest.mark.usefixtures("module_without_plots")


@pytest.fixture(scope="module")
def runs(made, tmp_path_factory):
    """Runs of three heads on all streams, and one on a stream that tells less."""
    manifest, store = made
    folder = tmp_path_factory.mktemp("report")
    paths = []
    for name, options in {
        "linear_&_50%": quick("linear"),
        "mean": quick("mean_pool"),
        "poor": quick("mean_pool").replace(epochs=1, learning_rate=1e-6),
        "b": quick("linear").replace(streams=("fake/b",)),
    }.items():
        fit_head(manifest, [store], folder / name, options)
        paths.append(folder / name)
    return paths


def test_every_run_is_tested_against_the_baseline(runs):
    found = compare_runs(runs[:3], baseline=runs[0])
    tests = found.baseline.tests
    assert {test.run.path for test in tests} == set(runs[1:3])
    for test in tests:
        alone = compare_runs([runs[0], test.run.path]).paired
        assert alone.differences["weighted_f1"] == test.difference
    assert [test.corrected for test in tests] == holm([test.difference.p for test in tests])
    poor = next(test for test in tests if test.run.path.name == "poor")
    assert poor.difference.second < poor.difference.first
    assert poor.difference.p < 0.01
    assert "p corrected by Holm's method for 2 tests" in found.table()
    raw = compare_runs(runs[:3], baseline=runs[0], correction="none").baseline.tests
    assert [test.corrected for test in raw] == [test.difference.p for test in raw]
    # a baseline that was not named among the runs is ranked, too
    assert len(compare_runs(runs[1:3], baseline=runs[0]).runs) == 3
    with pytest.raises(EmoError, match="no other run"):
        compare_runs(runs[:1], baseline=runs[0])
    with pytest.raises(EmoError, match="expected one of them"):
        compare_runs(runs[:2], baseline=runs[0], pair=(runs[0], runs[1]))
    with pytest.raises(EmoError, match="holm or none"):
        compare_runs(runs[:2], baseline=runs[0], correction="bonferroni")


def test_p_values_of_equal_runs_are_uniform_enough():
    random = np.random.default_rng(0)
    shifted = [p_value(random.normal(shift, 1, 1000)) for shift in random.normal(0, 1, 400)]
    assert abs(np.mean(np.array(shifted) < 0.05) - 0.05) < 0.03


def test_holm_keeps_the_order_and_leaves_undefined_values_out():
    assert holm([0.02, 0.01, 0.5]) == [0.04, 0.03, 0.5]
    found = holm([0.04, float("nan"), 0.03])
    assert (found[0], found[2]) == (0.06, 0.06)
    assert np.isnan(found[1])


def test_json_and_csv_hold_the_numbers_of_the_runs(runs):
    found = compare_runs(runs[:3], baseline=runs[0])
    document = json.loads(to_json(found))
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert document["baseline"] == str(runs[0])
    assert [each["run"] for each in document["runs"]] == [str(run.path) for run in found.runs]
    for record, row, run in zip(document["runs"], rows, found.runs, strict=True):
        assert record["weighted_f1"] == run.metrics["mean"]["weighted_f1"]
        assert (record["low"], record["high"]) == run.interval()
        assert float(row["uar"]) == pytest.approx(record["uar"], abs=1e-5)
        assert (record["p"] is None) == (run.path == runs[0]) == (row["p"] == "")


def test_latex_is_escaped_has_rules_and_bold_best(runs):
    found = compare_runs(runs[:3], baseline=runs[0])
    text = to_latex(found, metrics=["uar"])
    assert r"linear\_\&\_50\%" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    count = len(re.findall(r"(?<!\\)&", lines[0]))
    assert all(len(re.findall(r"(?<!\\)&", line)) == count for line in lines)
    best = max(record["weighted_f1"] for record in tables_of(found)[0].records)
    assert re.findall(r"\\textbf\{([\d.]+)", text)[0] == f"{best:.3f}"
    assert "macro" not in text
    with pytest.raises(EmoError, match="unknown score 'ua'"):
        to_latex(found, metrics=["ua"])


def test_markdown_escapes_pipes_and_marks(runs):
    text = to_markdown(compare_runs(runs[:3]))
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()}
    assert len(widths) == 1
    assert "linear\\_&\\_50%" in text
    assert "**" in text


def test_an_ablation_has_a_column_of_marks_for_each_stream(runs):
    found = compare_runs([runs[0], runs[3]])
    table = tables_of(found)[0]
    assert table.streams == ("fake/a", "fake/b")
    marks = {record["run"]: (record["fake/a"], record["fake/b"]) for record in table.records}
    assert marks == {str(runs[0]): ("✓", "✓"), str(runs[3]): ("", "✓")}
    assert r"\checkmark & \checkmark" in to_latex(found)
    head = found.table().splitlines()[2].split()
    assert head[:3] == ["run", "fake/a", "fake/b"]
    # other heads on other streams are no ablation
    assert tables_of(compare_runs([runs[1], runs[3]]))[0].streams == ()
