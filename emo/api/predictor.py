"""A run that is loaded once and predicts batches of clips, for `map_batches` of Ray Data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo.api.runs import load_run
from emo.api.store import Store, locations
from emo.errors import FitError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from emo.heads.head import Head
    from emo.predict.scale.chunk import ChunkPredictions


class Predictor:
    """A callable that maps a batch of ids, or of tokens, to predictions of the first target.

    Example::

        table = ray.data.read_parquet("m.parquet")
        table.map_batches(
            emo.Predictor,
            fn_constructor_kwargs={"run": "runs/first", "features": "features"},
            batch_size=1024,
            concurrency=2,
        )

    A batch is a dict of columns. With ``features``, the column ``id`` names the clips, and tokens
    are read from the stores. Without, each stream of the run is a column of its name, such as
    ``classic/text``: an array (T, D) for each clip, or one array (N, D) of a token each.

    A call returns the columns ``id`` (where there is one), ``prediction``, ``p_CLASS`` and
    ``absent`` as `emo predict` writes them, and ``reason``. A clip without a prediction has a
    reason, no prediction (None) and NaN probabilities; all others have the reason ``""``. The last
    bits before rounding depend on the batch, so that a sixth digit may differ from `emo predict`.
    """

    def __init__(
        self,
        run: str | Path,
        features: "str | Path | Store | Sequence[str | Path | Store]" = (),
        *,
        head: "type[Head] | None" = None,
    ) -> None:
        """Load the run, and open the stores.

        Args:
            run: folder of the run.
            features: store or stores with the clips' tokens; empty: batches hold tokens.
            head: the head's class, if it is one of your own.

        Raises:
            EmoError: the run or a store cannot be read; or the head needs whole dialogues or all
                clips of a speaker, which a batch does not hold.
        """
        from emo.heads.runs.run import Run
        from emo.predict.features import check_recipes, joined_stores
        from emo.predict.scale.tokens import ChunkTokens

        if head is not None:
            load_run(run, head=head)  # lends the class to the document that names it
        self.run = Run.load(run)
        if self.run.head.unit == "dialogue" or self.run.is_by_speaker:
            what = "all clips of a speaker" if self.run.is_by_speaker else "whole dialogues"
            raise FitError(f"{run}: it needs {what}, which a batch may cut; use emo predict")
        self._stored: ChunkTokens | None = None
        if features:
            store = joined_stores(locations(features), self.run)
            check_recipes(self.run, store, str(features))
            self._stored = ChunkTokens(
                self.run, {name: store.recipes[name] for name in self.run.recipes}
            )

    def __call__(self, batch: "Mapping[str, Any]") -> "dict[str, np.ndarray]":
        """Predict a batch.

        Args:
            batch: column -> its N values, as `map_batches` with ``batch_format="numpy"`` gives
                them.

        Returns:
            Column -> array of N values.

        Raises:
            OptionError: the batch lacks a column.
        """
        from emo.manifest import Clip
        from emo.predict.scale.chunk import predict_chunk
        from emo.predict.scale.tokens import GivenTokens

        columns = dict.fromkeys(
            name.column for name in self.run.stream_names.values() if name.column
        )
        needed = ["id", *columns] if self._stored else list(self.run.streams)
        lacking = [name for name in needed if name not in batch]
        if lacking:
            raise OptionError(
                f"the batch has no column {lacking[0]!r}; it has {', '.join(batch) or 'none'}"
            )
        if self._stored:
            clips = [
                Clip(str(clip_id), targets={name: str(batch[name][row]) for name in columns})
                for row, clip_id in enumerate(batch["id"])
            ]
            done = predict_chunk(self._stored, clips, self._stored.state(clips))
            self._stored.forget()
        else:
            given = GivenTokens(self.run, {name: batch[name] for name in needed})
            clips = [Clip(str(row)) for row in range(len(batch[needed[0]]))]
            done = predict_chunk(given, clips, given.state(clips))
        found = _columns(done, [clip.id for clip in clips])
        return {"id": batch["id"], **found} if "id" in batch else found


def _columns(done: "ChunkPredictions", ids: Sequence[str]) -> "dict[str, np.ndarray]":
    """Return the columns of a batch; rows without a prediction have a reason.

    Args:
        done: the predictions.
        ids: ids of the N clips of the batch.
    """
    import numpy as np

    frame = done.found.frame().drop(columns="id")
    is_done = np.array([clip_id not in done.failures for clip_id in ids], bool)
    found: dict[str, np.ndarray] = {}
    for name in frame.columns:
        is_number = name.startswith("p_") or not done.found.run.targets[0].classes
        cells = frame[name].to_numpy(np.float64 if is_number and name != "absent" else object)
        column = np.full(len(ids), np.nan if cells.dtype == np.float64 else None, cells.dtype)
        column[is_done] = cells
        found[name] = column
    found["reason"] = np.array([done.failures.get(clip_id, "") for clip_id in ids], object)
    return found
