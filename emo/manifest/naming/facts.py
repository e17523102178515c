"""Lines and table rows for people about what the names of files said."""

from collections import Counter
from collections.abc import Mapping, Sequence

from emo.errors import plural

NOT_TAKEN = "not taken"
"""What a part of the names is called that is no column."""
SHOWN_VALUES = 6
"""Most values of a column that are shown."""
_SHOWN_FILES = 3


def fact(column: str | None, where: str, values: Sequence[str]) -> dict[str, object]:
    """Return the table row of one part of the names: what it was taken for, and its values.

    Args:
        column: the column that it is; None: it is none.
        where: its position, such as ``folder 1``.
        values: its name in each path; "" where it has none.
    """
    counts = Counter(filter(None, values))
    names = sorted(counts)[:SHOWN_VALUES]
    shown = [f"{name} {counts[name]:,}" if column else name for name in names]
    more = " …" if len(counts) > SHOWN_VALUES else ""
    return {
        "column": column or NOT_TAKEN,
        "from": where,
        "values": len(counts),
        "clips": sum(counts.values()),
        "clips of each value": f"{', '.join(shown)}{more}",
    }


def unfilled(columns: Mapping[str, Sequence[str]], origins: Sequence[str]) -> list[str]:
    """Return a line for each column that is empty for some of the files."""
    empty = {
        name: [o for o, cell in zip(origins, cells, strict=True) if not cell]
        for name, cells in columns.items()
    }
    return [
        f"{plural(len(files), 'file')} without {name}: {first_files(files)}"
        for name, files in empty.items()
        if files
    ]


def first_files(files: Sequence[str]) -> str:
    """Return the first three files as text, with "…" if there are more."""
    return ", ".join(files[:_SHOWN_FILES]) + (" …" if len(files) > _SHOWN_FILES else "")
