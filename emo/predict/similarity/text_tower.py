"""Find the text tower that belongs to a stream of a store, and run it on queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emo import plugins
from emo.errors import OptionError, WeightsError
from emo.extract.backbone import Backbone, recipe_of
from emo.extract.job.document_options import recipe_of_document
from emo.extract.job.repeat_recipes import options_again
from emo.extract.media import Media
from emo.machine.untrusted.documents import shortened
from emo.store.recipe import IMPORTED, Recipe

STREAM_OF_TEXT = "text"
"""Name of the stream of texts."""
SHOWN_LETTERS = 60
"""Largest number of characters of a query that a message repeats."""


@dataclass(frozen=True, eq=False)
class QueryTower:
    """The text tower of a recipe, not yet loaded."""

    kind: type[Backbone]
    """Class of the backbone."""
    options: Any
    """Options that compute texts alone."""
    recipe: Recipe
    """The recipe of texts alone."""
    space: str
    """Name of the space of its texts."""

    def encode(
        self, texts: Sequence[str], *, device: str = "cpu", noun: str = "query"
    ) -> tuple[list[np.ndarray], list[dict[str, float]]]:
        """Load the tower and compute the tokens of texts, which do not depend on each other.

        Args:
            texts: the texts, none of them empty.
            device: device of the model.
            noun: what a text is called in errors.

        Returns:
            For each text float32 (T, D), and the numbers that the backbone notes, such as
            ``words_lacking``.

        Raises:
            OptionError: a text has no token.
        """
        backbone = self.kind.load(self.options, device=device)
        prepared = [backbone.prepare(Media(text=text)) for text in texts]
        for text, each in zip(texts, prepared, strict=True):
            if STREAM_OF_TEXT in each.absent or not each.inputs:
                reason = each.absent.get(STREAM_OF_TEXT, "it has no words")
                raise OptionError(f"{noun} {shortened(text, SHOWN_LETTERS)!r}: {reason}")
        tokens: list[np.ndarray] = []
        for each in prepared:  # one by one: a larger batch changes the last bits
            (found,) = backbone.encode([each.inputs])
            tokens.append(found[STREAM_OF_TEXT])
        return tokens, [each.notes for each in prepared]


def spaces_of(recipe: Recipe) -> dict[str, str]:
    """Return stream -> name of its space, as the recipe's facts have it; empty: not recorded."""
    known = recipe.facts.get("space")
    if isinstance(known, str):
        return dict.fromkeys(recipe.streams, known)
    return {k: v for k, v in known.items() if isinstance(v, str)} if isinstance(known, dict) else {}


def find_text_tower(
    name: str, recipe: Recipe, stream: str, options: Sequence[str], *, document: object
) -> QueryTower:
    """Find the text tower in whose space a stream lives.

    Args:
        name: name of the recipe in the store.
        recipe: the recipe.
        stream: the stream.
        options: where weights lie on this machine, ``NAME.weights=DIR``.
        document: the store, for errors.

    Raises:
        OptionError: the recipe was imported, the backbone has no text tower, or the stream lives
            in another space.
        WeightsError: the weights cannot be found.
    """
    if recipe.backbone.startswith(IMPORTED):
        raise OptionError(
            f"recipe {name!r} was imported from {recipe.facts.get('file', 'a file')}, and emo has "
            "no text tower for it: search with `emo search --like CLIP`, or rank texts with tokens "
            "in a store by `emo retrieve`"
        )
    given = plugins.split_options(options, [name])[name]
    kind, values = options_again(name, recipe, given, document)
    problem = f"recipe {name!r}: this version of {recipe.backbone} does not take its options"
    known = facts_of(name, recipe, given, document=document)
    made = _options(kind, values, problem)
    text_options = kind.text_options(made)
    if text_options is None:
        raise OptionError(
            f"recipe {name!r}: the backbone {recipe.backbone} has no text tower in the space of "
            "its other streams; search with --like instead"
        )
    try:
        text_recipe = recipe_of(kind, text_options)
    except WeightsError as error:
        raise _with_advice(error, name, recipe) from error
    space, ours = spaces_of(text_recipe).get(STREAM_OF_TEXT), spaces_of(known).get(stream)
    if space is None and ours is None:
        raise OptionError(
            f"stream {name}/{stream} lives in no space that texts are put into, such as one layer "
            "of many; search with --like instead"
        )
    if space is None or ours != space:
        raise OptionError(
            f"stream {name}/{stream} lives in {_words(ours)}, and texts of these weights in "
            f"{_words(space)}: they cannot be compared. Give the weights that made the stream: "
            f"-o {name}.weights=DIR"
        )
    return QueryTower(kind, text_options, text_recipe, space)


def facts_of(name: str, recipe: Recipe, given: Mapping[str, str], *, document: object) -> Recipe:
    """Return a recipe whose facts name the spaces: the given one, or the same made anew.

    A store that was made by an earlier version does not know its spaces; they follow from the
    weights, which must be the ones that made it.

    Args:
        name: name of the recipe in the store.
        recipe: the recipe.
        given: options of this machine, such as ``weights``.
        document: the store, for errors.

    Raises:
        OptionError: the recipe was imported without a space, or these weights made other numbers.
        WeightsError: the weights cannot be found.
    """
    if spaces_of(recipe):
        return recipe
    if recipe.backbone.startswith(IMPORTED):
        raise OptionError(
            f"recipe {name!r} was imported, and nothing says in which space its tokens live; "
            "import it under another name that says so: --as RECIPE -o space=NAME"
        )
    kind, values = options_again(name, recipe, given, document)
    problem = f"recipe {name!r}: this version of {recipe.backbone} does not take its options"
    try:
        _, now = recipe_of_document(kind, values, problem)
    except WeightsError as error:
        raise _with_advice(error, name, recipe) from error
    if now.fingerprint != recipe.fingerprint:
        raise OptionError(
            f"recipe {name!r} was not made with these weights: {'; '.join(recipe.differences(now))}"
        )
    return now


def _options(kind: type[Backbone], values: Mapping[str, Any], problem: str) -> Any:
    """Return the instance of the backbone's options.

    Raises:
        OptionError: the backbone does not take them.
    """
    try:
        return kind.Options(**values)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{problem}: {error}") from error


def _with_advice(error: WeightsError, name: str, recipe: Recipe) -> WeightsError:
    """Return an error of missing weights that says which option gives them."""
    alone = f"of the recipe {name!r} alone: -o {name}.weights=DIR"
    return WeightsError(
        f"recipe {name!r}: {error.args[0]}",
        more_lines=(*error.more_lines, alone, f"it was made with {recipe.weights_words}"),
    )


def _words(space: str | None) -> str:
    return f"the space {space!r}" if space else "a space that is not known"
