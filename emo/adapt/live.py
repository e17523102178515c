"""The backbones of an adaptation: what they read, stored once, and the tokens that they compute."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from emo import plugins
from emo.adapt.training.stop import StopFlag
from emo.errors import FitError, OptionError, listed
from emo.extract.backbone import Backbone, Inputs
from emo.extract.backbones.inputs import InputsOptions, InputsReader
from emo.extract.decode.stretches import StretchResult, join_stretches
from emo.extract.executor import EXIT_STOPPED
from emo.extract.job.plan import StaleClips
from emo.extract.job.request import Request, make_request
from emo.extract.models.model import Model, to_numpy
from emo.extract.run import ExtractOptions, extract, seen_under_other_ids
from emo.machine.progress import progress_bar
from emo.manifest import Manifest
from emo.store.adapted import NOTHING_SEEN, SeenClips
from emo.store.backend.location import Location
from emo.store.part.writer import PartWriter
from emo.store.recipe import Recipe
from emo.store.store import Store

_PART_CLIPS = 256
"""Clips of one part of computed tokens."""


@dataclass(frozen=True, eq=False)
class Live:
    """One backbone that is trained."""

    request: Request
    """Plugin, options and recipe, as `emo extract` would use them."""
    kind: type[Model]
    """Class of the backbone."""
    options: Any
    """Instance of ``kind.Options``."""

    @property
    def name(self) -> str:
        """Name of the recipe."""
        return self.request.name

    def streams(self) -> tuple[str, ...]:
        """Names of its streams, ``RECIPE/STREAM``."""
        return tuple(f"{self.name}/{stream}" for stream in self.request.recipe.streams)


def live_of(requests: Sequence[Request]) -> tuple[Live, ...]:
    """Return the backbones of requests.

    Raises:
        OptionError: one of them has no weights, or there is none.
    """
    if not requests:
        raise OptionError("--backbone: name the backbones that are trained")
    found = []
    for request in requests:
        kind: Any = plugins.load(plugins.BACKBONES, request.plugin, Backbone)
        if not issubclass(kind, Model):
            raise OptionError(
                f"--backbone {request.name}: {request.plugin} has no weights that can be trained; "
                "extract its tokens and read them with --features"
            )
        found.append(Live(request, kind, kind.Options(**request.options)))
    return tuple(found)


def inputs_request(live: Live, floats: str, manifest: Manifest) -> Request:
    """Return the request that stores what a backbone reads."""
    options = InputsOptions.around(
        plugins.lend(live.kind), live.options, "float16" if floats == "float16" else "float32"
    )
    pairs = {
        name: plugins.option_word(getattr(options, name))
        for name in ("of", "options", "local", "floats")
    }
    return make_request("inputs", live.name, pairs, manifest)


def fill_inputs(
    manifest: Manifest,
    lives: Sequence[Live],
    folder: Location,
    floats: str,
    flag: StopFlag,
    *,
    progress: bool | None = None,
) -> None:
    """Compute the inputs that a store lacks, as `emo extract --backbone inputs` does.

    A signal stops it early; it is noted in ``flag``.

    Args:
        manifest: the clips.
        lives: the backbones.
        folder: the store.
        floats: type of stored pictures.
        flag: signals.
        progress: whether to show a bar; None: in a terminal.

    Raises:
        EmoError: the store holds other inputs under these names, or no clip could be read.
    """
    requests = [inputs_request(live, floats, manifest) for live in lives]
    if flag.signal_name:
        return
    try:
        report = extract(manifest, folder, requests, ExtractOptions(), progress=progress)
    except StaleClips as error:
        raise FitError(
            f"{folder}: {error.what}. Remove this store of inputs, or name another one with "
            "--inputs"
        ) from error
    if report.exit_code == EXIT_STOPPED:
        flag.raise_flag(signal.SIGTERM)
        return
    if report.exit_code not in (0, 3):
        raise FitError(f"{folder}: the inputs of some clips are missing; run the command again")
    for request in requests:
        failures = report.failures.get(request.name, {})
        if len(failures) == len(manifest.clips):
            clip, why = next(iter(failures.items()))
            raise FitError(f"{request.name}: no clip could be read; {clip}: {why}")


def readers_of(models: Mapping[str, Model], folder: Location) -> dict[str, InputsReader]:
    """Open the stored inputs of backbones.

    Raises:
        StoreError: they are missing, or inputs of other networks.
    """
    store = Store(folder)
    return {name: InputsReader(store.chosen(name)[0], model) for name, model in models.items()}


def write_tokens(
    models: Mapping[str, Model],
    recipes: Mapping[str, Recipe],
    inputs: Location,
    store_path: Path,
    ids: Sequence[str],
    batch: int,
    *,
    seen: Mapping[str, SeenClips] = MappingProxyType({}),
    flag: StopFlag | None = None,
    progress: bool | None = None,
) -> Store:
    """Compute the tokens of clips from their stored inputs, and write what a store lacks of them.

    Args:
        models: backbones by the names of their recipes.
        recipes: recipe of each one's tokens.
        inputs: store of their inputs.
        store_path: folder of the store that is written.
        ids: ids of the clips.
        batch: clips that a backbone computes at once.
        seen: clips that the weights of a recipe were adapted on.
        flag: a signal that is noted in it ends the computation early.
        progress: whether to show a bar; None: in a terminal.
    """
    store = Store.create(store_path)
    total = len(ids) * len(models)
    with progress_bar(shown=progress, total=total, desc="tokens", unit=" clips") as bar:
        for name, model in models.items():
            _check_begun(store, name, recipes[name])
            folder = store.add_recipe(name, recipes[name], seen=seen.get(name, NOTHING_SEEN))
            source = Store(inputs).chosen(name)[0]
            reader = InputsReader(source, model)
            failures = source.failures
            known = {*source.ids, *failures}
            done = {*folder.ids, *folder.failures}
            wanted = [clip for clip in ids if clip in known and clip not in done]
            bar.update(len(ids) - len(wanted))
            for part in _groups(wanted, _PART_CLIPS):
                if flag is not None and flag.signal_name:
                    return store
                with PartWriter(folder.path, folder.recipe) as writer:
                    for clip in (clip for clip in part if clip in failures):
                        writer.fail(clip, failures[clip])
                    usable = [clip for clip in part if clip not in failures]
                    for some in _groups(usable, batch):
                        for clip, result in _results(model, reader, some):
                            _add(writer, clip, result)
                        bar.update(len(some))
            folder.refresh()
    return store


def _check_begun(store: Store, name: str, recipe: Recipe) -> None:
    """Check that tokens which an earlier life of an adaptation wrote are of this backbone.

    Raises:
        OptionError: they are not.
    """
    if name in store.recipes and (differences := store.recipes[name].recipe.differences(recipe)):
        raise OptionError(
            f"--resume: the adaptation was begun with another {name}: {'; '.join(differences)}. "
            "Repeat the same command, or start again with --overwrite instead of --resume"
        )


def note_other_ids(store_path: Path, lives: Sequence[Live], manifest: Manifest) -> None:
    """Note in a store which clips the base's weights have seen under other ids."""
    store = Store(store_path)
    for live in lives:
        others = seen_under_other_ids(live.kind, live.options, manifest)
        store.add_recipe(live.name, live.request.recipe, seen=others)


