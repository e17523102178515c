"""`emo search`: the clips of a store that are nearest to words, to a clip or to a file."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import OptionError, line_of, plural
from emo.machine.table import fit_lines, format_table, json_text
from emo.machine.untrusted.documents import shortened
from emo.machine.whole_file import whole_file
from emo.manifest import Manifest
from emo.predict.similarity.nearest import nearest
from emo.predict.similarity.queries import TextQuery, like_vectors, read_queries, text_vectors
from emo.predict.similarity.stored import find_stream, read_clips, read_vectors
from emo.predict.similarity.text_tower import SHOWN_LETTERS
from emo.predict.similarity.vectors import POOLINGS, SIMILARITIES, Vectors
from emo.store.backend.location import Location
from emo.store.store import Store


@dataclass(frozen=True)
class SearchOptions:
    """Options of `emo search`, apart from what is searched for."""

    stream: str | None = None
    """``RECIPE/STREAM``; None: the only stream of the store."""
    top: int = 10
    """Number of clips for each query."""
    pooling: str = "mean"
    """How the tokens of a clip are compared: ``mean`` or ``max``."""
    similarity: str = "cosine"
    """``cosine`` or ``dot``."""
    manifest: Path | Manifest | None = None
    """Manifest of the clips that are searched; None: all clips of the store."""
    where: tuple[str, ...] = ()
    """``COLUMN=VALUE`` words: only clips with these values in the manifest."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Renamed columns of the manifest."""
    weights: tuple[str, ...] = ()
    """``RECIPE.weights=DIR`` words: where weights lie on this machine."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            OptionError: a value is not one of the possible ones.
        """
        check_choices(self.pooling, self.similarity)
        if self.top < 1:
            raise OptionError(f"--top {self.top}: expected 1 or more")


@dataclass(frozen=True)
class Hit:
    """A clip that was found."""

    query: str
    """Name of the query."""
    rank: int
    """Rank of the clip, from 1."""
    id: str
    """The clip."""
    score: float
    """Similarity of the clip and the query."""
    text: str = ""
    """What is said in it, if a manifest was given."""


@dataclass(frozen=True)
class SearchReport:
    """Hits of all queries."""

    stream: str
    """``RECIPE/STREAM``."""
    hits: tuple[Hit, ...]
    """The hits, query by query, the best first."""
    searched: int
    """Number of clips that were searched."""
    left_out: int
    """Number of clips without the stream."""
    options: SearchOptions
    """The options."""
    notes: tuple[str, ...] = ()
    """What else is to be known, as sentences."""

    def table(self) -> str:
        """Return the hits as a text table, then what was searched."""
        columns = ("query", "rank", "id", "score", "text")
        several = len({hit.query for hit in self.hits}) > 1
        hidden = {*([] if several else ["query"])}
        if not any(hit.text for hit in self.hits):
            hidden.add("text")
        rows = [
            {name: getattr(hit, name) for name in columns if name not in hidden}
            for hit in self.hits
        ]
        return "\n".join([format_table(rows), *map(fit_lines, self.lines())])

    def lines(self) -> list[str]:
        """Return what was searched and how, as lines."""
        found = [
            f"searched {plural(self.searched, 'clip')} of {self.stream}: "
            f"{self.options.similarity}, {self.options.pooling} of the tokens"
        ]
        if self.left_out:
            found.append(f"left out, without this stream: {plural(self.left_out, 'clip')}")
        return [*map(line_of, (*found, *(f"- {note}" for note in self.notes)))]

    def json(self) -> str:
        """Return the hits as one JSON document."""
        document: dict[str, Any] = {
            "stream": self.stream, "similarity": self.options.similarity,
            "pooling": self.options.pooling, "searched": self.searched,
            "left_out": self.left_out, "notes": [*self.notes],
            "hits": [{**_record(hit), **({"text": hit.text} if hit.text else {})}
                     for hit in self.hits],
        }  # fmt: skip
        return json_text(document)

    def write(self, path: Path) -> None:
        """Write the hits as a CSV file ``query,rank,id,score``."""
        write_csv(path, [_record(hit) for hit in self.hits])


def search_store(
    store_path: Location | str, words: str | None, options: SearchOptions, *,
    like: str | None = None, queries: Path | Sequence[str] | None = None,
) -> SearchReport:  # fmt: skip
    """Find the clips of a store that are nearest to words, a clip, a file, or many texts.

    Args:
        store_path: the store.
        words: a text to search for.
        options: the stream, the number of hits, the clips.
        like: id of a clip of the store, or path of a media file.
        queries: a table of texts, or the texts.

    Raises:
        EmoError: the stream, a clip or the weights cannot be found, or the spaces differ.
    """
    if sum(each is not None for each in (words, like, queries)) != 1:
        raise OptionError("give words to search for, or --like, or --queries: one of them")
    stream = find_stream(Store(store_path), options.stream)
    notes: list[str] = []
    if like is not None:
        asked = like_vectors(stream, like, options.weights, similarity=options.similarity)
    else:
        if isinstance(queries, Path):
            texts = read_queries(queries)
        else:
            texts = [
                TextQuery(each, each) for each in (queries or () if words is None else [words])
            ]
            if not texts:
                raise OptionError("queries: expected at least one text")
        asked, notes, _ = text_vectors(
            stream, texts, options.weights, similarity=options.similarity
        )
    _check_not_zero(asked, stream.name)
    clips = read_clips(options.manifest, options.where, options.columns)
    said = {clip.id: clip.text or "" for clip in clips or ()}
    found = read_vectors(
        stream, None if clips is None else [*said], pooling=options.pooling,
        similarity=options.similarity,
    )  # fmt: skip
    items = found.vectors
    more = int(like is not None)  # the clip itself is no answer
    hits = []
    for query, best in zip(asked.ids, nearest(asked, items, options.top + more), strict=True):
        named = [
            (items.ids[int(k)], float(s)) for k, s in zip(best.items, best.scores, strict=True)
        ]
        others = [each for each in named if each[0] != like][: options.top]
        hits += [Hit(query, rank, clip_id, score, said.get(clip_id, ""))
                 for rank, (clip_id, score) in enumerate(others, 1)]  # fmt: skip
    return SearchReport(stream.name, tuple(hits), len(items), found.left_out, options, tuple(notes))


def _check_not_zero(asked: Vectors, stream: str) -> None:
    """Raise OptionError if a query is a vector of zeros, whose score with every clip is 0."""
    zeros = np.flatnonzero(~asked.rows.any(1))
    if len(zeros):
        name = shortened(asked.ids[int(zeros[0])], SHOWN_LETTERS)
        raise OptionError(
            f"query {name!r}: its vector is all zeros, so that every clip of {stream} scores 0; "
            "search for something else"
        )


def check_choices(pooling: str, similarity: str) -> None:
    """Raise OptionError unless pooling and similarity are possible ones."""
    for name, value, choices in (
        ("pool", pooling, POOLINGS), ("similarity", similarity, SIMILARITIES),
    ):  # fmt: skip
        if value not in choices:
            raise OptionError(f"--{name} {value}: expected one of {', '.join(choices)}")


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows with the same keys as a CSV file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(path, OptionError) as unfinished,
        open(unfinished, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(rows[0].keys() if rows else [])
        writer.writerows(row.values() for row in rows)


def _record(hit: Hit) -> dict[str, object]:
    """Return a hit as a row of a table; the score has 7 digits, which float32 holds."""
    score = float(f"{hit.score:.7g}")
    return {"query": hit.query, "rank": hit.rank, "id": hit.id, "score": score}
