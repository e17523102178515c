"""Parse the cells of a manifest: paths, splits, turns, times."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from emo.machine.untrusted.addresses import (
    below,
    checked_url,
    hide_secrets,
    is_url,
    parse_address,
    url_of,
)
from emo.machine.untrusted.documents import short_repr

SPLITS = ("train", "val", "test")
"""Splits that a clip can be of."""
SPLIT_WORDS = MappingProxyType(
    {"train": "train", "training": "train", "trn": "train", "val": "val", "valid": "val",
     "validation": "val", "dev": "val", "test": "test", "testing": "test", "tst": "test"}
)  # fmt: skip
"""Word in a ``split`` column -> the split that it means."""
ARRAYS = (".npy", ".npz")
"""Endings of cells that name a file of arrays."""


def parse_columns(
    table: Mapping[str, list[str]], names: Iterable[str], *, count: int, root: str
) -> tuple[dict[str, list[Any]], dict[int, str]]:
    """Parse columns of text cells.

    Args:
        table: column name -> stripped cells.
        names: names of the columns to parse.
        count: number of rows.
        root: absolute path of the folder that all media must be in, or its URL.

    Returns:
        Column name -> values, in the order of ``names`` (None for an empty cell or a column that
        is not there), and row index -> what is wrong in it.
    """
    parsers: dict[str, Callable[[str], object]] = {
        "id": one_line,
        "video": lambda cell: inside(cell, root),
        "audio": lambda cell: inside(cell, root),
        "audio_channel": channel,
        "audio_track": track,
        "split": split,
        "turn": turn,
        "start_seconds": lambda cell: seconds(cell, "start_seconds"),
        "end_seconds": lambda cell: seconds(cell, "end_seconds"),
    }
    values: dict[str, list[Any]] = {}
    errors: dict[int, str] = {}
    for name in names:
        column = table.get(name)
        if column is None:
            values[name] = [None] * count
            continue
        if name not in parsers or (name == "id" and not any(map(_has_break, column))):
            values[name] = [cell or None for cell in column]  # no dict of millions of texts
            continue
        parsed, wrong = _parse_each(set(column), parsers.get(name, str))
        values[name] = [parsed.get(cell) for cell in column]
        if wrong:
            found = {row: wrong[cell] for row, cell in enumerate(column) if cell in wrong}
            errors = {**found, **errors}
    values["audio_channel"] = [name or "mix" for name in values["audio_channel"]]
    return values, errors


def _parse_each(
    distinct: set[str], parse: Callable[[str], object]
) -> tuple[dict[str, object], dict[str, str]]:
    """Parse distinct cells; return cell -> value, and cell -> what is wrong with it."""
    parsed, wrong = {}, {}
    for cell in distinct - {""}:
        try:
            parsed[cell] = parse(cell)
        except ValueError as error:
            wrong[cell] = str(error)
    return parsed, wrong


def inside(path: str, root: str) -> str:
    """Return a path relative to ``root``, without ``..``, or a URL as it is; no link is followed.

    Args:
        path: a cell: a path, a URL, or a member of a tar shard.
        root: absolute path, or the URL that stands before relative paths.

    Raises:
        ValueError: the path leads out of ``root``, or the URL cannot be used.
    """
    if "://" in path:
        return checked_url(path)
    if ":/" in path and (meant := url_of(path)) and is_url(meant):
        shown = hide_secrets(path)[:200]
        raise ValueError(f"{shown!r}: a URL has two slashes behind its colon")
    if is_url(root):
        return below(path, root)
    if ".tar!" in path.lower():
        shard = parse_address(path).file
        return inside(shard, root) + path[len(shard) :]
    full = os.path.normpath(os.path.join(root, path))
    prefix = root.rstrip(os.sep) + os.sep
    if full.startswith(prefix) and "\0" not in path:
        return full[len(prefix) :]
    raise ValueError(
        f"{short_repr(path, 200)} leaves the folder of the media, {root}; {_other_root(full, root)}"
    )


def _other_root(full: str, root: str) -> str:
    """Return the advice for a path outside of ``root``, for an error message."""
    try:
        common = os.path.commonpath([root, os.path.dirname(full)])
    except ValueError:  # another drive
        return "copy it there"
    return (
        f"name one that holds them all, such as --root {common}, and write the paths relative to "
        "it or absolute"
    )


def split(word: str) -> str:
    """Parse the name of a split, such as ``dev`` -> ``val``.

    Raises:
        ValueError: an unknown name.
    """
    if word.lower() not in SPLIT_WORDS:
        raise ValueError(f"split {short_repr(word)}; expected one of {', '.join(SPLITS)}")
    return SPLIT_WORDS[word.lower()]


def channel(word: str) -> str:
    """Parse an audio channel, such as ``Left`` -> ``left``.

    Raises:
        ValueError: neither mix, left, right nor a number.
    """
    name = word.lower()
    if name in {"mix", "left", "right"}:
        return name
    return str(_whole(name, "audio_channel", "mix, left, right or a number from 0"))


def track(word: str) -> str:
    """Parse an audio track: ``1`` and ``1.0`` -> ``1``, ``ENG`` -> ``eng``; blanks do not count.

    Raises:
        ValueError: neither a whole number from 0 nor a language.
    """
    word = word.strip()
    if re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", word):
        return word.lower()
    return str(_whole(word, "audio_track", "a number from 0 or a language such as eng"))


def turn(cell: str) -> int:
    """Parse a turn, such as ``3`` -> 3.

    Raises:
        ValueError: not a whole number from 0.
    """
    return _whole(cell, "turn", "a whole number from 0")


def seconds(cell: str, column: str) -> float:
    """Parse a time in seconds: ``1.5``, ``00:00:01,500`` and ``0 days 00:00:01.5`` -> 1.5.

    The last is how pandas, and with it audformat, write times.

    Args:
        cell: the text.
        column: name of the column, for error messages.

    Raises:
        ValueError: not a time.
    """
    clock = re.fullmatch(
        r"(?:([0-9]{1,4}) days? )?(?:([0-9]{1,6}):)?([0-5]?[0-9]):([0-5]?[0-9](?:[.,][0-9]+)?)",
        cell,
    )
    if clock is not None:
        days, hours, minutes, rest = clock.groups()
        whole = int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes) * 60
        return whole + float(rest.replace(",", "."))
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(
            f"{column} {short_repr(cell)}; expected seconds such as 1.5, or 00:00:01,500"
        )
    return value


def stretch(start: float | None, end: float | None, channel: str, track: str | None = None) -> str:
    """Return the end of an id that distinguishes clips of one file.

    >>> stretch(1.5, 3.0, "left"), stretch(None, None, "mix", "1")
    ('#1.5-3#left', '#track=1')
    """
    if start is None and end is None and channel == "mix" and track is None:
        return ""
    numbers = ["" if t is None else repr(t).removesuffix(".0") for t in (start, end)]
    return (
        ("#" + "-".join(numbers) if any(numbers) else "")
        + ("" if channel == "mix" else f"#{channel}")
        + ("" if track is None else f"#track={track}")
    )


def _has_break(cell: str) -> bool:
    return "\n" in cell or "\r" in cell


def one_line(name: str) -> str:
    """Return an id unchanged after checking it.

    Raises:
        ValueError: the id holds a line break.
    """
    if _has_break(name):
        raise ValueError(f"the id {short_repr(name)} holds a line break")
    return name


def _whole(cell: str, column: str, expected: str) -> int:
    """Parse a whole number from 0."""
    match = re.fullmatch(r"([0-9]{1,9})(\.0+)?", cell)  # pandas writes some integers as 3.0
    if match is None:
        raise ValueError(f"{column} {short_repr(cell)}; expected {expected}")
    return int(match[1])
