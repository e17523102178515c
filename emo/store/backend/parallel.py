"""Do work on several remote files at the same time, because each request takes milliseconds."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

THREADS = 16
"""Largest number of threads; they mainly wait for the network."""


def at_once(is_remote: bool, work: Callable[[A], B], each: Sequence[A]) -> list[B]:
    """Return ``work`` of each item in order, computed in parallel threads if ``is_remote``."""
    if not is_remote or len(each) < 2:
        return [work(one) for one in each]
    with ThreadPoolExecutor(min(THREADS, len(each))) as pool:
        return list(pool.map(work, each))
