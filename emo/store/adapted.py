"""Lists of the clips that adapted weights have seen, kept beside the recipe of their tokens.

Weights that `emo adapt` trained on clips give better scores on these clips than on new ones. So a
store keeps, beside ``recipe.json``, files ``adapted-<16 hex digits>.csv`` with the columns ``id``
and ``split``; the digits begin the SHA-256 of the file. ``facts["adapted"]`` of the recipe says
which list must be there. Lists are never changed, and several count together.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from emo.errors import StoreError
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import read_regular
from emo.store.backend.location import Location, file_names
from emo.store.recipe import Recipe

ADAPTATION_FILE, SEEN_CLIPS_FILE, NEW_WEIGHTS = "adapt.json", "clips.csv", "weights"
"""Names in a folder of `emo adapt`: what was done, the clips that the weights saw, the weights."""
FACT = "adapted"
"""Name of the fact of a recipe that says which list belongs to it."""
SEEN_FILE = r"adapted-[0-9a-f]{16}\.csv"
"""Regular expression of the names of lists."""
SEEN_SPLITS = ("train", "val")
"""Splits whose clips weights have seen: they were trained on the first, and chosen on the second.
"""
MOST_LIST_BYTES = 2**32
"""Largest list of clips that is read, 4 GiB."""
ClipIds = Mapping[str, frozenset[str]]
"""Ids of clips by split."""


@dataclass(frozen=True)
class SeenClips:
    """Clips that adapted weights have seen."""

    ids: ClipIds = field(default_factory=dict)
    """Ids of the clips by split, ``train`` and ``val``."""

    @classmethod
    def of(cls, ids: Mapping[str, Iterable[str]]) -> Self:
        """Build a list from ids by split; other splits than train and val are left out."""
        return cls({split: frozenset(ids.get(split, ())) for split in SEEN_SPLITS})

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a list from a CSV file with the columns ``id`` and ``split``.

        Raises:
            ValueError: it is no such file.
        """
        return cls.of(parse_clip_ids(data))

    def __bool__(self) -> bool:
        """Whether there is any clip."""
        return any(self.ids.values())

    def __or__(self, other: "SeenClips") -> "SeenClips":
        """Return the clips of both lists."""
        return SeenClips.of(
            {name: {*self.ids.get(name, ()), *other.ids.get(name, ())} for name in SEEN_SPLITS}
        )

    def renamed(self, names: Mapping[str, str]) -> "SeenClips":
        """Return the list under other ids; clips without a new id are left out.

        Args:
            names: id of a clip -> its new id.
        """
        return SeenClips.of(
            {
                split: [names[clip_id] for clip_id in ids if clip_id in names]
                for split, ids in self.ids.items()
            }
        )

    def to_bytes(self) -> bytes:
        """Return the CSV file of the list; equal lists give equal bytes."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("id", "split"))
        for split in SEEN_SPLITS:
            table.writerows((clip_id, split) for clip_id in sorted(self.ids.get(split, ())))
        return text.getvalue().encode()

    @property
    def facts(self) -> dict[str, Any]:
        """Fact of the recipe: the list's hash, and the number of clips by split."""
        counts = {split: len(self.ids.get(split, ())) for split in SEEN_SPLITS}
        return {"sha256": hashlib.sha256(self.to_bytes()).hexdigest(), "clips": counts}

    @property
    def file_name(self) -> str:
        """Name of the list's file beside ``recipe.json``."""
        return _name_of(self.facts["sha256"])


NOTHING_SEEN = SeenClips()
"""The empty list, of weights that are not known to be adapted."""


def parse_clip_ids(data: bytes) -> dict[str, frozenset[str]]:
    """Read the ids of clips by split from a CSV file with the columns ``id`` and ``split``.

    Raises:
        ValueError: it is no such file.
    """
    ids: dict[str, set[str]] = {}
    rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    try:
        if not {"id", "split"} <= {*(rows.fieldnames or ())}:
            raise ValueError("expected the columns id and split")
        for row in rows:
            if row["split"] is None or row["id"] is None:
                raise ValueError("a row has fewer cells than the header")
            ids.setdefault(row["split"], set()).add(row["id"])
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return {split: frozenset(known) for split, known in ids.items()}


def seen_files(folder: Location) -> list[str]:
    """Return the names of the lists beside a recipe, sorted.

    Raises:
        StoreError: the folder cannot be read.
    """
    try:
        names = file_names(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror}") from error
    return sorted(name for name in names if re.fullmatch(SEEN_FILE, name))


def read_seen(folder: Location, recipe: Recipe) -> SeenClips:
    """Return the clips that the weights of a recipe have seen, by all its lists.

    Args:
        folder: folder of the recipe.
        recipe: the recipe.

    Returns:
        The clips; none: the weights are not known to be adapted.

    Raises:
        StoreError: a list is missing or was changed.
    """
    every = NOTHING_SEEN
    names = seen_files(folder)
    if (expected := expected_file(recipe)) and expected not in names:
        raise StoreError(
            f"{folder / expected} is missing: the weights of this recipe were adapted, and the "
            "file lists the clips that they have seen. Copy it from where the store came from, or "
            "extract again"
        )
    for name in names:
        every |= _read(folder / name)
    return every


def seen_problems(folder: Location, recipe: Recipe) -> list[tuple[Location, str]]:
    """Return each list of a recipe that is missing, damaged or changed, and what is wrong."""
    names, expected = seen_files(folder), expected_file(recipe)
    found: list[tuple[Location, str]] = []
    if expected and expected not in names:
        found.append((folder / expected, "the list of clips that the weights saw is missing"))
    for name in names:
        try:
            _read(folder / name)
        except StoreError as error:
            found.append((folder / name, str(error).partition(": ")[2]))
    return found


def expected_file(recipe: Recipe) -> str:
    """Return the name of the list that a recipe says it has; empty: it says nothing of one."""
    fact = recipe.facts.get(FACT)
    found = fact.get("sha256") if isinstance(fact, Mapping) else None
    return _name_of(found) if isinstance(found, str) else ""


def _name_of(sha256: str) -> str:
    return f"adapted-{sha256[:16]}.csv"


def _read(path: Location) -> SeenClips:
    """Read one list and compare it with the hash in its name.

    Raises:
        StoreError: it cannot be read, or was changed.
    """
    try:
        if isinstance(path, Path):
            data = read_regular(path, most_bytes=MOST_LIST_BYTES, follow_links=False)
        else:
            data = path.read_bytes()
        if _name_of(hashlib.sha256(data).hexdigest()) != path.name:
            raise ValueError("it was changed, its hash is not the one in its name")
        return SeenClips.parse(data)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: the list of clips that the weights saw cannot be used: "
            f"{shortened(str(error))}; restore it from a copy"
        ) from error
