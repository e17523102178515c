"""Scores by the values of a column, such as the first word of a question, gender or corpus.

Every row has one value; rows without one are a value of their own. The shares sum to 1.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

MOST_VALUE_ROWS = 40
"""Largest number of values that a table shows, the commonest ones."""
NO_VALUE = "–"
"""What a table shows for rows without a value."""


def rows_by_value(values: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the rows of each value, int64 (rows,); the commonest value first, then by name.

    >>> {value: rows.tolist() for value, rows in rows_by_value(["who", "what", "what"]).items()}
    {'what': [1, 2], 'who': [0]}

    Args:
        values: value of each of N rows; ``""``: it has none.
    """
    found: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        found.setdefault(value, []).append(row)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return {value: np.array(rows, dtype=np.int64) for value, rows in ordered}


def scores_by_value(
    values: Sequence[str], name: str, score: Callable[[np.ndarray], float]
) -> dict[str, dict[str, float]]:
    """Return ``{value: {"rows": number, "share": share of all rows, name: score}}``.

    >>> right = np.array([True, False, True])
    >>> scores_by_value(["who", "what", "what"], "accuracy", lambda rows: right[rows].mean())["who"]
    {'rows': 1, 'share': 0.3333333333333333, 'accuracy': 1.0}

    Args:
        values: value of each of N rows; ``""``: it has none.
        name: name of the score.
        score: returns the score of some rows, int64 (rows,).
    """
    return {
        value: {"rows": len(rows), "share": len(rows) / len(values), name: float(score(rows))}
        for value, rows in rows_by_value(values).items()
    }


def table_rows(
    column: str, found: Mapping[str, Mapping[str, float]], titles: Mapping[str, str]
) -> list[dict[str, object]]:
    """Return a row of a table for each of the commonest values.

    Args:
        column: name of the column, the title of the first cell.
        found: what :func:`scores_by_value` returned.
        titles: name of a score -> its title; others are shown by their name.
    """
    return [
        {
            column: value or NO_VALUE,
            **{
                titles.get(name, name): int(number) if name == "rows" else number
                for name, number in each.items()
            },
        }
        for value, each in list(found.items())[:MOST_VALUE_ROWS]
    ]


def cut_line(column: str, found: Mapping[str, Mapping[str, float]]) -> str:
    """Return a line on the values that a table leaves out; "": it shows all."""
    more = list(found.values())[MOST_VALUE_ROWS:]
    if not more:
        return ""
    rows = int(sum(each["rows"] for each in more))
    return f"and {len(more):,} more values of {column}, of {rows:,} rows"
