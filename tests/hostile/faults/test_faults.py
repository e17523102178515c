"""Every command with a disk that is full or broken at each call: one line, nothing lost, repeated.

What the shim counts is the calls of all processes of a command together.
"""

import tempfile
from pathlib import Path

import pytest

from tests.hostile.faults.check import faults, problems, undisturbed
from tests.hostile.faults.shim import warm
from tests.hostile.faults.world import CASES, make

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def shim():
    with tempfile.TemporaryDirectory(prefix="shim-") as folder, warm(Path(folder)) as shim:
        yield shim


@pytest.fixture(scope="module")
def world(shim, tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "world"
    make(path, shim)
    return path


@pytest.mark.parametrize("name", CASES)
def test_a_call_that_fails(shim, world, name):
    right = undisturbed(shim, world, world.parent, CASES[name])
    wrong = [
        each
        for kind, calls in right.done.counts.items()
        for fault in faults(kind, calls)
        for each in problems(shim, world, world.parent, CASES[name], right, fault)
    ]
    assert right.done.counts["write"], "the command writes nothing: what is tested here?"
    assert not wrong, "\n".join(wrong)