def _results(
    model: Model, reader: InputsReader, clips: Sequence[str]
) -> Iterator[tuple[str, StretchResult]]:
    """Compute the tokens of a few clips."""
    prepared = [reader.read(clip) for clip in clips]
    flat: list[Inputs] = [piece.inputs for pieces in prepared for piece in pieces if piece.inputs]
    with torch.inference_mode(), model.training(is_on=False):
        found = iter(model.forward(flat) if flat else [])
    for clip, pieces in zip(clips, prepared, strict=True):
        results = [
            StretchResult(_arrays(next(found)) if piece.inputs else {}, None, piece.absent,
                          piece.notes)
            for piece in pieces
        ]  # fmt: skip
        yield clip, join_stretches(results)


def _groups(clips: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield consecutive clips, at most ``size`` together."""
    return (clips[start : start + size] for start in range(0, len(clips), size))


def _arrays(tokens: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: to_numpy(each) for name, each in tokens.items()}


def _add(writer: PartWriter, clip: str, result: StretchResult) -> None:
    """Add a clip to a part, or the reason why it has no tokens."""
    if not result.tokens:
        reasons = [f"{stream}: {why}" for stream, why in result.absent.items()]
        writer.fail(clip, "; ".join(reasons) or "no tokens")
        return
    writer.add(clip, dict(result.tokens), absent=dict(result.absent), notes=dict(result.notes))


def sample_inputs(
    models: Mapping[str, Model], readers: Mapping[str, InputsReader], ids: Sequence[str]
) -> dict[str, list[Inputs]]:
    """Return by recipe inputs of few clips that together have every input of the backbone.

    Raises:
        FitError: no clip has inputs of a backbone.
    """
    found: dict[str, list[Inputs]] = {}
    for name, model in models.items():
        streams = set(type(model).recipe(model.options).streams)
        lacking, chosen = set(streams), list[Inputs]()
        for clip in ids:
            for piece in readers[name].read(clip):
                gained = lacking - set(piece.absent) if piece.inputs else set()
                if gained:
                    chosen.append(piece.inputs)
                    lacking -= gained
            if not lacking:
                break
        if not chosen:
            raise FitError(f"{name}: none of the clips {listed(list(ids)[:9])} has what it reads")
        found[name] = chosen
    return found
