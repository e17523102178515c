"""What a store has of the clips of a chunk: whether there are tokens, of which source, how many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b, sha256
from typing import Any, Protocol

import numpy as np

from emo.errors import OptionError
from emo.heads.data.streams import StreamName, tokens_of_clips
from emo.heads.runs.run import Run
from emo.manifest import Clip
from emo.predict.features import check_recipes, joined_stores, not_stored
from emo.ragged import Ragged, offsets_of
from emo.store.backend.location import Location
from emo.store.recipe_folder import RecipeFolder


@dataclass(frozen=True, eq=False)
class ChunkState:
    """What the store has of N clips."""

    lengths: np.ndarray
    """int64 (streams, N): tokens of each clip in each stream; -1: its recipe has none of it."""
    words: list[str]
    """A line for each clip: all that its prediction depends on, besides the run."""

    @property
    def is_present(self) -> np.ndarray:
        """bool (N,): whether the clip has tokens in any stream."""
        found: np.ndarray = np.any(self.lengths > 0, axis=0)
        return found


class TokenSource(Protocol):
    """Where the tokens of the clips of a chunk are read from."""

    run: Run
    """The run that reads them."""

    def read(self, clips: Sequence[Clip]) -> dict[str, Ragged]:
        """Read the tokens of clips by stream, numpy (ΣT, D)."""

    def size_bytes(self, lengths: np.ndarray) -> np.ndarray:
        """Return the bytes of the tokens of each clip, int64 (N,), given int64 (streams, N)."""

    def reason(self, clip: Clip, lengths: np.ndarray) -> str:
        """Return why a clip without tokens has none, given int64 (streams,)."""


class ChunkTokens:
    """The tokens that a run reads, in the stores of the clips to predict."""

    def __init__(self, run: Run, folders: dict[str, RecipeFolder]) -> None:
        """Take the run, and the folder of each of its recipes by name."""
        self.run, self.folders = run, folders

    @classmethod
    def of_stores(cls, run: Run, stores: Sequence[Location | str]) -> "ChunkTokens":
        """Open the stores.

        Raises:
            StoreError: a recipe of the run is in none of them, in several, or differs.
        """
        store = joined_stores(stores, run)
        check_recipes(run, store, ", ".join(map(str, stores)))
        return cls(run, {name: store.recipes[name] for name in run.recipes})

    def has_unseen(self, clips: Sequence[Clip]) -> bool:
        """Return whether a recipe has neither tokens nor a failure of one of the clips."""
        for name in self.run.stream_names.values():
            folder, ids = self.folders[name.recipe], name.clip_ids(clips)
            without = np.flatnonzero(folder.lengths_of(name.stream, ids) < 0)
            if len(without):
                failures = folder.failures
                if any(ids[row] not in failures for row in without.tolist()):
                    return True
        return False

    def state(self, clips: Sequence[Clip]) -> ChunkState:
        """Return what the stores have of clips; no part is opened where there is an index."""
        words = [[clip.id] for clip in clips]
        named = dict.fromkeys((n.recipe, n.column) for n in self.run.stream_names.values())
        for recipe, column in named:
            ids = StreamName(recipe, "", column).clip_ids(clips)
            for row, source in enumerate(self.folders[recipe].sources_of(ids)):
                words[row] += [ids[row] if column else "", source]
        lengths = []
        for name in self.run.stream_names.values():
            folder, ids = self.folders[name.recipe], name.clip_ids(clips)
            found = folder.lengths_of(name.stream, ids)
            lengths.append(found)
            for row, count in enumerate(found.tolist()):
                words[row].append(str(count))
                if count < 0:
                    words[row].append(folder.failures.get(ids[row], ""))
        if self.run.head.unit == "dialogue":
            for row, clip in enumerate(clips):
                words[row] += [clip.dialogue or "", str(clip.turn)]
        return ChunkState(np.stack(lengths), ["\t".join(each) for each in words])

    def read(self, clips: Sequence[Clip]) -> dict[str, Ragged]:
        """Read the stored tokens of clips by stream, numpy (ΣT, D)."""
        streams = {}
        for stream, name in self.run.stream_names.items():
            folder = self.folders[name.recipe]
            read = partial(folder.read_present, name.stream)
            streams[stream] = tokens_of_clips(name, clips, read)
        return streams

    def size_bytes(self, lengths: np.ndarray) -> np.ndarray:
        """Return the bytes of the stored tokens of each clip, int64 (N,).

        Args:
            lengths: :attr:`ChunkState.lengths`.
        """
        total = np.zeros(lengths.shape[1], np.int64)
        for counts, name in zip(lengths, self.run.stream_names.values(), strict=True):
            spec = self.folders[name.recipe].recipe.streams[name.stream]
            total += counts.clip(min=0) * spec.dim * np.dtype(spec.dtype).itemsize
        return total

    def reason(self, clip: Clip, lengths: np.ndarray) -> str:
        """Return why a clip without tokens has none.

        Args:
            clip: the clip.
            lengths: int64 (streams,), its column of :attr:`ChunkState.lengths`.
        """
        names = list(self.run.stream_names.values())
        ids = [name.clip_ids([clip])[0] for name in names]
        if (lengths < 0).all():
            failures = self.folders[names[0].recipe].failures
            return failures.get(ids[0]) or not_stored(ids[0], names[0].column)
        found = []
        for stream, name, clip_id in zip(self.run.stream_names, names, ids, strict=True):
            reason = self.folders[name.recipe].absent_of(clip_id).get(name.stream)
            found += [f"without {stream}: {reason}"] if reason else []
        return "; ".join(found) or f"without {', '.join(self.run.streams)}"

    def forget(self) -> None:
        """Release the parts that were read."""
        for folder in self.folders.values():
            folder.forget()


class GivenTokens:
    """The tokens that a run reads, handed over in arrays."""

    def __init__(self, run: Run, arrays: Mapping[str, Sequence[Any]]) -> None:
        """Take the arrays.

        Args:
            run: the run.
            arrays: stream -> array (T, D) of each of N clips, or one token (D,) each; None or an
                empty one: the clip lacks the stream.
        """
        self.run = run
        self._streams: dict[str, Ragged] = {}
        for stream, spec in run.streams.items():
            each = [_tokens_of(one, spec["dim"], stream) for one in arrays[stream]]
            nothing = np.zeros((0, spec["dim"]), np.float32)
            lengths = offsets_of(np.array([len(one) for one in each], np.int64))
            self._streams[stream] = Ragged(np.concatenate([nothing, *each]), lengths)

    def state(self, clips: Sequence[Clip]) -> ChunkState:
        """Return how many tokens each of the N clips has."""
        lengths = np.stack([tokens.lengths for tokens in self._streams.values()])
        return ChunkState(lengths, [clip.id for clip in clips])

    def read(self, clips: Sequence[Clip]) -> dict[str, Ragged]:
        """Return the tokens of clips by stream; ids are numbers of clips."""
        rows = [int(clip.id) for clip in clips]
        return {name: tokens.select(rows) for name, tokens in self._streams.items()}

    def size_bytes(self, lengths: np.ndarray) -> np.ndarray:
        """Return the bytes of the tokens of each clip, int64 (N,)."""
        widths = [tokens.width * tokens.values.itemsize for tokens in self._streams.values()]
        total: np.ndarray = (lengths * np.array(widths)[:, None]).sum(axis=0)
        return total

    def reason(self, clip: Clip, lengths: np.ndarray) -> str:
        """Return why a clip without tokens has no prediction."""
        return f"without {', '.join(self.run.streams)}"


def _tokens_of(cells: Any, width: int, stream: str) -> np.ndarray:
    """Return the tokens of one clip, (T, D), from an array, nested lists, one token, or None.

    Raises:
        OptionError: they are no numbers, or of another width.
    """
    try:
        if cells is None or not len(cells):
            return np.zeros((0, width), np.float32)
        rows = np.stack([np.asarray(each) for each in cells])
        tokens = rows[None] if rows.ndim == 1 else rows
        if tokens.ndim == 2 and tokens.shape[1] == width and tokens.dtype.kind in "fiu":
            return tokens
        found = f"{tokens.dtype.name} of shape {tokens.shape}"
    except (TypeError, ValueError) as error:
        found = repr(error)
    raise OptionError(f"column {stream}: expected tokens (T, {width}) for each clip, got {found}")


def name_of(words: Sequence[str], *further: str) -> str:
    """Return 32 hexadecimal digits that name a chunk by the lines of its clips."""
    total = sha256()
    for word in [*further, *words]:
        total.update(f"{len(word)}\n{word}\n".encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:32]


def hashes_of(ids: Sequence[str]) -> np.ndarray:
    """Return a hash of each id, uint64 (n,)."""
    texts = (clip_id.encode("utf-8", "surrogatepass") for clip_id in ids)
    digests = b"".join(blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, np.uint64)
