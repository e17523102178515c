"""Find the weights that `emo adapt` wrote beside a run, wherever the folder was moved."""

from collections.abc import Sequence
from pathlib import Path

from emo.store.adapted import ADAPTATION_FILE, NEW_WEIGHTS


def weights_beside(run: Path) -> dict[str, Path]:
    """Return the weights that lie beside a run.

    Args:
        run: folder of the run.

    Returns:
        ``RECIPE.OPTION`` -> folder; empty: the run is not one of `emo adapt`.
    """
    home = run.absolute().parent
    if not (home / ADAPTATION_FILE).is_file() or not (home / NEW_WEIGHTS).is_dir():
        return {}
    return {
        f"{recipe.name}.{option.name}": option
        for recipe in sorted((home / NEW_WEIGHTS).iterdir())
        if recipe.is_dir()
        for option in sorted(recipe.iterdir())
        if option.is_dir()
    }


def with_weights_beside(run: Path, recipes: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return options and those of the weights beside a run that the user did not give.

    Args:
        run: folder of the run.
        recipes: names of its recipes.
        options: words ``name=value`` or ``recipe.name=value``.
    """
    names = {word.partition("=")[0] for word in options}
    given = {name if "." in name else f"{recipes[0]}.{name}" for name in names}
    return [
        *options,
        *(
            f"{name}={path}"
            for name, path in weights_beside(run).items()
            if name not in given and name.rpartition(".")[0] in recipes
        ),
    ]
