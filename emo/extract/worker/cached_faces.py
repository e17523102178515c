"""Face crops that an earlier job stored (backbone ``faces``), instead of a second detection."""

import numpy as np

from emo.errors import EmoError
from emo.extract.backbones.faces import FaceCrops, FaceCropsOptions
from emo.extract.decode.notes import ADDED_UP
from emo.extract.media import Faces, Media, Needs
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

    def get(self, need: Needs, clip_id: str, source_hash: str) -> Media | None:
        """Return the crops that ``need`` would get from the clip's video; None: not stored.

        The frames, the rule and the source must be equal, so that the stored crops have the bits
        that decoding and detecting would give.

        Returns:
            Media with nothing but the crops and the notes about the video.
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
            notes = folder.notes.get(clip_id, {})
            crops = Faces(
                tokens.reshape(-1, size, size, 3), np.array([notes.get("face_share", 1.0)])
            )
            faults = {name: value for name, value in notes.items() if name in ADDED_UP}
            return Media(faces=crops, notes=faults)
        return None
