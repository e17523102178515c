"""What all tests share: one intra-op thread, and where the real data is, if it is."""

from pathlib import Path

import pytest
import torch

LONGEST_FIRST = ("test_docs.py", "test_run.py", "test_cli_weights.py", "test_hf.py")
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


def pytest_collection_modifyitems(items):
    """Files that take a minute start first, so that two processes end together."""
    names = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: names.get(item.path.name, len(names)))
