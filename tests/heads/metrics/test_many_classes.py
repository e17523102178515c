"""Counts of each class give the same bits as tables of classes, in the memory of a few counts."""

import subprocess
import sys

import numpy as np
import pytest

from emo.heads.metrics.classes import RESAMPLES, class_counts, confusion
from emo.heads.metrics.measures import bootstrap, measure, resampled

SCORING = r"""
import re, time
import numpy as np
from emo.heads.metrics.measures import bootstrap, measure
random, rows, classes = np.random.default_rng(0), 72_821, 1_500
gold = random.integers(0, classes, rows)
found = np.where(random.random((1, rows)) < .5, gold, random.integers(0, classes, (1, rows)))
started = time.process_time()
measure("classify", gold, found, classes=classes)
for groups in (None, gold % 700):
    bootstrap("classify", gold, found, classes=classes, scale="any", groups=groups, seed=0)
print(time.process_time() - started)
# not ru_maxrss, which begins with that of the process that started this one
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
"""


def divided(above, below):
    return above / np.where(below == 0, 1, below)


def scores_of_tables(counts):
    """All scores, computed from tables (…, C, C) by true and predicted class."""
    hits, gold, found = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2)
    f1 = divided(2 * hits, gold + found)
    return {
        "weighted_f1": divided((f1 * gold).sum(-1), gold.sum(-1)),
        "macro_f1": divided(f1.sum(-1), ((gold + found) > 0).sum(-1)),
        "uar": divided(divided(hits, gold).sum(-1), (gold > 0).sum(-1)),
        "accuracy": divided(hits.sum(-1), counts.sum((-2, -1))),
    }


def case(classes, rows=300, seeds=2):
    random = np.random.default_rng(classes)
    gold = random.integers(0, classes, rows)
    other = random.integers(0, classes, (seeds, rows))
    return gold, np.where(random.random((seeds, rows)) < 0.5, gold, other)


def assert_same_bits(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("classes", [2, 7, 31, 60])
def test_counts_are_those_of_the_table(classes):
    gold, predicted = case(classes)
    table = confusion(gold, predicted, classes)
    hits, of_gold, of_predicted = class_counts(gold, predicted, classes)
    np.testing.assert_array_equal(hits, np.diagonal(table, axis1=-2, axis2=-1))
    np.testing.assert_array_equal(of_gold, table.sum(-1))
    np.testing.assert_array_equal(of_predicted, table.sum(-2))
    assert_same_bits(measure("classify", gold, predicted, classes=classes), scores_of_tables(table))


@pytest.mark.parametrize("classes", [2, 7, 31, 60])
def test_intervals_over_clips_have_the_bits_of_tables(classes):
    gold, predicted = case(classes)
    found = bootstrap(
        "classify", gold, predicted, classes=classes, scale="any", groups=None, seed=3
    )
    drawn = np.random.default_rng(3).integers(0, len(gold), (RESAMPLES, len(gold)))
    tables = np.stack([confusion(gold[drawn], row[drawn], classes) for row in predicted])
    for name, values in scores_of_tables(tables).items():
        assert found[name] == tuple(np.quantile(values.mean(0), [0.025, 0.975])), name


@pytest.mark.parametrize("classes", [2, 7, 31])
@pytest.mark.parametrize("groups", [None, 40])
def test_resamples_of_groups_have_the_bits_of_tables(classes, groups):
    gold, predicted = case(classes)
    groups = None if groups is None else np.random.default_rng(1).integers(0, groups, len(gold))
    found = resampled(
        "classify", gold, predicted, classes=classes, scale="any", groups=groups, seed=3
    )
    names, of = np.unique(np.arange(300) if groups is None else groups, return_inverse=True)
    shares = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(3).multinomial(len(names), shares, RESAMPLES)
    expected = []
    for row in predicted:
        cells = of * classes**2 + gold * classes + row
        counts = np.bincount(cells, minlength=len(names) * classes**2).reshape(len(names), -1)
        tables = (drawn.astype(np.float64) @ counts).reshape(-1, classes, classes)
        expected.append(scores_of_tables(tables))
    assert_same_bits(found, {name: np.mean([e[name] for e in expected], 0) for name in found})


@pytest.mark.slow
def test_1500_classes_of_72821_rows_take_seconds_and_no_gigabyte():
    done = subprocess.run(
        [sys.executable, "-c", SCORING], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 10
    assert kilobytes < 2**20
