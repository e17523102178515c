"""Find the features that a run reads for new clips: extract them, or take them from stores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emo.errors import FitError, StoreError
from emo.heads.data.streams import StreamName
from emo.heads.runs.files import RUN_FILE
from emo.heads.runs.run import Run
from emo.manifest import Manifest
from emo.plugins import unknown
from emo.predict.beside import with_weights_beside
from emo.store.backend.location import Location
from emo.store.store import Store

if TYPE_CHECKING:
    from emo.extract.job.request import Request


def features_of(
    run: Run,
    manifest: Manifest,
    stores: Sequence[Location | str],
    folder: Path,
    options: Sequence[str] = (),
    *,
    progress: bool | None = None,
) -> tuple[Store, dict[str, str]]:
    """Return a store with the recipes of a run, and the clips without any tokens.

    Args:
        run: the run.
        manifest: the clips.
        stores: stores with their tokens; empty: extract them.
        folder: an empty folder for extraction.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.
        progress: whether to show a bar of extraction; None: in a terminal.

    Returns:
        The store, and clip -> reason.

    Raises:
        EmoError: the stores lack a recipe of the run, or this machine cannot repeat one.
    """
    if not stores:
        failures = _extract(run, manifest, folder, options, progress=progress)
        return Store(folder), failures
    _check_columns(run, manifest)
    store = joined_stores(stores, run)
    check_recipes(run, store, ", ".join(map(str, stores)))
    return store, _without_features(run, manifest, store)


def _extract(
    run: Run, manifest: Manifest, folder: Path, options: Sequence[str], *, progress: bool | None
) -> dict[str, str]:
    """Extract with the run's recipes; return the clips without any tokens, with reasons."""
    from emo.extract.run import extract

    requests = requests_of_run(run, options)
    report = extract(manifest, folder, requests, progress=progress)
    return _in_all([report.failures.get(request.name, {}) for request in requests])


def requests_of_run(run: Run, options: Sequence[str]) -> tuple[Request, ...]:
    """Return the backbones that make a run's tokens for other clips, as they were made for it.

    Args:
        run: the run.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.

    Raises:
        FitError: the run reads tokens of other clips, which the manifest only names.
        OptionError: this machine's backbone would make other numbers.
    """
    if run.shared_streams:
        raise FitError(
            f"{run.path}: it reads {' and '.join(run.shared_streams)}, tokens of clips that the "
            "rows of a manifest name. Extract those clips with emo extract, and give a manifest of "
            "rows and the store: --manifest rows.csv --features STORE"
        )
    from emo.extract.job.repeat_recipes import requests_of_recipes

    options = with_weights_beside(run.path, list(run.recipes), options)
    return requests_of_recipes(run.recipes, options, document=run.path / RUN_FILE)


def joined_stores(paths: Sequence[Location | str], run: Run) -> Store:
    """Return the first store, with the recipes that the run reads from the other ones.

    Raises:
        StoreError: two of the stores hold a recipe that the run reads.
    """
    stores = [Store(path) for path in paths]
    for name in run.recipes:
        holders = [store for store in stores if name in store.recipes]
        if len(holders) > 1:
            raise StoreError(
                f"recipe {name!r} is in {holders[0].path} and in {holders[1].path}: give one of "
                "them as --features, or name the recipe otherwise"
            )
        for store in holders:
            stores[0].recipes[name] = store.recipes[name]
    return stores[0]


def _check_columns(run: Run, manifest: Manifest) -> None:
    """Raise FitError if no clip has a value of a column that names the clips of a stream."""
    for stream, parts in run.stream_names.items():
        if parts.column and not any(parts.clip_ids(manifest.clips)):
            columns = dict.fromkeys(name for clip in manifest.clips for name in clip.targets)
            raise FitError(
                f"{manifest.path}: the run reads {stream}, and no row has a value of it; "
                f"{unknown('column', parts.column, columns)} Name it with --column "
                f"{parts.column}=THEIRS"
            )


def check_recipes(run: Run, store: Store, path: str) -> None:
    """Raise StoreError unless the store holds every recipe that the run was fitted on."""
    for name, recipe in run.recipes.items():
        found = store.recipes.get(name)
        if found is None:
            raise StoreError(
                f"{path}: no recipe {name!r}, which the run was fitted on; it holds: "
                f"{', '.join(store.recipes) or 'nothing'}"
            )
        if recipe.other_version(found.recipe):
            raise StoreError(
                f"{path}: recipe {name!r} holds tokens of {recipe.backbone} version "
                f"{found.recipe.version}, and the run was fitted on those of version "
                f"{recipe.version}. Give the store that the run was fitted on, or fit again."
            )
        if found.recipe.fingerprint != recipe.fingerprint:
            raise StoreError(
                f"{path}: recipe {name!r} differs from the run's: "
                f"{'; '.join(recipe.differences(found.recipe))}"
            )
        recipe.warn_if_edited(recipe.facts.get("code"), found.code, name)


def _without_features(run: Run, manifest: Manifest, store: Store) -> dict[str, str]:
    """Return the clips that have no tokens in any of the run's recipes, with reasons."""
    reasons = []
    columns = dict.fromkeys((parts.recipe, parts.column) for parts in run.stream_names.values())
    for recipe, column in columns:
        done, failed = set(store.ids(recipe)), store.recipes[recipe].failures
        stored = StreamName(recipe, "", column).clip_ids(manifest.clips)
        reasons.append(
            {
                clip.id: failed.get(clip_id, not_stored(clip_id, column))
                for clip, clip_id in zip(manifest.clips, stored, strict=True)
                if clip_id not in done
            }
        )
    return _in_all(reasons)


def not_stored(clip_id: str, column: str) -> str:
    """Return why there are no tokens under an id from a column; ``""``: the row's own id."""
    if not clip_id:
        return f"its {column} is empty"
    if column:
        return f"{column} {clip_id} is not in the store; run emo extract"
    return "not in the store; run emo extract, or emo predict with --extract"


def _in_all(reasons: list[dict[str, str]]) -> dict[str, str]:
    """Return the clips that are in all of the given dicts, with the reasons of the first one."""
    common = set(reasons[0]).intersection(*reasons[1:])
    return {clip_id: reason for clip_id, reason in reasons[0].items() if clip_id in common}
