"""Hide the labels of a split: the tables of a class for its students and for its lecturer."""

import hashlib
import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.errors import ManifestError, plural
from emo.manifest.cells import turn
from emo.manifest.clips import COLUMNS
from emo.manifest.exchange import NO_TEXT, columns_of_cells
from emo.manifest.naming.telling import Telling, telling_of
from emo.manifest.write import write_rows

Cells = Mapping[str, Mapping[str, str]]
"""Clip id -> column -> cell."""
ORIGINAL = "original_id"
"""Column of the lecturer's file with the id that a clip has at home."""
_AT_HOME = ("video", "audio", "audio_channel", "audio_track", "start_seconds", "end_seconds")
"""Columns about media, which are left out where ids are renamed."""
_TEXT_ENDS = 100
"""How many letters of both ends of a text are looked through for what tells a label."""
_LEAST_OF_TEXTS = 0.1
"""Share of the hidden labels from which a text is reported: people do say how they feel."""


@dataclass(frozen=True)
class Hidden:
    """A manifest with hidden labels, and what its lecturer keeps."""

    cells: Cells
    """Cells for the students by the clip's own id, in the new order."""
    gold: Cells
    """Cells for the lecturer by the id that the clip has for the students."""
    names: Mapping[str, str] | None
    """Clip id -> id for the students; None: the ids stay."""
    seed: int
    """The seed that the order was drawn with."""
    lines: tuple[str, ...]
    """Lines for the lecturer: what was hidden, and warnings."""

    @property
    def student_cells(self) -> Cells:
        """Cells by the id that the clip has for the students."""
        return {(self.names or {}).get(key, key): row for key, row in self.cells.items()}

    def write_gold(self, path: Path) -> None:
        """Write the lecturer's file.

        Raises:
            ManifestError: the file exists with another content, or cannot be written.
        """
        write_rows(path, columns_of_cells(self.gold))


def hide_labels(
    cells: Cells, splits: Sequence[str], *, neutral_ids: bool = False, seed: int | None = None
) -> Hidden:
    """Empty the cells of labels of some splits, and shuffle the order of the clips.

    The turns of a dialogue stay together and in order.

    Args:
        cells: clip id -> column -> cell. Columns without a fixed meaning are labels.
        splits: splits whose labels are hidden, such as ``test``.
        neutral_ids: rename clips to c0001 …, dialogues and speakers likewise, count the turns of a
            dialogue from 0, and leave out paths and times of media. The new order tells nothing to
            who does not know the seed.
        seed: seed of the order; None: it is drawn.

    Raises:
        ManifestError: no clip of the splits has a label.
    """
    hidden = {clip_id for clip_id, row in cells.items() if row.get("split") in splits}
    targets = [
        name for name in dict.fromkeys(name for row in cells.values() for name in row)
        if name not in COLUMNS and any(cells[clip_id].get(name) for clip_id in hidden)
    ]  # fmt: skip
    if not targets:
        known = sorted({row.get("split", "") for row in cells.values()} - {""})
        raise ManifestError(
            f"--hide-labels {' '.join(splits)}: no clip of these splits has a label; the manifest "
            f"has the splits {', '.join(known) or 'none'}"
        )
    seed = secrets.randbits(63) if seed is None else seed
    order = _shuffled(cells, hidden, targets, seed)
    names = _numbered("c", order) if neutral_ids else None
    tables = _neutral(cells, order) if neutral_ids else {key: dict(cells[key]) for key in order}
    gold: dict[str, dict[str, str]] = {}
    for clip_id in order:
        if clip_id in hidden or names:
            kept = ("split", *targets)
            row = {name: cells[clip_id][name] for name in kept if name in cells[clip_id]}
            if names:
                row[ORIGINAL] = clip_id
            gold[names[clip_id] if names else clip_id] = row
        if clip_id in hidden:
            tables[clip_id] |= dict.fromkeys(targets, "")
    clips = plural(len(hidden), "clip")
    lines = [f"hidden: {', '.join(targets)} of {clips} of {', '.join(splits)}"]
    lines += _warnings(cells, tables, hidden, targets, is_neutral=neutral_ids)
    return Hidden(tables, gold, names, seed, tuple(lines))


def _shuffled(cells: Cells, hidden: set[str], targets: Sequence[str], seed: int) -> list[str]:
    """Return the clip ids in a random order, with the clips of a dialogue side by side.

    The hidden labels are a part of the seed, so that who tries all seeds, and knows the manifest of
    a public data set, does not find the order.
    """
    secret = [[cells[key].get(name, "") for name in targets] for key in cells if key in hidden]
    digest = hashlib.sha256(json.dumps([seed, secret]).encode()).digest()
    groups: dict[object, list[str]] = {}
    for number, (clip_id, row) in enumerate(cells.items()):
        groups.setdefault(row.get("dialogue", number), []).append(clip_id)
    drawn = list(groups.values())
    random.Random(digest).shuffle(drawn)
    return [clip_id for group in drawn for clip_id in group]


