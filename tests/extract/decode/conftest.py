"""What the tests of decoding share: strangers' media, if they are there."""

import pytest


@pytest.fixture(scope="session")
def cases(real_data):
    """The folder of media that reports showed; tests skip without it."""
    folder = real_data.parent / "cases" / "media"
    if not folder.is_dir():
        pytest.skip(f"the cases are not at {folder}")
    return folder
