"""The examples in docstrings do what they show.

pytest's ``--doctest-modules`` would look through all modules in each process of the tests.
"""

import doctest
import importlib
from pathlib import Path

import pytest

import emo

ROOT = Path(emo.__file__).parent
WITH_EXTRAS = ("emo.extract.executors.ray", "emo.report.trackers.library")
"""Modules whose libraries are not installed for these tests."""


def modules():
    """Names of the modules with examples."""
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(["emo", *path.relative_to(ROOT).with_suffix("").parts])
        if ">>>" in path.read_text(encoding="utf-8") and not name.startswith(WITH_EXTRAS):
            yield name.removesuffix(".__init__")


@pytest.mark.parametrize("name", [*modules()])
def test_examples_do_what_they_show(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_an_example_that_does_not_hold_is_seen():
    def wrong():
        """
        >>> 1 + 1
        3
        """

    (test,) = doctest.DocTestFinder().find(wrong, "wrong")
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
