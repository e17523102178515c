"""Where the fixtures are, and the row that each comparison prints."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.parity.tolerances import TOLERANCES

VARIABLE = "EMO_PARITY_DIR"
BESIDE = Path(__file__).parents[3] / "shared" / "parity"


def fixtures(prefix):
    """Folders of the fixtures whose name starts so: parameters for a test, never empty."""
    root = Path(os.environ.get(VARIABLE, BESIDE))
    found = sorted(path for path in root.glob(f"{prefix}*") if path.is_dir())
    if found:
        return [pytest.param(path, id=path.name) for path in found]
    return [pytest.param(None, id="missing")]


def present(folder):
    """The folder, or the test is skipped; it fails when the variable names a set without it."""
    if folder is None and VARIABLE in os.environ:
        pytest.fail(f"{VARIABLE}={os.environ[VARIABLE]} holds no such fixture")
    if folder is None:
        pytest.skip(f"no fixtures: {BESIDE} is not there and {VARIABLE} is not set")
    return folder


@pytest.fixture
def compare(capsys):
    """``compare(fixture, stage, key, ours, theirs)`` prints one row and checks the tolerance."""

    def check(fixture, stage, key, ours, theirs):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape, (fixture, stage, ours.shape, theirs.shape)
        error = float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0))
        tolerance = TOLERANCES[key]
        with capsys.disabled():
            print(f"\n{fixture:26} {stage:36} {error:9.2e}  (tolerance {tolerance:.0e})", end="")
        assert error <= tolerance, (fixture, stage, error, tolerance)

    return check
