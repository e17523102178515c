"""Make the options of a backbone from a document, run.json or job.json, of other people."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from emo.errors import EmoError, OptionError
from emo.extract.backbone import Backbone, recipe_of
from emo.machine.untrusted.documents import shortened
from emo.store.recipe import Recipe

MOST_NUMBER = 1_000_000
"""Largest number that an option of a backbone of emo may have in a document."""
MOST_OPTION_LETTERS = 4096
"""Longest text that an option may have."""


def recipe_of_document(
    kind: type[Backbone], options: Mapping[str, Any], problem: str
) -> tuple[Any, Recipe]:
    """Build the options of a backbone, and the recipe that they give on this machine.

    Options of emo's own backbones must have the types of their dataclass, and numbers may not
    exceed :data:`MOST_NUMBER`: sizes would be allocated as they stand there.

    Args:
        kind: class of the backbone.
        options: name of an option -> JSON value.
        problem: beginning of the message when they cannot be used.

    Returns:
        The instance of ``Options``, and the recipe.

    Raises:
        EmoError: an option is of another type or too large, or the backbone does not take them.
    """
    if kind.__module__.startswith("emo."):
        hints = typing.get_type_hints(kind.Options)
        for field in dataclasses.fields(kind.Options):
            if field.name in options:
                _expect_kind(field.name, options[field.name], hints[field.name], problem)
    try:
        made = kind.Options(**options)
        return made, recipe_of(kind, made)
    except EmoError:
        raise
    except Exception as error:  # a backbone of any author, with values of any kind
        raise OptionError(f"{problem}: {shortened(repr(error))}") from error


def _expect_kind(name: str, value: Any, hint: Any, problem: str) -> None:
    """Raise OptionError unless a value is of the type that an option is annotated with."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if not any(_is_of(value, kind) for kind in kinds):
        words = " or ".join(map(_words, kinds))
        raise OptionError(
            f"{problem}: options.{name}: expected {words}, got {shortened(repr(value), 60)}"
        )


def _is_of(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is typing.Literal:
        return value in typing.get_args(kind) if isinstance(value, str) else False
    if kind is int:
        return type(value) is int and abs(value) <= MOST_NUMBER
    if kind is float:
        is_number = type(value) is int or (type(value) is float and math.isfinite(value))
        return is_number and abs(value) <= MOST_NUMBER
    if kind is str:
        is_text = type(value) is str and len(value) <= MOST_OPTION_LETTERS
        return is_text and not any(each == "\0" or "\ud800" <= each <= "\udfff" for each in value)
    return isinstance(value, kind)


def _words(kind: Any) -> str:
    """Return what a type is called in messages."""
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(typing.get_args(kind))}"
    numbers = {
        int: f"a whole number up to {MOST_NUMBER:,}", float: f"a number up to {MOST_NUMBER:,}",
        bool: "true or false", str: f"text of at most {MOST_OPTION_LETTERS:,} letters",
        types.NoneType: "null",
    }  # fmt: skip
    return numbers.get(kind, str(kind))
