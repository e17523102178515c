"""The tokens of one stream for a list of clips, as arrays, tensors and DataFrames."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from emo.errors import StoreError, plural
from emo.ragged import Ragged
from emo.store.recipe_folder import RecipeFolder

if TYPE_CHECKING:
    import pandas as pd
    import torch


class Tokens:
    """Tokens (T, D) of each clip of one stream; T differs from clip to clip.

    Nothing is read before it is asked for; all values are then read once.

    Example::

        X = store["wavlm/audio"]
        X["clip.mp4"]               # (T, D)
        X.mean()                    # DataFrame (N, D), index = id
        values, mask = X.padded()   # (N, L, D) and (N, L)
    """

    def __init__(self, folder: RecipeFolder, stream: str, ids: Sequence[str] | None = None) -> None:
        """Name the tokens; nothing is read yet.

        Args:
            folder: the recipe.
            stream: name of the stream in the recipe.
            ids: the clips, in the wanted order; clips that the store lacks have length 0. None:
                all finished clips.

        Raises:
            StoreError: there is no such stream.
        """
        self.name = f"{folder.name}/{stream}"
        self._folder, self._stream, self._ids = folder, stream, ids
        if stream not in folder.recipe.streams:
            folder.lengths(stream)  # raises, with similar names

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the clips, in the order of everything else."""
        return list(self._folder.ids if self._ids is None else self._ids)

    @cached_property
    def ragged(self) -> Ragged:
        """Values (ΣT, D) in the stored dtype, and offsets int64 (N+1,)."""
        if self._ids is None:
            return self._folder.read(self._stream, self.ids)
        return self._folder.read_present(self._stream, self.ids)

    @property
    def values(self) -> np.ndarray:
        """The tokens of all clips end to end, (ΣT, D) in the stored dtype."""
        found: np.ndarray = self.ragged.values
        return found

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each clip, int64 (N,); 0: the clip lacks the stream."""
        return np.diff(self.ragged.offsets)

    @property
    def dim(self) -> int:
        """Width D of a token."""
        return self._folder.recipe.streams[self._stream].dim

    def __getitem__(self, clip: str | int) -> np.ndarray:
        """Return the tokens (T, D) of one clip, by its id or its number.

        Raises:
            KeyError: there is no such clip.
            TypeError: it is neither an id nor a number.
            StoreError: the clip failed, or a part is damaged.
        """
        if not isinstance(clip, str | int | np.integer):
            raise TypeError(
                f"{self.name}: expected the id or number of one clip, got {type(clip).__name__}; "
                "store.read(stream, ids) reads several"
            )
        if isinstance(clip, str):
            if clip not in self._numbers:
                raise KeyError(f"{self.name}: no clip {clip!r} among {len(self)}")
            clip = self._numbers[clip]
        if "ragged" in vars(self):
            found: np.ndarray = self.ragged[clip]
            return found
        one: np.ndarray = self._folder.read_present(self._stream, [self.ids[clip]])[0]
        return one

    def __len__(self) -> int:
        """Number of clips, N."""
        return len(self.ids)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over the tokens (T, D) of each clip."""
        return iter(self.ragged)

    def mean(self) -> "pd.DataFrame":
        """Return the mean token of each clip, float32 (N, D), index ``id``.

        The rows of clips without this stream are NaN: ``X.mean().dropna()`` leaves them out.
        """
        import pandas as pd

        lengths, filled = self.lengths, self.lengths > 0
        means = np.full((len(self), self.dim), np.nan, np.float32)
        if filled.any():
            starts = self.ragged.offsets[:-1][filled]
            sums = np.add.reduceat(self.values, starts, axis=0, dtype=np.float64)
            means[filled] = sums / lengths[filled, None]
        names = [f"{self.name}/{column}" for column in range(self.dim)]
        return pd.DataFrame(means, index=pd.Index(self.ids, name="id"), columns=names)

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens as one array with zeros behind short clips, and where tokens are.

        Returns:
            values (N, L, D) in the stored dtype and mask bool (N, L), True for tokens; L is the
            length of the longest clip.
        """
        most = int(self.lengths.max(initial=0))
        mask = np.arange(most) < self.lengths[:, None]
        values = np.zeros((len(self), most, self.dim), self.values.dtype)
        values[mask] = self.values
        return values, mask

    def torch(self) -> "list[torch.Tensor]":
        """Return the tokens of each clip as a float32 tensor (T, D).

        ``torch.nested.as_nested_tensor(X.torch(), layout=torch.jagged)`` makes one tensor of them.
        """
        import torch

        whole = torch.from_numpy(np.asarray(self.values, np.float32))
        return list(torch.split(whole, self.lengths.tolist()))

    def __repr__(self) -> str:
        """Return the name and sizes in one line."""
        return f"Tokens {self.name}: {plural(len(self), 'clip')}, (T, {self.dim})"

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {clip_id: number for number, clip_id in enumerate(self.ids)}


def side_by_side(tokens: Sequence[Tokens]) -> "pd.DataFrame":
    """Return the mean tokens of several streams in one DataFrame, (N, ΣD), index ``id``.

    Raises:
        StoreError: no stream was named.
    """
    import pandas as pd

    if not tokens:
        raise StoreError("expected at least one stream, RECIPE/STREAM")
    return pd.concat([each.mean() for each in tokens], axis=1)
