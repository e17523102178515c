"""What all tests share: one intra-op thread, and where the real data is, if it is."""

from pathlib import Path

import pytest
import torch

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real clips and tables, outside the repository; tests skip without it."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real data is not at {REAL_DATA}")
    return REAL_DATA
