"""Compare the counts found in a download with those that the data set's authors state."""

from collections import Counter
from collections.abc import Mapping, Sequence

from emo.datasets.dataset import Row, Stated
from emo.manifest.cells import SPLITS

BY_SPLIT = ("clips", "dialogues", "speakers", "pairs")
"""Names of counts that are made by split; every other name is a column, counted by class."""
MOST_VALUES = 20
"""Most values of a column that is shown although the authors do not count its classes."""


def comparison(rows: Sequence[Row], stated: Stated) -> list[dict[str, object]]:
    """Return a table row for each count: found, stated, and ``differs`` if they are not equal."""
    lines: list[dict[str, object]] = []
    for what, found in counted(rows, stated).items():
        claims = stated.get(what, {})
        for of in _keys(what, found, claims):
            number, claim = found.get(of, 0), claims.get(of)
            mark = "" if claim is None or claim == number else "differs"
            lines.append({"what": what, "of": of, "found": number, "stated": claim, "": mark})
    return lines


def counted(rows: Sequence[Row], stated: Stated) -> dict[str, dict[str, int]]:
    """Count clips, dialogues, speakers, pairs and classes of the rows, as ``Stated`` does."""
    values = {
        "clips": [str(number) for number in range(len(rows))],
        "dialogues": [row.get("dialogue", "") for row in rows],
        "speakers": [row.get("speaker", "") for row in rows] if "speakers" in stated else [],
    }
    found = {what: _by_split(rows, cells) for what, cells in values.items() if any(cells)}
    if "speakers" in found:  # a dialogue's number in two splits is two dialogues, a name is one
        found["speakers"]["all"] = len({name for name in values["speakers"] if name})
    if any(row.get("cause") for row in rows):
        found["pairs"] = _pairs(rows)
    for column in dict.fromkeys([*stated, "label", "emotion"]):
        classes = Counter(row[column] for row in rows if row.get(column))
        if column not in BY_SPLIT and (column in stated or 0 < len(classes) <= MOST_VALUES):
            found[column] = dict(sorted(classes.items()))
    return found


def _by_split(rows: Sequence[Row], cells: Sequence[str]) -> dict[str, int]:
    """Count different cells in each split and in all; a value in two splits counts twice in all."""
    pairs = {(row.get("split", ""), cell) for row, cell in zip(rows, cells, strict=True) if cell}
    counts = Counter(split for split, _ in pairs)
    return {**{split: counts[split] for split in SPLITS if counts[split]}, "all": len(pairs)}


def _pairs(rows: Sequence[Row]) -> dict[str, int]:
    """Count emotion–cause pairs in each split and in all."""
    counts = Counter[str]()
    for row in rows:
        number = sum(word != "none" for word in row.get("cause", "").split())
        counts.update({row.get("split", ""): number, "all": number})
    return dict(counts)


def _keys(what: str, found: Mapping[str, int], claims: Mapping[str, int]) -> list[str]:
    """Return the splits or classes to show, in order."""
    keys = list(dict.fromkeys([*claims, *found]))
    if what not in BY_SPLIT:
        return keys if len(keys) <= MOST_VALUES else list(claims)
    if claims.keys() == {"all"}:
        keys = [key for key in keys if key == "all"] if what == "speakers" else keys
    elif "all" not in claims and len(keys) > 1:
        keys.remove("all")
    return [key for key in (*SPLITS, "all") if key in keys]
