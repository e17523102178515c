"""What makes other numbers since an older version of emo, and which runs it concerns.

The table "Numbers that changed" of CHANGELOG.md has a row for each of :data:`CHANGES`; a test
holds both equal.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
"""What ``run.json`` holds."""
NEWER_TOKENS = dict.fromkeys(
    ("classic", "faces", "languagebind", "logmel", "openclip", "perceiver", "resnet3d", "timm",
     "vggface", "videollama"), 2
) | {"hf": 3}  # fmt: skip
"""Backbone -> version of its code in this emo, of those whose first version was another one."""
_OF_DIALOGUES = ("dialogue_bilstm", "joint")
"""Heads whose intervals were drawn over dialogues from the beginning."""
_OF_ROWS = (*_OF_DIALOGUES, "bilstm", "cross_modal", "mlstm_fcn")
"""Heads whose steps add numbers in another order."""


@dataclass(frozen=True)
class Change:
    """A change of emo that gives a run other numbers when it is made again."""

    since: str
    """Version of emo that made the change, such as ``0.2.0``."""
    what: str
    """What is otherwise; the first cell of the row in CHANGELOG.md."""
    to_do: str
    """What a user does about it; the last cell of the row."""
    concerns: Callable[[Document], bool]
    """Return whether a run's numbers may be others for it, by its ``run.json``."""
    is_of_tokens: bool = False
    """Whether the recipe tells, whatever emo fitted the run."""


def _has_older_tokens(document: Document) -> bool:
    return any(map(is_older, _dict(document, "recipes").values()))


def _has_older_texts(document: Document) -> bool:
    recipes = _dict(document, "recipes").values()
    return any(each.get("backbone") == "hf" and each.get("version") == 1 for each in recipes)


def _has_joined_frames(document: Document) -> bool:
    recipes = _dict(document, "recipes").values()
    return any(each.get("backbone") == "import-mertools" for each in recipes)


def _is_scaled(document: Document) -> bool:
    named = _dict(_dict(document, "options"), "scaling")
    return any(stream not in named for stream in _dict(document, "streams"))


def _fuses_late(document: Document) -> bool:
    head = _dict(document, "head")
    is_late = _dict(head, "options").get("fusion", "late") == "late"
    return head.get("name") == "linear" and is_late and len(_dict(document, "streams")) > 1


def _has_intervals(document: Document) -> bool:
    if _dict(document, "head").get("name") in _OF_DIALOGUES:
        return False
    return any(each.get("interval") and not each.get("drawn") for each in _metrics(document))


def _has_undefined_pearson(document: Document) -> bool:
    return any(
        seed.get("pearson") == 0
        for each in _metrics(document)
        for seed in (*_dict(each, "seeds").values(), _dict(each, "majority"))
    )


def _has_cut_splits(document: Document) -> bool:
    notes = document.get("notes", ())
    return "folds" in document or any("cut from" in str(note) for note in notes)


def _adds_in_another_order(document: Document) -> bool:
    return _dict(document, "head").get("name") in _OF_ROWS


CHANGES = (
    Change(
        "0.2.0", "Sound lies at its own time, pictures are shown as players show them, and damaged "
        "media are read as far as they go",
        "extract again with --as NAME, then fit again", _has_older_tokens, is_of_tokens=True,
    ),
    Change(
        "0.2.0", "hf calls each family of models as its documentation does: padding of texts, "
        "masks, long texts", "extract again with --as NAME, then fit again", _has_older_texts,
        is_of_tokens=True,
    ),
    Change(
        "0.2.0", "Frames imported from MERTools are joined in their natural order",
        "import again, then fit again", _has_joined_frames,
    ),
    Change(
        "0.2.0", "Scaling judges each dimension by itself, instead of by the size of the others",
        "emo rerun says whether the scores are the same", _is_scaled,
    ),
    Change(
        "0.2.0", "Late fusion of linear is calibrated by a temperature",
        "emo rerun gives the calibrated probabilities; classes stay", _fuses_late,
    ),
    Change(
        "0.2.0", "linear on several streams chooses late, early or the best stream, instead of "
        "always late", "fit again without -o fusion; emo rerun keeps fusion=late", _fuses_late,
    ),
    Change(
        "0.2.0", "Intervals are drawn over whole dialogues where the manifest has any, instead of "
        "over clips", "emo rerun gives the wider intervals; scores stay", _has_intervals,
    ),
    Change(
        "0.2.0", "Pearson's correlation of constant predictions is undefined, instead of 0",
        "leave the 0 out of means over seeds, or emo rerun", _has_undefined_pearson,
    ),
    Change(
        "0.2.0", "Cut splits and folds keep linked speakers and dialogues together, in whatever "
        "spelling", "emo rerun; do not compare with scores on the earlier splits", _has_cut_splits,
    ),
    Change(
        "0.2.0", "Steps of LSTMs and of cross_modal add numbers in another order; cross_modal "
        "draws another dropout", "nothing, unless the same bits are needed",
        _adds_in_another_order,
    ),
)  # fmt: skip
"""All changes of numbers that a run's ``run.json`` can show, oldest version first."""


def is_older(recipe: Document) -> bool:
    """Return whether this emo makes other tokens than a recipe says, by the backbone's version."""
    version = recipe.get("version")
    return isinstance(version, int) and version < NEWER_TOKENS.get(str(recipe.get("backbone")), 0)


def made_by(document: Document) -> str:
    """Return the version of emo that fitted a run; empty: its ``run.json`` does not say."""
    found = _dict(document, "versions").get("emo", "")
    return found if isinstance(found, str) else ""


def changes_since(document: Document) -> Iterator[Change]:
    """Iterate over the changes since a run was made that may give it other numbers."""
    made = _numbers(made_by(document))
    for change in CHANGES:
        is_older_run = bool(made) and made < _numbers(change.since)
        if (is_older_run or change.is_of_tokens) and change.concerns(document):
            yield change


def origin_words(document: Document) -> str:
    """Return what is older than the changes of a run: ``made by emo 0.1.0``, or its tokens."""
    made = made_by(document)
    if _numbers(made) < max(_numbers(each.since) for each in CHANGES):
        return f"made by emo {made}" if made else "made by an older emo"
    return "fitted on tokens of an older backbone"


def changed_lines(document: Document) -> list[str]:
    """Return a line for each change that concerns a run, with what to do about it."""
    return [f"{change.what}: {change.to_do}" for change in changes_since(document)]


def _metrics(document: Document) -> Iterator[Document]:
    """Iterate over the scores of each target and split."""
    others = _dict(document, "metrics_of_others").values()
    for found in (_dict(document, "metrics"), *others):
        yield from ([found] if "mean" in found else found.values())


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version; empty: it has none.

    >>> _numbers("0.2.0"), _numbers("")
    ((0, 2, 0), ())
    """
    return tuple(int(part) for part in version.split(".") if part.isascii() and part.isdecimal())


def _dict(document: Document, name: str) -> dict[str, Any]:
    """Return an entry that is an object; empty: it is missing or something else."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}
