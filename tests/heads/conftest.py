"""Fixtures of the tests of heads."""

import pytest


@pytest.fixture
def without_plots(monkeypatch):
    """Pictures are half of the time of a small run, and tested elsewhere."""
    for module in ("folder", "cross"):
        for name in ("plot_confusion", "plot_numbers", "plot_curves"):
            monkeypatch.setattr(f"emo.heads.{module}.{name}", lambda *_: None, raising=False)
