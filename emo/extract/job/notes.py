"""Say, once for a job, what the notes beside its clips' tokens tell, such as missing faces."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from emo.errors import StoreError
from emo.extract.job.plan import PartPlan
from emo.store.backend.location import Location
from emo.store.recipe import Recipe
from emo.store.store import RecipeFolder, Store


@dataclass(frozen=True)
class _Notice:
    """A kind of line about clips whose note has certain values, such as clips without a face."""

    note: str
    """Name of the note, see ``Prepared.notes``."""
    is_said: Callable[[float], bool]
    """Function that returns whether a value of the note is worth the line."""
    sentence: str
    """Text of the line; it may contain ``{clips}``, ``{done}``, ``{total}`` (sum of the values) and
    ``{recipes}``."""
    is_for: Callable[[Recipe], bool] = lambda recipe: True
    """Function that returns whether the line is meant for a recipe."""


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


def notice_lines(store: Location, parts: Iterable[PartPlan], done: int) -> list[str]:
    """Return one line for each kind of notice about the clips of some parts.

    Args:
        store: the store that the clips were written to.
        parts: the parts that a job did; clips of them that the store lacks do not count.
        done: number of clips that the job did.
    """
    try:
        told = [
            (notice, name, _values(notice, folder))
            for name, folder in Store(store).recipes.items()
            for notice in _NOTICES
        ]
    except StoreError:
        return []  # other lines of the report say what is wrong with the store
    told = [each for each in told if each[2]]
    found: dict[_Notice, dict[str, dict[str, float]]] = {}
    for part in parts if told else ():
        for notice, name, values in told:
            ids = part.todo[name].ids & values.keys() if name in part.todo else ()
            for clip_id in ids:
                found.setdefault(notice, {}).setdefault(name, {})[clip_id] = values[clip_id]
    return [_line(notice, found[notice], done) for notice in _NOTICES if notice in found]


def _values(notice: _Notice, folder: RecipeFolder) -> dict[str, float]:
    """Return the values of a note that are worth a line, by clip."""
    if not notice.is_for(folder.recipe):
        return {}
    return {
        clip_id: numbers[notice.note]
        for clip_id, numbers in folder.notes.items()
        if notice.note in numbers and notice.is_said(numbers[notice.note])
    }


def _line(notice: _Notice, by_recipe: Mapping[str, Mapping[str, float]], done: int) -> str:
    clips = set().union(*by_recipe.values())
    total = max(sum(values.values()) for values in by_recipe.values())
    return notice.sentence.format(
        clips=f"{len(clips):,}", done=f"{done:,}", total=f"{total:,.0f}",
        recipes=", ".join(by_recipe),
    )  # fmt: skip
