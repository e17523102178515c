"""Reuse face crops that an earlier job stored (backbone ``faces``) instead of detecting again."""

import numpy as np

from emo.errors import EmoError
from emo.extract.backbones.faces import FaceCrops, FaceCropsOptions
from emo.extract.decode.faults import END_MISSING, SUMMED, picture_faults
from emo.extract.media import Faces, Media, Needs
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store


class CachedFaces:
    """Finds stored face crops that match the needs of a backbone."""

    def __init__(self, store: Store) -> None:
        """Read the options of the store's ``faces`` recipes; no crops are read yet."""
        self._folders: list[tuple[Needs, RecipeFolder]] = []
        for folder in store.recipes.values():
            if folder.recipe.backbone == "faces":
                try:
                    options = FaceCropsOptions(**folder.recipe.options)
                except (TypeError, ValueError):
                    continue  # made by another version of emo
                self._folders.append((FaceCrops.needs(options), folder))

    def get(self, need: Needs, clip_id: str, source_hash: str) -> Media | None:
        """Return the crops of a clip that decoding and detection would give, bit for bit.

        Args:
            need: needs of a backbone; frames and face rule must be equal to the stored ones.
            clip_id: the clip.
            source_hash: hash of its row and files, which must not have changed.

        Returns:
            Media with the crops, uint8 (F, size, size, 3), and the notes about the video; None: no
            such crops are stored.
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
                continue  # the clip failed in that recipe, or its part is damaged
            size = need.faces.size
            notes = folder.notes.get(clip_id, {})
            crops = Faces(
                tokens.reshape(-1, size, size, 3), np.array([notes.get("face_share", 1.0)])
            )
            own = {k: v for k, v in notes.items() if k == END_MISSING or k.startswith(SUMMED)}
            return Media(faces=crops, notes=own, faults=tuple(picture_faults(None, own)))
        return None
