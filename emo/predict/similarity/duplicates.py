"""`emo duplicates`: pairs of clips with nearly the same tokens, across splits first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.errors import OptionError, line_of, plural
from emo.machine.table import fit_lines, format_table, json_text
from emo.manifest import Manifest
from emo.predict.similarity.pairs import pairs_above
from emo.predict.similarity.search import write_csv
from emo.predict.similarity.stored import find_stream, read_clips, read_vectors
from emo.store.backend.location import Location
from emo.store.store import Store

_SHOWN = 50
"""Number of pairs in the table; JSON and the file have all."""


@dataclass(frozen=True)
class Duplicate:
    """Two clips with nearly the same tokens."""

    first: str
    """The clip whose id comes first."""
    second: str
    """Id of the second clip."""
    score: float
    """Cosine of the two clips."""
    splits: str = ""
    """Splits of the two clips, such as ``train, test``; empty: not known."""

    @property
    def is_across(self) -> bool:
        """Whether the clips are of different splits."""
        return len(set(self.splits.split(", "))) > 1


@dataclass(frozen=True)
class DuplicateReport:
    """All pairs above a limit: across splits first, then the most similar."""

    stream: str
    """``RECIPE/STREAM``."""
    above: float
    """The lowest cosine."""
    pairs: tuple[Duplicate, ...]
    """The pairs."""
    searched: int
    """Number of clips that were compared."""
    left_out: int
    """Number of clips without the stream."""

    @property
    def across(self) -> int:
        """Number of pairs across splits."""
        return sum(pair.is_across for pair in self.pairs)

    def table(self) -> str:
        """Return the pairs as a text table, then what was compared."""
        rows = [
            {"first": p.first, "second": p.second, "cosine": p.score,
             **({"splits": p.splits} if any(each.splits for each in self.pairs) else {})}
            for p in self.pairs[:_SHOWN]
        ]  # fmt: skip
        more = len(self.pairs) - len(rows)
        lines = [
            *([f"and {more:,} further pairs: --out FILE writes all"] if more else []),
            f"{plural(len(self.pairs), 'pair')} of {self.searched:,} clips with a cosine of "
            f"{self.above:g} or more in {self.stream}",
        ]
        if self.across:
            lines.append(
                f"{plural(self.across, 'pair')} across splits: what is tested was seen in training"
            )
        if self.left_out:
            lines.append(f"left out, without this stream: {plural(self.left_out, 'clip')}")
        table = [format_table(rows)] if rows else []
        return "\n".join([*table, *(fit_lines(line_of(line)) for line in lines)])

    def json(self) -> str:
        """Return the pairs as one JSON document."""
        document = {
            "stream": self.stream, "above": self.above, "searched": self.searched,
            "left_out": self.left_out, "across_splits": self.across,
            "pairs": [_record(pair) for pair in self.pairs],
        }  # fmt: skip
        return json_text(document)

    def write(self, path: Path) -> None:
        """Write the pairs as a CSV file ``first,second,score,splits``."""
        write_csv(path, [_record(pair) for pair in self.pairs])


def find_duplicates(
    store_path: Location | str, *, stream: str | None = None, above: float = 0.95,
    manifest: Path | Manifest | None = None, where: Sequence[str] = (),
    columns: Mapping[str, str] = {},
) -> DuplicateReport:  # fmt: skip
    """Find pairs of clips whose mean tokens have a cosine of ``above`` or more.

    Args:
        store_path: the store.
        stream: ``RECIPE/STREAM``; None: the only stream.
        above: the lowest cosine, above 0.
        manifest: the clips to compare, with their splits; None: all clips of the store.
        where: ``COLUMN=VALUE`` words: only clips with these values.
        columns: renamed columns of the manifest.

    Raises:
        EmoError: the stream cannot be found, or too many pairs are above the limit.
    """
    if not 0 < above <= 1:
        raise OptionError(f"--above {above}: expected a cosine above 0, at most 1")
    chosen = find_stream(Store(store_path), stream)
    clips = read_clips(manifest, where, columns)
    splits = {clip.id: clip.split or "" for clip in clips or ()}
    found = read_vectors(chosen, None if clips is None else [*splits])
    ids = found.vectors.ids
    pairs = []
    for left, right, score in zip(*pairs_above(found.vectors, above), strict=True):
        first, second = sorted((ids[int(left)], ids[int(right)]))
        known = [splits.get(each, "") for each in (first, second)]
        words = ", ".join(known) if all(known) else ""
        pairs.append(Duplicate(first, second, float(f"{score:.7g}"), words))
    pairs.sort(key=lambda pair: (not pair.is_across, -pair.score, pair.first, pair.second))
    return DuplicateReport(chosen.name, above, tuple(pairs), len(found.vectors), found.left_out)


def _record(pair: Duplicate) -> dict[str, object]:
    return {"first": pair.first, "second": pair.second, "score": pair.score, "splits": pair.splits}
