"""``--map COLUMN OLD=NEW,OLD=``: merge or rename classes, or leave their clips unlabelled."""

from collections import Counter
from collections.abc import Mapping, Sequence

from emo import plugins
from emo.datasets.dataset import Row, Stated
from emo.errors import OptionError


def parse_maps(words: Sequence[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Parse the values of ``--map``.

    >>> parse_maps([("label", "exc=hap,xxx=")])
    {'label': {'exc': 'hap', 'xxx': ''}}

    Args:
        words: column and ``OLD=NEW,…`` of each option.

    Raises:
        OptionError: a piece without ``=``, or one class with two new names.
    """
    maps: dict[str, dict[str, str]] = {}
    for column, pieces in words:
        for piece in pieces.split(","):
            old, equals, new = (part.strip() for part in piece.partition("="))
            if not equals or not old:
                raise OptionError(f"--map {column} {piece}: expected OLD=NEW, or OLD= to drop it")
            if maps.setdefault(column, {}).setdefault(old, new) != new:
                raise OptionError(f"--map {column}: {old!r} has two new names")
    return maps


def mapped_counts(stated: Stated, maps: Mapping[str, Mapping[str, str]]) -> Stated:
    """Apply the maps of classes to the counts that the authors state."""
    counts: dict[str, Mapping[str, int]] = dict(stated)
    for column in maps.keys() & stated.keys():
        merged = Counter[str]()
        for name, number in stated[column].items():
            merged.update({maps[column].get(name, name): number})
        counts[column] = {name: number for name, number in merged.items() if name}
    return counts


def mapped(rows: Sequence[Row], maps: Mapping[str, Mapping[str, str]], stated: Stated) -> list[Row]:
    """Replace the classes of rows; a class that becomes ``""`` leaves its clips unlabelled.

    Args:
        rows: the rows.
        maps: column -> old class -> new class.
        stated: what the authors count; a class that only they name is accepted, too.

    Raises:
        OptionError: no such column, or neither the rows nor the authors name the class.
    """
    for column, table in maps.items():
        names = dict.fromkeys(name for row in rows for name in row)
        if column not in names:
            raise OptionError(plugins.unknown("column for --map", column, names))
        known = {row.get(column, "") for row in rows} | set(stated.get(column, {}))
        for old in table:
            if old not in known:
                classes = sorted(known - {""})
                raise OptionError(plugins.unknown(f"class of {column} for --map", old, classes))
    return [
        {name: maps.get(name, {}).get(cell, cell) for name, cell in row.items()} for row in rows
    ]
