"""Several parts in a bucket are asked at the same time, because each answer takes milliseconds."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

WAITING = 16
"""Threads, which do little but wait."""


def at_once(is_remote: bool, work: Callable[[A], B], each: Sequence[A]) -> list[B]:
    """``work`` of each in order: in this thread, or in several when what it waits for is remote."""
    if not is_remote or len(each) < 2:
        return [work(one) for one in each]
    with ThreadPoolExecutor(min(WAITING, len(each))) as pool:
        return list(pool.map(work, each))
