"""``--map COLUMN OLD=NEW,OLD=``: classes merged, renamed, or left unlabelled."""

from collections import Counter
from collections.abc import Mapping, Sequence

from emo import plugins
from emo.datasets.dataset import Row, Stated
from emo.errors import OptionError


def parse_maps(words: Sequence[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """``[("label", "exc=hap,xxx=")]`` -> ``{"label": {"exc": "hap", "xxx": ""}}``.

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
    """What the authors count, with the same classes merged and dropped."""
    counts: dict[str, Mapping[str, int]] = dict(stated)
    for column in maps.keys() & stated.keys():
        merged = Counter[str]()
        for name, number in stated[column].items():
            merged.update({maps[column].get(name, name): number})
        counts[column] = {name: number for name, number in merged.items() if name}
    return counts


def mapped(rows: Sequence[Row], maps: Mapping[str, Mapping[str, str]], stated: Stated) -> list[Row]:
    """The rows with other classes; a class that becomes ``""`` leaves its clips unlabelled.

    Raises:
        OptionError: no such column, or no clip has the class (and the authors state none either).
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
