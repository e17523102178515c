"""`emo show`: what made a run, a store or a recipe, as pairs of a name and a text for people."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emo.errors import FitError, plural
from emo.heads.metrics.by_column import cut_line, table_rows
from emo.heads.runs.command_lines import commands_of, extract_command
from emo.heads.runs.comparing.changed_numbers import changed_lines, is_older, origin_words
from emo.heads.runs.files import RUN_FILE, read_document
from emo.heads.runs.in_bucket import near_run
from emo.store.adapted import FACT
from emo.store.backend.location import Location, location
from emo.store.recipe import RECIPE_FILE, Recipe
from emo.store.store import RecipeFolder, Store

Shown = dict[str, list[tuple[str, str]]]
"""Title of a section -> its lines, each a name and a text."""


def show(where: Location | str) -> Shown:
    """Return what made a run, the recipes of a store, or one recipe.

    Args:
        where: folder of a run, a store, or a recipe in a store.

    Raises:
        EmoError: it is none of these, or damaged.
    """
    path = location(where)
    if isinstance(path, Path):
        if not path.exists():
            raise FitError(f"{path}: no such folder; give a run, a store or a recipe in a store")
        if (path / RUN_FILE).is_file():
            return show_run(path)
        if (path / RECIPE_FILE).is_file():
            folder = Store(path.absolute().parent).recipes[path.absolute().name]
            return {f"recipe {folder.name}": list(_folder_lines(folder))}
    elif (path / RUN_FILE).is_file():
        return show_run(near_run(path))
    found = {
        f"recipe {name}": list(_folder_lines(folder))
        for name, folder in Store(path).recipes.items()
    }
    if not found:
        raise FitError(f"{path}: no run ({RUN_FILE}) and no store with recipes ({RECIPE_FILE})")
    return found


def show_run(path: Path) -> Shown:
    """Return what made a run: its head, data, software, scores, features and command lines.

    Raises:
        FitError: the folder is no run, or damaged.
    """
    document = read_document(path)
    try:
        sections: Shown = {f"run {path.name}": list(_run_lines(document))}
        if lines := changed_lines(document):
            sections[f"{origin_words(document)}; since then"] = _numbered(lines)
        made_with = _dict(document, "made_with")
        for name, value in _dict(document, "recipes").items():
            recipe = Recipe.from_json(value)
            versions = made_with.get(name)
            known = versions if isinstance(versions, dict) else {}
            sections[f"features {name}"] = list(_recipe_lines(recipe, known))
        commands = commands_of(document, relative=True)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FitError(f"{path / RUN_FILE}: damaged: {error!r}. Fit the run again.") from error
    sections["commands"] = _numbered(commands)
    return sections


def _numbered(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return lines with their numbers, from 1."""
    return [(str(number), line) for number, line in enumerate(lines, 1)]


def _run_lines(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines on the fit itself."""
    head = document["head"]
    yield "head", " ".join([str(head["name"]), *_pairs(head["options"])])
    yield "targets", ", ".join(f"{each['name']} ({each['task']})" for each in document["targets"])
    yield "streams", ", ".join(document["streams"])
    manifest = document["manifest"]
    name = str(manifest.get("path", "")).replace("\\", "/").rpartition("/")[2]
    yield "manifest", f"{name} (sha256 {str(manifest.get('sha256', ''))[:12]}…)"
    if columns := _dict(manifest, "columns"):
        yield "columns", ", ".join(_pairs(columns))
    for split, found in document["metrics"].items():
        headline, mean = next(iter(found["mean"].items()), ("no score", None))
        yield split, f"{headline} {mean:.3f}" if isinstance(mean, float) else f"{headline} –"
    yield from _fusion_lines(document)
    yield from _chosen_lines(document)
    if document["options"].get("refit"):
        yield "refit", "on train and val; val is scored by the head before it"
    if document.get("transductive"):
        yield "scaling", "by speaker, with the scored clips too, but no label: transductive"
    for sentence in document.get("seen", ()):
        yield "seen", str(sentence)
    yield from _by_lines(document)
    yield "software", ", ".join(f"{k} {v}" for k, v in _dict(document, "versions").items())


def _fusion_lines(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines on how streams are joined, of a cross-validation for each fold."""
    folds = _dict(document, "folds").get("each", ())
    found = {"fusion": _dict(document, "fusion")}
    found |= {f"fusion, fold {fold['name']}": _dict(fold, "fusion") for fold in folds}
    for name, choice in found.items():
        if choice:
            scores = [f"{way} {float(x):.3f}" for way, x in _dict(choice, "scores").items()]
            yield name, f"{choice['chosen']} chosen on {choice['over']}: {', '.join(scores)}"


def _chosen_lines(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines on options that the fit chose, of a cross-validation for each fold."""
    folds = _dict(document, "folds").get("each", ())
    found = {"chosen": _dict(document, "chosen")}
    found |= {f"chosen, fold {fold['name']}": _dict(fold, "chosen") for fold in folds}
    for name, settings in found.items():
        if settings:
            yield name, f"{', '.join(_pairs(settings))}, on val"


def _by_lines(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines on scores by the values of columns, on the last split."""
    split, found = list(document["metrics"].items())[-1]
    for column, by_value in _dict(found, "by").items():
        for row in table_rows(column, by_value):
            score = next((name for name in row if name not in (column, "rows", "share")), "score")
            yield (
                f"{split}, {column} {row[column]}",
                f"{score} {row[score]:.3f}, {plural(int(str(row['rows'])), 'row')} "
                f"({row['share']:.1%})",
            )
        if more := cut_line(column, by_value):
            yield f"{split}, {column}", more


def _recipe_lines(recipe: Recipe, versions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Iterate over the lines on what made the tokens of a recipe."""
    older = "; this emo has a newer one, which may make other numbers"
    version = f"version {recipe.version}{older if is_older(recipe.to_json()) else ''}"
    yield "backbone", f"{recipe.backbone} ({version})"
    yield "options", ", ".join(_pairs(recipe.options)) or "none"
    yield "weights", recipe.weights_words
    if adapted := _adapted_words(recipe):
        yield "adapted", adapted
    yield (
        "streams",
        ", ".join(f"{name} ({spec.dim} × {spec.dtype})" for name, spec in recipe.streams.items()),
    )
    yield "fingerprint", recipe.fingerprint
    known = ", ".join(f"{name} {value}" for name, value in versions.items())
    yield "software", known or "not known"


def _adapted_words(recipe: Recipe) -> str:
    """Return how many clips the weights of a recipe were adapted on; empty: they were not."""
    counts = _dict(_dict(recipe.facts, FACT), "clips")
    return ", ".join(
        f"{plural(count, 'clip')} of {split}"
        for split, count in counts.items()
        if isinstance(count, int) and count
    )


def _folder_lines(folder: RecipeFolder) -> Iterator[tuple[str, str]]:
    """Iterate over the lines on a recipe of a store, with its counts and its command."""
    yield "clips", f"{plural(len(folder.ids), 'clip')}, {len(folder.failures):,} failed"
    yield from _recipe_lines(folder.recipe, folder.versions)
    command = extract_command(folder.name, folder.recipe.to_json(), folder.path.parent.name)
    yield "command", command or "emo store import …"


def _pairs(options: Mapping[str, Any]) -> list[str]:
    """Return ``name=value`` for each option."""
    return [f"{name}={value}" for name, value in options.items()]


def _dict(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an entry that is an object; empty: it is missing or something else."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}