def _numbered(letter: str, values: Sequence[str]) -> dict[str, str]:
    """Return each value -> a name such as ``c0001``, numbered by the first occurrence."""
    distinct = list(dict.fromkeys(values))
    width = max(4, len(str(len(distinct))))
    return {value: f"{letter}{number:0{width}}" for number, value in enumerate(distinct, 1)}


def _neutral(cells: Cells, order: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the cells without paths and times, with numbered dialogues, speakers and turns."""
    known = {
        column: _numbered(letter, [cells[key][column] for key in order if column in cells[key]])
        for column, letter in (("dialogue", "d"), ("speaker", "s"))
    }
    turns = _counted_turns(cells)
    tables = {}
    for clip_id in order:
        row = {name: cell for name, cell in cells[clip_id].items() if name not in _AT_HOME}
        row |= {name: known[name][row[name]] for name in known if name in row}
        row |= {"turn": turns.get(clip_id, "")} if "turn" in row else {}
        tables[clip_id] = {"text": NO_TEXT, **row}
    return tables


def _counted_turns(cells: Cells) -> dict[str, str]:
    """Return clip id -> its turn, counted from 0 within its dialogue, so that no gap is left.

    A clip without a dialogue has none.
    """
    turns: dict[str, set[int]] = {}
    found = {
        clip_id: (row["dialogue"], turn(row["turn"]))
        for clip_id, row in cells.items()
        if row.get("dialogue") and row.get("turn")
    }
    for dialogue, number in found.values():
        turns.setdefault(dialogue, set()).add(number)
    ranks = {
        (dialogue, number): str(rank)
        for dialogue, each in turns.items()
        for rank, number in enumerate(sorted(each))
    }
    return {clip_id: ranks[key] for clip_id, key in found.items()}


def _warnings(
    cells: Cells, tables: Cells, hidden: set[str], targets: Sequence[str], *, is_neutral: bool
) -> list[str]:
    """Return a line for each kind of name in the pack that tells hidden labels.

    Args:
        cells: clip id -> column -> cell.
        tables: the cells that the students get, by the clip's own id.
        hidden: ids of the clips whose labels are hidden.
        targets: columns of the labels.
        is_neutral: whether clips, dialogues and speakers are renamed.
    """
    kinds = {"id": {key: key for key in cells}} | {
        name: {key: row[name] for key, row in cells.items() if row.get(name)}
        for name in ("video", "audio", "dialogue", "speaker")
    } | {
        name: {key: _ends(row[name]) for key, row in tables.items()
               if row.get(name) and row[name] != NO_TEXT}
        for name in ("turn", "text")
    }  # fmt: skip
    found = []
    for kind, names in kinds.items():
        if is_neutral and kind in ("id", "video", "audio"):
            continue
        best = _most_telling(kind, names, cells, hidden, targets, is_neutral=is_neutral)
        if best is not None and (kind != "text" or best.share >= _LEAST_OF_TEXTS):
            help_text = (
                "leave that column out"
                if is_neutral or kind in ("dialogue", "speaker", "turn", "text")
                else "--neutral-ids renames the clips and leaves out paths"
            )  # fmt: skip
            found.append(f"warning: {best.line()}; {help_text}")
    return found


def _ends(text: str) -> str:
    """Return the first and last letters of a text."""
    if len(text) <= 2 * _TEXT_ENDS:
        return text
    return f"{text[:_TEXT_ENDS]} {text[-_TEXT_ENDS:]}"


def _most_telling(
    kind: str,
    names: Mapping[str, str],
    cells: Cells,
    hidden: set[str],
    targets: Sequence[str],
    *,
    is_neutral: bool,
) -> Telling | None:
    """Return what of a kind of name tells the most, of all targets; None: nothing.

    Names that are replaced by numbers tell only that clips share one; turns and texts are shown.
    """
    is_numbered = is_neutral and kind not in ("turn", "text")
    shown = _numbered("", list(names.values())) if is_numbered else {}
    shown = {key: shown.get(value, value) for key, value in names.items()}
    found = []
    for target in targets:
        labels = {key: row[target] for key, row in cells.items() if row.get(target)}
        best = telling_of(kind, shown, target, labels, hidden)
        found += [best] if best else []
    return max(found, key=lambda each: each.share, default=None)
