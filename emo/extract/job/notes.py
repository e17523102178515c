"""Say, once for a job, what the notes beside its clips' tokens tell, such as missing faces."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from emo.errors import StoreError
from emo.extract.job.plan import PartPlan
from emo.store.backend.location import Location
from emo.store.recipe import Recipe
from emo.store.store import Store


@dataclass(frozen=True)
class _Notice:
    """What is said of the clips whose note has certain values."""

    note: str
    """Name of the note, see ``Prepared.notes``."""
    is_said: Callable[[float], bool]
    """Tells whether a value of the note is worth a line."""
    sentence: str
    """The line; may contain ``{clips}``, ``{done}``, ``{total}`` (of the values) and
    ``{recipes}``."""
    is_for: Callable[[Recipe], bool] = lambda recipe: True
    """Tells whether the notice holds for a recipe."""


_NOTICES = (
    _Notice(
        "face_share",
        lambda share: share == 0,
        "no face was found in {clips} of {done} clips ({recipes}): the centres of their frames "
        "stand in; -o require_face=true makes their face stream absent",
        lambda recipe: recipe.options.get("faces") != "centre",
    ),
    _Notice(
        "words_lacking",
        lambda words: words > 0,
        "the text of {clips} of {done} clips is longer than the model reads ({recipes}): "
        "{total} words at the ends were left out",
    ),
    _Notice(
        "text_pieces",
        lambda pieces: pieces > 1,
        "the text of {clips} of {done} clips is longer than the model reads ({recipes}): it was "
        "cut into pieces, {total} in all, whose tokens follow one another",
    ),
)


def notice_lines(store: Location, parts: Iterable[PartPlan]) -> list[str]:
    """Return one line for each kind of notice about the clips of some parts.

    Args:
        store: the store that the clips were written to.
        parts: the parts that a job did; clips of them that the store lacks do not count.
    """
    wanted: dict[str, set[str]] = {}
    for part in parts:
        for name, todo in part.todo.items():
            wanted.setdefault(name, set()).update(todo.ids)
    try:
        folders = Store(store).recipes
        known = {name: folders[name] for name in wanted if name in folders}
        notes = {name: folder.notes for name, folder in known.items()}
    except StoreError:
        return []  # the report itself says what is wrong with the store
    done = set().union(*(wanted[name].intersection(known[name].ids) for name in known))
    lines = []
    for notice in _NOTICES:
        found = {
            name: values
            for name, folder in known.items()
            if notice.is_for(folder.recipe)
            and (values := _values(notice, notes[name], wanted[name]))
        }
        if found:
            clips = set().union(*found.values())
            total = max(sum(values.values()) for values in found.values())
            lines.append(
                notice.sentence.format(
                    clips=f"{len(clips):,}", done=f"{len(done):,}", total=f"{total:,.0f}",
                    recipes=", ".join(found),
                )
            )  # fmt: skip
    return lines


def _values(
    notice: _Notice, notes: Mapping[str, Mapping[str, float]], ids: set[str]
) -> dict[str, float]:
    """Return the values of a note that are worth a line, by clip."""
    return {
        clip_id: numbers[notice.note]
        for clip_id, numbers in notes.items()
        if clip_id in ids and notice.note in numbers and notice.is_said(numbers[notice.note])
    }
