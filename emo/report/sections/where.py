"""Where in a clip a head looks: leave out a twelfth of a stream's tokens, and predict again.

Occlusion works with every head and needs nothing of it (Zeiler & Fergus 2014, arXiv:1311.2901).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emo.errors import EmoError
from emo.report.context import Context
from emo.report.names import replaced
from emo.report.rows import RunRows

if TYPE_CHECKING:
    from emo.heads.runs.run import Run
    from emo.ragged import Ragged

PARTS = 12
"""Number of parts into which the tokens of a clip are cut."""
MOST_DIFFERENCE = 0.02
"""Largest difference of the head's probability from that in the table of predictions."""


@dataclass(frozen=True)
class Strip:
    """What the parts of one stream of a clip mean for the prediction."""

    stream: str
    """Name of the stream."""
    drops: tuple[float, ...]
    """By how much the probability of the prediction falls without each part, in order of time."""

    @property
    def words(self) -> str:
        """The strip in words, for people who cannot see it."""
        most = int(np.argmax(self.drops))
        if self.drops[most] < 0.01:
            return "no part alone matters"
        return (
            f"part {most + 1} of {len(self.drops)} matters most: without it "
            f"{self.drops[most]:.0%} less"
        )


@dataclass(frozen=True, eq=False)
class RunTokens:
    """The stored tokens of a run's scored clips, and its head."""

    run: "Run"
    """The run with its head."""
    streams: "Mapping[str, Ragged]"
    """Tokens by stream, numpy (ΣT, D), of the clips of ``row_of``."""
    row_of: Mapping[str, int]
    """Id of a clip -> its index in ``streams``."""
    rows: RunRows
    """Predictions of the run."""

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean tokens of all streams side by side, and which rows have any.

        Each stream is scaled so that its dimensions together weigh as much as another's.

        Returns:
            float64 (n, ΣD) and int64 (n,), rows of :attr:`rows`.
        """
        known = np.array([k for k, each in enumerate(self.rows.ids) if each in self.row_of])
        indices = [self.row_of[self.rows.ids[k]] for k in known]
        tables = []
        for tokens in self.streams.values():
            table = np.stack([
                own.mean(0, dtype=np.float64) if len(own := tokens[index]) else
                np.zeros(tokens.width) for index in indices
            ])  # fmt: skip
            spread = table.std(0)
            scaled = (table - table.mean(0)) / np.where(spread > 0, spread, 1)
            tables.append(scaled / np.sqrt(tokens.width))
        return np.concatenate(tables, 1), known

    def strips(self, row: int) -> tuple[Strip, ...]:
        """Return what the parts of a clip mean for the shown prediction.

        It is empty where the head cannot repeat its prediction from this clip alone, because it
        reads other turns of the dialogue or statistics of the speaker.
        """
        from emo.ragged import Ragged

        index = self.row_of.get(self.rows.ids[row])
        kept = str(self.run.document.get("kept", {}).get("seed", self.rows.seeds[0]))
        table = self.rows.probabilities
        if index is None or table is None or self.run.is_by_speaker:
            return ()
        whole = {name: np.asarray(tokens[index]) for name, tokens in self.streams.items()}
        variants: list[dict[str, np.ndarray]] = [whole]
        counts: dict[str, int] = {}
        for name, own in whole.items():
            parts = np.array_split(np.arange(len(own)), min(PARTS, len(own))) if len(own) else []
            counts[name] = len(parts)
            variants += [{**whole, name: np.delete(own, part, axis=0)} for part in parts]
        batch = {name: Ragged.of([each[name] for each in variants]) for name in whole}
        code = int(self.rows.shown[row])
        found = self.run.predict_all(batch)[self.rows.run.target.name][:, code].astype(np.float64)
        seed = self.rows.seeds.index(kept) if kept in self.rows.seeds else 0
        if abs(float(found[0]) - float(table[seed, row, code])) > MOST_DIFFERENCE:
            return ()
        drops = (found[0] - found[1:]).tolist()
        strips = []
        for name, count in counts.items():
            strips.append(Strip(name, tuple(drops[:count])))
            drops = drops[count:]
        return tuple(strip for strip in strips if strip.drops)


def run_tokens(rows: RunRows, context: Context) -> RunTokens | None:
    """Return the stored tokens of a run's scored clips; None: there are none, with a note why."""
    document, name = rows.run.document, context.run_names[rows.run.path]
    if not context.options.features or rows.task != "classify":
        return None
    if "folds" in document:
        context.manifests.note(
            f"{name} is a cross-validation, which keeps no head: no map of its tokens"
        )
        return None
    manifest = context.manifests.of(document)
    if manifest is None:
        return None
    import dataclasses

    from emo.heads.runs.run import Run, stored_tokens
    from emo.predict.features import features_of

    try:
        run = Run.load(rows.run.path)
        scored = {*rows.ids}
        clips = [clip for clip in manifest.clips if clip.id in scored]
        few = dataclasses.replace(manifest, clips=tuple(clips))
        store, missing = features_of(run, few, [*context.options.features], Path())
        clips = [clip for clip in clips if clip.id not in missing]
        streams, absent = stored_tokens(run, clips, store)
    except EmoError as error:
        context.manifests.note(replaced(f"{name}: no tokens: {error}", context.run_names))
        return None
    ids = [clip.id for clip in clips if clip.id not in absent]
    return RunTokens(run, streams, {each: k for k, each in enumerate(ids)}, rows)
