"""A browser for all tests of this folder; without one they are skipped."""

import importlib.util
import os
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium, browser_path
from tests.report.conftest import manifest

__all__ = ["manifest"]

REQUIRED = "EMO_REQUIRE_BROWSER"
"""Variable with which a missing browser is a failure, as in `make browser`."""


@pytest.fixture(scope="session")
def browser():
    command = browser_path()
    if command is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED}: no Chromium on this machine; run `make browser` as root")
        pytest.skip("no Chromium on this machine (make browser installs one)")
    with Chromium(command) as found:
        yield found


@pytest.fixture(scope="session")
def axe():
    """The script of axe-core, from the wheel axe-playwright-python."""
    spec = importlib.util.find_spec("axe_playwright_python")
    files = [] if spec is None else sorted(Path(spec.origin).parent.rglob("axe.min.js"))
    if not files:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED}: axe.min.js is not installed; run `make browser`")
        pytest.skip("axe-playwright-python is not installed (make browser installs it)")
    return files[0].read_text(encoding="utf-8")
