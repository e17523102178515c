"""Every reader keeps its claims for mutated inputs; and what fuzzing found before."""

import random

import pytest

from tests.hostile.fuzzing.mutate import mutated
from tests.hostile.fuzzing.readers import READERS

SEEDS = {"run": 12, "manifest": 40}
"""Mutated inputs a reader in `make test`; 60 for others. `python -m tests.hostile.fuzzing` makes
them for minutes, guided by the lines that they reach."""


def blind(seed):
    def change(data):
        """Change, drop and double some bytes."""
        draw, found = random.Random(seed), bytearray(data)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(found) + 1)
            length = draw.choice([1, 1, 2, 4, 30])
            found[at : at + draw.choice([0, length])] = draw.choice(
                [bytes([draw.randrange(256)]), b"\xff" * length, found[:length], b""]
            )
        return bytes(found)

    return change


@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_mutated_files_with_one_line_or_reads_them(name, tmp_path, capsys):
    reader = READERS[name]
    firsts = [path.read_bytes() for path in reader.prepare(tmp_path)]
    for data in firsts:
        reader.ask(tmp_path, data)
    for seed in range(SEEDS.get(name, 60)):
        data = firsts[seed % len(firsts)]
        for step in range(1 + seed % 3):
            data = mutated(data, 1000 * seed + step, blind(seed))
        try:
            reader.ask(tmp_path, data)
        except BaseException as error:
            pytest.fail(f"seed {seed}: {error!r}"[:2000])
