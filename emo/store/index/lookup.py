"""Look up many clips in an index at once, in memory that does not grow with the index."""

from collections.abc import Callable, Sequence

import numpy as np

from emo.store.index.table import Columns, hash_of


def winning_entries(
    columns: Columns, finished: int, wins: np.ndarray, ids: Sequence[str]
) -> np.ndarray:
    """Return the number of the winning entry of each clip, int64 (n,); -1: it has none.

    Args:
        columns: the columns of the index.
        finished: number of entries with tokens; entries from there on are failures.
        wins: bool (entries,), whether an entry is the winning one of its clip.
        ids: n clip ids.
    """
    hashes, entries = columns.whole("hashes"), columns.whole("entries")
    wanted = np.fromiter(map(hash_of, ids), np.uint32, len(ids))
    firsts = np.searchsorted(hashes, wanted, side="left").tolist()
    lasts = np.searchsorted(hashes, wanted, side="right").tolist()
    with_tokens, failed = texts(columns, "id"), texts(columns, "failed")
    found = np.full(len(ids), -1, np.int64)
    for row, (clip_id, first, last) in enumerate(zip(ids, firsts, lasts, strict=True)):
        name = clip_id.encode("utf-8", "surrogatepass")
        for entry in entries[first:last].tolist():
            is_done = entry < finished
            if wins[entry] and name == (with_tokens if is_done else failed)(
                entry if is_done else entry - finished
            ):
                found[row] = entry
    return found


def texts(columns: Columns, name: str) -> Callable[[int], bytes]:
    """Return a function that returns a string of a text column in UTF-8, by its number."""
    text, ends = columns.whole(f"{name}_text"), columns.whole(f"{name}_ends")

    def at(number: int) -> bytes:
        start = int(ends[number - 1]) if number else 0
        return text[start : int(ends[number])].tobytes()

    return at
