"""A store of cached features, as a notebook shows it and asks it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emo.store
from emo.api.clips import Clips, clips_of
from emo.api.tokens import Tokens, side_by_side
from emo.errors import OptionError, StoreError
from emo.plugins import unknown
from emo.store.backend.location import Location, location
from emo.store.maintain.verify import summary

if TYPE_CHECKING:
    import pandas as pd


class Store:
    """The cached tokens of clips, by recipe and stream.

    Example::

        store = emo.Store("features")
        store.info                     # recipe, stream, clips, tokens, dim …
        X = store["classic/audio"]     # tokens of all clips, read when asked for
        X = store.read("classic/audio", m)  # in the order of a manifest
        store.failures                 # recipe, id, reason
    """

    def __init__(self, path: str | Path) -> None:
        """Open a store.

        Args:
            path: its folder, or a URL such as ``s3://bucket/features``.

        Raises:
            StoreError: there is no store.
        """
        self._opened = emo.store.Store(path)
        self.path = self._opened.path

    @property
    def streams(self) -> list[str]:
        """Names ``RECIPE/STREAM`` of everything in the store."""
        return [
            f"{name}/{stream}"
            for name, folder in self._opened.recipes.items()
            for stream in folder.recipe.streams
        ]

    @property
    def info(self) -> "pd.DataFrame":
        """One row a stream: recipe, stream, clips, tokens, dim, dtype, bytes, parts, failures."""
        import pandas as pd

        return pd.DataFrame(summary(self._opened))

    @property
    def failures(self) -> "pd.DataFrame":
        """Clips without tokens: ``recipe``, ``id``, ``reason``."""
        import pandas as pd

        rows = [
            (name, clip_id, reason)
            for name, folder in self._opened.recipes.items()
            for clip_id, reason in folder.failures.items()
        ]
        return pd.DataFrame(rows, columns=["recipe", "id", "reason"])

    @property
    def absent(self) -> "pd.DataFrame":
        """Streams that finished clips lack: ``recipe``, ``stream``, ``id``, ``reason``."""
        import pandas as pd

        rows = [
            (name, stream, clip_id, reason)
            for name, folder in self._opened.recipes.items()
            for clip_id, reasons in folder.absent.items()
            for stream, reason in reasons.items()
        ]
        return pd.DataFrame(rows, columns=["recipe", "stream", "id", "reason"])

    def __getitem__(self, stream: str) -> Tokens:
        """Return the tokens of a stream ``RECIPE/STREAM`` of all finished clips.

        Raises:
            StoreError: there is no such recipe or stream; similar names are offered.
        """
        return self._tokens(stream, None)

    def read(self, stream: str, clips: "Clips | Sequence[str] | pd.DataFrame") -> Tokens:
        """Return the tokens of a stream for these clips, in their order.

        Args:
            stream: ``RECIPE/STREAM``.
            clips: a manifest, a DataFrame or a path, whose clips have length 0 where the store
                lacks them; or a list, Index or Series of ids, all of which the store must know.

        Raises:
            StoreError: there is no such recipe or stream, or no clip of an id in the list.
        """
        if isinstance(clips, list | tuple) or hasattr(clips, "tolist"):
            ids = [str(clip_id) for clip_id in clips]  # type: ignore[union-attr]
            tokens = self._tokens(stream, ids)
            empty = [clip_id for clip_id, n in zip(ids, tokens.lengths, strict=True) if not n]
            if empty:
                every = self._opened.recipes.values()
                known = {each for folder in every for each in (*folder.ids, *folder.failures)}
                if lost := [clip_id for clip_id in empty if clip_id not in known]:
                    raise StoreError(f"{stream}: {unknown('clip', lost[0], sorted(known))}")
            return tokens
        return self._tokens(stream, clips_of(clips).ids)  # type: ignore[arg-type]

    def frame(
        self,
        streams: Sequence[str] | str = (),
        clips: "Clips | Sequence[str] | pd.DataFrame | None" = None,
    ) -> "pd.DataFrame":
        """Return the mean tokens of several streams side by side, float32 (N, ΣD), index ``id``.

        Rows are NaN where a clip lacks a stream.

        Args:
            streams: one name ``RECIPE/STREAM``, or several; empty: all.
            clips: the clips in the wanted order; None: those of the first stream.

        Raises:
            StoreError: there is no such recipe or stream.
        """
        names = [streams] if isinstance(streams, str) else list(streams or self.streams)
        if clips is None:
            ids = self[names[0]].ids if names else []
            return side_by_side([self._tokens(name, ids) for name in names])
        return side_by_side([self.read(name, clips) for name in names])

    def __repr__(self) -> str:
        """Return the table of streams."""
        table = self.info.to_string(index=False) if self.streams else "empty"
        return f"Store {self.path}\n{table}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>Store</b> {escape(str(self.path))}" + self.info.to_html(index=False)

    def _tokens(self, stream: str, ids: Sequence[str] | None) -> Tokens:
        recipe, slash, name = stream.partition("/")
        folder = self._opened.chosen(recipe)[0]
        if not slash:
            names = list(folder.recipe.streams)
            if len(names) != 1:
                raise StoreError(
                    f"stream {stream!r}: expected RECIPE/STREAM, one of "
                    + ", ".join(f"{recipe}/{each}" for each in names)
                )
            name = names[0]
        return Tokens(folder, name, ids)


def locations(features: "str | Path | Store | Sequence[str | Path | Store]") -> list[Location]:
    """Return the locations of one store or several.

    Raises:
        OptionError: none was given, or something that is no store.
    """
    is_several = isinstance(features, Sequence) and not isinstance(features, str)
    several: list[Any] = list(features) if is_several else [features]  # type: ignore[arg-type]
    if not several:
        raise OptionError("features: expected at least one store")
    for each in several:
        if not isinstance(each, str | Path | Store):
            raise OptionError(
                f"features: expected a path or an emo.Store, got {type(each).__name__}"
            )
    return [each.path if isinstance(each, Store) else location(each) for each in several]
