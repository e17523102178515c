"""Wall and processor seconds of what is compared."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Spent:
    """Wall and processor seconds of one side."""

    wall: float
    cpu: float


def spent(action: Callable[[], object]) -> Spent:
    cpu, began = time.process_time(), time.perf_counter()
    action()
    return Spent(time.perf_counter() - began, time.process_time() - cpu)


def median(values: list[float]) -> float:
    return float(statistics.median(values))


def cores_of(sides: list[Spent]) -> float:
    return sum(side.cpu for side in sides) / sum(side.wall for side in sides)
