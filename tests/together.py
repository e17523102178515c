"""One test of all items instead of a test of each: thousands of tests cost more than their work."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def together(items: Iterable[Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Return a decorator; the test tells all items that fail, each with its reason."""

    def decorate(test: Callable[[Any], None]) -> Callable[[], None]:
        @functools.wraps(test)
        def run() -> None:
            wrong = []
            for item in items:
                try:
                    test(item)
                except (AssertionError, pytest.fail.Exception) as error:
                    wrong.append(f"{item}: {error}")
            assert not wrong, "\n".join(wrong)

        del run.__wrapped__  # pytest would ask for its argument as a fixture
        return run

    return decorate
