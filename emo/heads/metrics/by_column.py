"""Scores by the values of a column, such as the first word of a question, gender or corpus.

Every row has one value; rows without one are a value of their own. The shares sum to 1.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

ScoresByValue = Mapping[str, Mapping[str, float]]
"""Value of a column -> ``rows``, ``share`` of all rows, and scores by name; the commonest first."""
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
    values: Sequence[str], score: Callable[[np.ndarray], Mapping[str, float]]
) -> ScoresByValue:
    """Return ``{value: {"rows": number, "share": share of all rows, name of a score: score}}``.

    >>> right = np.array([True, False, True])
    >>> accuracy = lambda rows: {"accuracy": float(right[rows].mean())}
    >>> scores_by_value(["who", "what", "what"], accuracy)["who"]
    {'rows': 1, 'share': 0.3333333333333333, 'accuracy': 1.0}

    Args:
        values: value of each of N rows; ``""``: it has none.
        score: returns the scores of some rows, int64 (rows,), by name.
    """
    return {
        value: {"rows": len(rows), "share": len(rows) / len(values), **score(rows)}
        for value, rows in rows_by_value(values).items()
    }


def table_rows(
    column: str, found: ScoresByValue, title_of: Callable[[str], str] = str
) -> list[dict[str, object]]:
    """Return a row of a table for each of the commonest values.

    Args:
        column: name of the column, the title of the first cell.
        found: what :func:`scores_by_value` returned.
        title_of: returns the title of a score's column.
    """
    return [
        {
            column: value or NO_VALUE,
            "rows": int(each["rows"]),
            **{title_of(name): number for name, number in each.items() if name != "rows"},
        }
        for value, each in list(found.items())[:MOST_VALUE_ROWS]
    ]


def cut_line(column: str, found: ScoresByValue) -> str:
    """Return a line on the values that a table leaves out; "": it shows all."""
    more = list(found.values())[MOST_VALUE_ROWS:]
    if not more:
        return ""
    rows = int(sum(each["rows"] for each in more))
    return f"and {len(more):,} more values of {column}, of {rows:,} rows"
