"""Make requests that repeat the recipes of a run or store for other clips, for `emo predict`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from emo import plugins
from emo.errors import OptionError, WeightsError
from emo.extract.backbone import Backbone, changes_numbers
from emo.extract.job.document_options import recipe_of_document
from emo.extract.job.request import Request
from emo.store.recipe import IMPORTED, Recipe


def requests_of_recipes(
    recipes: Mapping[str, Recipe], options: Sequence[str] = (), *, document: object
) -> tuple[Request, ...]:
    """Make requests that repeat existing recipes for other clips (for ``emo predict``).

    Args:
        recipes: recipe name -> recipe.
        options: ``name=value`` or ``recipe.name=value`` words of options that change no number,
            such as the path of the weights on this machine.
        document: the file that holds the recipes, for errors.

    Raises:
        PluginError: a recipe names code that the user did not name.
        OptionError: this machine's backbone would make other numbers; the message shows the
            differences.
    """
    given_options = plugins.split_options(options, list(recipes))
    return tuple(
        _request_again(name, recipe, given_options[name], document)
        for name, recipe in recipes.items()
    )


def options_again(
    name: str, recipe: Recipe, given_options: Mapping[str, str], document: object
) -> tuple[type[Backbone], dict[str, Any]]:
    """Return the backbone of a recipe, and its options with those of this machine.

    Args:
        name: name of the recipe.
        recipe: the recipe.
        given_options: options that change no number, such as the path of the weights.
        document: the file that holds the recipe, for errors.

    Raises:
        PluginError: the recipe names code that the user did not name.
        OptionError: the recipe was imported, or an option would change numbers.
    """
    if recipe.backbone.startswith(IMPORTED):
        raise OptionError(
            f"recipe {name!r} was imported from {recipe.facts.get('file', 'a file')}, so emo "
            "cannot compute it for other clips. Import their features, too, and name that store "
            "with --features"
        )
    kind = plugins.load(
        plugins.BACKBONES,
        recipe.backbone,
        Backbone,  # type: ignore[type-abstract]
        document=document,
    )
    given: Any = plugins.parse_options(kind.Options, given_options, name)
    kept, told = changes_numbers(given), asdict(given)
    for option in given_options:
        value = recipe.options.get(option, _default(kind.Options, option))
        if option in kept and told[option] != value:
            raise OptionError(
                f"-o {name}.{option}: the run keeps its value, {value}; only "
                f"where its weights lie can be given: -o {name}.weights=DIR"
            )
    return kind, {key: told[key] for key in told if key not in kept} | recipe.options


def _request_again(
    name: str, recipe: Recipe, given_options: Mapping[str, str], document: object
) -> Request:
    kind, options = options_again(name, recipe, given_options, document)
    try:
        _, now = recipe_of_document(
            kind,
            options,
            f"recipe {name!r}: this version of {recipe.backbone} does not take its options",
        )
    except WeightsError as error:
        alone = f"of the recipe {name!r} alone: -o {name}.weights=DIR"
        raise WeightsError(
            f"recipe {name!r}: {error.args[0]}",
            more_lines=(*error.more_lines, alone, f"it was made with {recipe.weights_words}"),
        ) from error
    if words := recipe.other_version(now):
        maker = "file" if recipe.is_own_code else "emo"
        raise OptionError(
            f"recipe {name!r} cannot be repeated here: its tokens are {words}. Use the {maker} "
            f"that made it (see `emo show`), or extract with --as NAME and fit again. Stored "
            "tokens are read as before, with --features."
        )
    if now.fingerprint != recipe.fingerprint:
        raise OptionError(
            f"recipe {name!r} cannot be repeated here, its numbers would differ: "
            f"{'; '.join(recipe.differences(now))}. Use the weights and version that made it."
        )
    return Request(name, recipe.backbone, options, recipe)


def _default(options: Any, name: str) -> Any:
    """Return the default of an option, which a recipe that does not tell it has."""
    return next((each.default for each in fields(options) if each.name == name), None)
