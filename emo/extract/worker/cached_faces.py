"""Face crops that an earlier job stored (backbone ``faces``), instead of a second detection."""

import numpy as np

from emo.errors import EmoError
from emo.extract.backbones.faces import FaceCrops, FaceCropsOptions
from emo.extract.media import Faces, Needs
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store


class CachedFaces:
    """The ``faces`` recipes of a store, asked by what a backbone needs."""

    def __init__(self, store: Store) -> None:
        """Look at the recipes; crops are mapped when they are asked for."""
        self._folders: list[tuple[Needs, RecipeFolder]] = []
        for folder in store.recipes.values():
            if folder.recipe.backbone == "faces":
                try:
                    options = FaceCropsOptions(**folder.recipe.options)
                except (TypeError, ValueError):
                    continue  # of another version
                self._folders.append((FaceCrops.needs(options), folder))

    def get(self, need: Needs, clip_id: str, source_hash: str) -> Faces | None:
        """The crops that ``need`` would get from the clip's video; None: they are not stored.

        Same frames, same rule, same source: the same bits, without decoding or detecting.
        """
        if need.faces is None or need.keep_frames:
            return None
        for stored, folder in self._folders:
            if (stored.frames, stored.faces) != (need.frames, need.faces):
                continue
            if folder.sources.get(clip_id) != source_hash:
                continue
            try:
                tokens = np.asarray(folder.read("face", [clip_id])[0])
            except EmoError:
                continue  # the clip failed there, or its part is damaged
            size = need.faces.size
            share = folder.notes.get(clip_id, {}).get("face_share", 1.0)
            return Faces(tokens.reshape(-1, size, size, 3), np.array([share]))
        return None
