"""The rule by which bootstrap intervals are drawn: whole dialogues where there are any, else clips.

Clips of one dialogue are alike, so that an interval over clips is too narrow. The same rule holds
for `emo fit-head` and `emo compare`; ``--interval-over`` requests another column, such as speaker.
``@COLUMN`` is always a column: where rows are questions about videos, ``@clip`` draws whole videos,
and ``clip`` each question by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emo import plugins
from emo.errors import FitError
from emo.manifest import COLUMNS, Clip

CLIP, DIALOGUE = "clip", "dialogue"
"""Words of ``--interval-over`` that are no column: each clip by itself, whole dialogues."""
COLUMN_MARK = "@"
"""Start of a value of ``--interval-over`` that is a column, whatever its name."""


@dataclass(frozen=True, eq=False)
class IntervalGroups:
    """Groups of clips for the bootstrap, which draws whole groups, such as dialogues."""

    over: str
    """``clip``, ``dialogue`` or a column of the manifest."""
    groups: np.ndarray | None
    """int64 (N,), group of each clip; None: each clip by itself."""

    def select(self, rows: np.ndarray) -> "IntervalGroups":
        """Return the groups of some clips, int64 (n,) rows."""
        return replace(self, groups=None if self.groups is None else self.groups[rows])


def interval_groups(clips: Sequence[Clip], over: str = "") -> IntervalGroups:
    """Return the groups of clips that intervals are drawn over.

    A clip without a value of the column is a group of its own.

    Args:
        clips: N clips.
        over: ``clip``, ``dialogue``, or a column, with ``@`` before it if it is called ``clip``;
            empty: dialogues if any clip has one, else clips.

    Raises:
        FitError: no clip has a value of the column.
    """
    if over == CLIP:
        return IntervalGroups(CLIP, None)
    names = [value_of(clip, over or DIALOGUE) for clip in clips]
    if any(names):
        ids = [clip.id for clip in clips]
        return IntervalGroups(over or DIALOGUE, groups_of_names(names, ids))
    if over:
        columns = dict.fromkeys(name for clip in clips for name in clip.targets)
        known = [name for name in (DIALOGUE, "speaker") if any(value_of(c, name) for c in clips)]
        raise FitError(plugins.unknown("column of --interval-over", over, [CLIP, *known, *columns]))
    return IntervalGroups(CLIP, None)


def groups_of_names(names: Sequence[str], ids: Sequence[str]) -> np.ndarray:
    """Return the group of each row, int64 (rows,), numbered in the order of the sorted names.

    Args:
        names: name of the group of each row; ``""``: the clip is a group of its own.
        ids: id of the clip of each row.
    """
    own = [name or f"clip\t{clip_id}" for name, clip_id in zip(names, ids, strict=True)]
    _, groups = np.unique(own, return_inverse=True)
    return np.asarray(groups, dtype=np.int64)


def value_of(clip: Clip, column: str) -> str:
    """Return a clip's value of a column, which may have ``@`` before it; ``""``: it has none."""
    column = column.removeprefix(COLUMN_MARK)
    value = getattr(clip, column) if column in COLUMNS else clip.targets.get(column)
    return "" if value is None else str(value)
