"""Rename the clips of contents and of a recipe, so that a pack does not show their own ids."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emo.store.adapted import FACT, SeenClips
from emo.store.exchange.contents import Contents
from emo.store.recipe import Recipe

WITHHELD = "the reason is left out of this pack"
"""Reason of failed and absent clips in a pack with renamed clips: a reason may name a file."""


def renamed(contents: Contents, names: Mapping[str, str]) -> Contents:
    """Return contents whose clips have other ids, in the same order.

    What could tell the old id is left out: hashes of source files, and reasons, which may name
    files. Failed clips are sorted by their new id.

    Args:
        contents: the clips; tokens are not read.
        names: clip id -> new id, of at least the clips of ``contents``.
    """
    return replace(
        contents,
        ids=[names[clip_id] for clip_id in contents.ids],
        absent={
            names[clip_id]: dict.fromkeys(reasons, WITHHELD)
            for clip_id, reasons in contents.absent.items()
        },
        failures=dict.fromkeys(sorted(names[clip_id] for clip_id in contents.failures), WITHHELD),
        notes={names[clip_id]: numbers for clip_id, numbers in contents.notes.items()},
        sources={},
        cells={},
    )


def renamed_recipe(recipe: Recipe, names: Mapping[str, str]) -> Recipe:
    """Return a recipe whose facts name clips by their new ids; its fingerprint stays.

    Lists of clips, such as those that a fine-tuned backbone has seen, are sorted by new id, so that
    their order tells nothing.

    Args:
        recipe: the recipe.
        names: clip id -> new id.
    """
    return replace(recipe, facts=_renamed(recipe.facts, names))


def renamed_seen(
    recipe: Recipe, seen: SeenClips, names: Mapping[str, str]
) -> tuple[Recipe, SeenClips]:
    """Return a recipe and the list of clips that its weights saw, under their new ids.

    Clips that have no new id are left out of the list: nobody can score them under that name.

    Args:
        recipe: the recipe.
        seen: clips that its weights were adapted on.
        names: clip id -> new id.
    """
    if not seen:
        return recipe, seen
    new = seen.renamed(names)
    facts = {name: value for name, value in recipe.facts.items() if name != FACT}
    return replace(recipe, facts=facts | ({FACT: new.facts} if new else {})), new


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a JSON value in which each text that is a clip id is the new id."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, Mapping):
        found = {names.get(name, name): _renamed(each, names) for name, each in value.items()}
        return dict(sorted(found.items())) if any(name in names for name in value) else found
    if isinstance(value, list | tuple):
        items = [_renamed(each, names) for each in value]
        is_list_of_clips = any(isinstance(each, str) and each in names for each in value)
        return sorted(items, key=str) if is_list_of_clips else items
    return value
