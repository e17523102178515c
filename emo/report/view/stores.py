"""What stores hold of one clip: tokens by stream, failures with their reasons, crops of faces."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from emo.errors import EmoError, StoreError, line_of
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store

MOST_CROPS = 16
"""Largest number of pictures of a clip that are shown."""
_MOST_PIXELS = 2**22


@dataclass(frozen=True)
class RecipeOfClip:
    """What a recipe holds of a clip."""

    number: int
    """Number of the recipe among all of the page."""
    name: str
    """Name of the recipe."""
    state: str
    """``tokens``, ``failed`` or ``not there``."""
    reason: str
    """Why it failed, or why the store cannot be read; empty: neither."""
    tokens: Mapping[str, int]
    """Stream -> its number of tokens."""
    absent: Mapping[str, str]
    """Stream that the clip lacks -> reason."""
    notes: Mapping[str, float]
    """Numbers that are kept beside the tokens."""
    has_pictures: bool
    """Whether a stream holds pictures, such as crops of faces."""


class ViewedStores:
    """Reads what stores hold of clips; several threads may ask."""

    def __init__(self, locations: Sequence[str]) -> None:
        """Open the stores.

        Raises:
            StoreError: one of them is no store.
        """
        stores = [Store(each) for each in locations]
        self.recipes: list[tuple[str, RecipeFolder]] = []
        """Name and folder of each recipe."""
        for store in stores:
            before = f"{store.path.name}/" if len(stores) > 1 else ""
            self.recipes += [(f"{before}{name}", each) for name, each in store.recipes.items()]
        self._lock = threading.Lock()

    def having(self, clip_ids: Sequence[str]) -> list[tuple[str, ...]]:
        """Return for each clip the names of the recipes that have its tokens."""
        found: list[list[str]] = [[] for _ in clip_ids]
        with self._lock:
            for name, recipe in self.recipes:
                try:
                    known = recipe.parts.ask(
                        lambda clips: [each in clips.ordinals for each in clip_ids]
                    )
                except StoreError:
                    continue
                for names, is_known in zip(found, known, strict=True):
                    names += [name] * is_known
        return [tuple(names) for names in found]

    def of_clip(self, clip_id: str) -> list[RecipeOfClip]:
        """Return what each recipe holds of a clip."""
        with self._lock:
            return [self._of_clip(number, clip_id) for number in range(len(self.recipes))]

    def pictures(self, number: int, clip_id: str) -> np.ndarray:
        """Return the first pictures of a clip in a recipe, uint8 (T, H, W, 3).

        Raises:
            StoreError: there are none, they are too large, or the store is damaged.
        """
        name, recipe = self.recipes[number]
        stream = _picture_stream(recipe)
        spec = recipe.recipe.streams[stream] if stream else None
        if stream is None or spec is None or spec.shape is None:
            raise StoreError(f"{name} holds no pictures")
        pixels = np.zeros((0, spec.dim), np.uint8)
        with self._lock, suppress(KeyError):  # the clip has no tokens, or none any more
            if spec.dim * _length(recipe, stream, clip_id) > 2**28:
                raise StoreError(f"{name}: the pictures are too large to be shown")
            pixels = recipe.read(stream, [clip_id]).values[:MOST_CROPS]
        count = min(len(pixels), max(1, 3 * _MOST_PIXELS // spec.dim))
        if not len(pixels) or pixels.dtype != np.uint8 or spec.dim > 3 * _MOST_PIXELS:
            raise StoreError(f"{name} holds no pictures of this clip that can be shown")
        return np.asarray(pixels[:count]).reshape(count, *spec.shape)

    def _of_clip(self, number: int, clip_id: str) -> RecipeOfClip:
        name, recipe = self.recipes[number]
        state, reason, tokens = "not there", "", {}
        absent: Mapping[str, str] = {}
        notes: Mapping[str, float] = {}
        try:
            recipe.refresh()
            if recipe.parts.ask(lambda clips: clip_id in clips.ordinals):
                state, absent = "tokens", recipe.absent.get(clip_id, {})
                notes = recipe.notes.get(clip_id, {})
                tokens = {each: _length(recipe, each, clip_id) for each in recipe.recipe.streams}
            elif clip_id in (failures := recipe.failures):
                state, reason = "failed", line_of(failures[clip_id])
        except (EmoError, KeyError) as error:  # damaged, or replaced in the meantime
            reason = line_of(str(error))
        tokens = {stream: count for stream, count in tokens.items() if count}
        has_pictures = state == "tokens" and _picture_stream(recipe) in tokens
        return RecipeOfClip(number, name, state, reason, tokens, absent, notes, has_pictures)


def _length(recipe: RecipeFolder, stream: str, clip_id: str) -> int:
    """Return the number of tokens of a finished clip."""
    _, first, stop = recipe.parts.ask(lambda clips: clips.span(stream, clips.ordinals[clip_id]))
    return stop - first


def _picture_stream(recipe: RecipeFolder) -> str | None:
    """Return the stream of a recipe that holds pictures in RGB; None: there is none."""
    for name, spec in recipe.recipe.streams.items():
        shape = spec.shape
        if spec.kind == "image" and shape and len(shape) == 3 and shape[2] == 3:
            return name
    return None
