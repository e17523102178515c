"""Find texts and dialogues that are in two splits, and drop those that leak into a later one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from emo.datasets.dataset import Row
from emo.manifest.cells import SPLITS


@dataclass(frozen=True)
class RepeatsOptions:
    """Option of data sets with texts that are in two splits: what is done with them."""

    repeats: Literal["keep", "drop"] = field(
        default="keep",
        metadata={
            "help": "drop: what is in test, too, is left out of train and val, and what is in val "
            "out of train; keep: as published"
        },
    )


@dataclass(frozen=True)
class Unit:
    """A text, or a dialogue, with its rows."""

    key: str
    """The whole text, by which two units are equal."""
    rows: list[Row]
    """Rows of one split."""

    @property
    def split(self) -> str:
        """Split of the rows."""
        return self.rows[0]["split"]


def without_repeats(
    units: Sequence[Unit], options: RepeatsOptions, *, what: str
) -> tuple[list[Row], tuple[str, ...]]:
    """Return the rows that stay, and a note on what two splits share.

    Args:
        units: the texts or dialogues of all splits.
        options: what is done with those of two splits.
        what: word for units in the note, such as ``dialogues``.
    """
    keys = {split: {unit.key for unit in units if unit.split == split} for split in SPLITS}
    shared = [
        f"{first} and {second} {len(keys[first] & keys[second]):,}"
        for first, second in combinations(SPLITS, 2)
        if keys[first] & keys[second]
    ]
    is_kept = _keeper(keys) if options.repeats == "drop" else lambda unit: True
    kept = [unit for unit in units if is_kept(unit)]
    left = len(units) - len(kept)
    done = f"{left:,} left out" if left else "kept; -o repeats=drop leaves out those of train"
    notes = (f"{what} that are in two splits: {', '.join(shared)}; {done}",) if shared else ()
    return [row for unit in kept for row in unit.rows], notes


def _keeper(keys: dict[str, set[str]]) -> Callable[[Unit], bool]:
    """Return a function that tells whether a unit is in no split after its own.

    Args:
        keys: split -> texts of its units.
    """
    later = {
        split: set[str]().union(*(keys[name] for name in SPLITS[position + 1 :]))
        for position, split in enumerate(SPLITS)
    }
    return lambda unit: unit.key not in later[unit.split]
