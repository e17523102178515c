"""Every command with a disk that is full or broken at each call: one line, nothing lost, repeated.

What the shim counts is the calls of all processes of a command together.
"""

import tempfile
from pathlib import Path

import pytest

from tests.hostile.faults.check import faults, problems, undisturbed
from tests.hostile.faults.shim import KINDS, warm
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


@pytest.fixture(scope="module")
def right(shim, world):
    """Name of a case -> what it comes to without faults, run when it is first asked for."""
    known = {}

    def found(name):
        if name not in known:
            known[name] = undisturbed(shim, world, world.parent, CASES[name])
        return known[name]

    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_a_call_that_fails(shim, world, right, name, kind):
    found = right(name)
    if not found.done.counts[kind]:
        pytest.skip(f"{name} makes no call of {kind}")
    wrong = [
        each
        for fault in faults(kind, found.done.counts[kind])
        for each in problems(shim, world, world.parent, CASES[name], found, fault)
    ]
    assert not wrong, "\n".join(wrong)
