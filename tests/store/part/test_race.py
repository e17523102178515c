"""Four processes that commit one part at the same moment: exactly one wins, round after round."""

import errno
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emo.store import PartWriter
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.writer import part_name
from tests.forked import forked
from tests.make_store import RECIPE, audio, dead_pid, owner

RACERS = 4
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="racers are forked here; no fork on Windows"
)


def no_links(*_args):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def race(
    folder: Path, rounds: int, *, links: bool = True, prepare: Callable[[int], object] = id
) -> np.ndarray:
    """Race for ``rounds`` parts; returns who won, (racers, rounds).

    Args:
        folder: of the recipe.
        rounds: how many parts.
        links: whether the file system has hard links.
        prepare: called by one racer before each round.
    """
    start = multiprocessing.get_context("fork").Barrier(RACERS, timeout=60)
    results = [folder.parent / f"wins-{racer}" for racer in range(RACERS)]

    def run(racer: int) -> int:
        if not links:
            os.link = no_links
        wins = []
        for turn in range(rounds):
            with PartWriter(folder, RECIPE) as part:
                part.add(f"clip {turn}", audio(50, turn))
                if racer == 0:
                    prepare(turn)
                start.wait()
            wins.append(not part.was_second)
        np.array(wins).tofile(results[racer])
        return 0

    racers = [forked(lambda racer=racer: run(racer)) for racer in range(RACERS)]
    assert [each.end() for each in racers] == [0] * RACERS
    return np.stack([np.fromfile(path, bool) for path in results])


def check(folder: Path, wins: np.ndarray) -> None:
    np.testing.assert_array_equal(wins.sum(axis=0), 1)
    assert wins.any(axis=1).sum() > 1  # it was a race
    parts = sorted(folder.iterdir())
    turns = range(wins.shape[1])
    assert parts == sorted(folder / part_name([f"clip {turn}"]) for turn in turns)
    assert all(problems(Part(path)) == [] for path in parts)


@pytest.mark.crash
@pytest.mark.parametrize("links", [True, False], ids=["link", "rename"])
def test_of_four_racers_one_wins(tmp_path, links):
    folder = tmp_path / "toy"
    folder.mkdir()
    check(folder, race(folder, 400, links=links))


@pytest.mark.crash
def test_of_four_racers_that_find_a_dead_ones_lock_one_wins(tmp_path):
    folder, dead = tmp_path / "toy", owner(dead_pid())
    folder.mkdir()

    def leave_lock(turn: int) -> None:
        (folder / f".lock-{part_name([f'clip {turn}'])}").write_text(dead)

    check(folder, race(folder, 400, links=False, prepare=leave_lock))
