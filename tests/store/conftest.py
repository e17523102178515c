"""A store with one recipe in a scratch folder, and a short way to commit parts to it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from emo.store import PartWriter, Store
from emo.store.store import RecipeFolder
from tests.make_store import RECIPE

Commit = Callable[..., Path]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.create(tmp_path / "features")


@pytest.fixture
def folder(store) -> RecipeFolder:
    return store.add_recipe("toy", RECIPE)


@pytest.fixture
def commit(folder) -> Commit:
    """Commit clips: a dict is tokens by stream, a string the reason of a failure."""

    def commit(
        clips: Mapping[str, dict[str, np.ndarray] | str], *, attempt: int = 0, source: str = "s"
    ) -> Path:
        with PartWriter(folder.path, folder.recipe, attempt=attempt) as part:
            for clip_id, tokens in clips.items():
                if isinstance(tokens, str):
                    part.fail(clip_id, tokens, source=source)
                else:
                    part.add(clip_id, tokens, source=source)
        folder.refresh()
        assert part.committed is not None
        return part.committed

    return commit
