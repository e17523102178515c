"""`emo retrieve`: how high texts rank their videos, and videos their texts; written as a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo import plugins
from emo.errors import OptionError, StoreError
from emo.heads.metrics.retrieval import rank_intervals, ranks_of_matrix
from emo.heads.runs.files import check_free
from emo.manifest import Clip, Manifest, read_manifest
from emo.predict.similarity.normalise import dual_softmax, query_bank
from emo.predict.similarity.ranking import ranks_of_vectors, score_table
from emo.predict.similarity.retrieval_run import RetrieveReport, write_retrieval
from emo.predict.similarity.search import check_choices
from emo.predict.similarity.stored import (
    StoredStream,
    StoredVectors,
    cell_of,
    find_stream,
    read_vectors,
)
from emo.predict.similarity.text_tower import STREAM_OF_TEXT, facts_of, spaces_of
from emo.predict.similarity.vectors import Vectors
from emo.store.backend.location import Location
from emo.store.store import Store

RULES = {"own": "video_to_text", "grouped": "grouped"}
"""Value of ``--video-to-text`` -> direction, see
:func:`emo.heads.metrics.retrieval.ranks_of_matrix`."""
BANK = "querybank="
"""Start of the value of ``--normalise`` that names a manifest of texts of train."""


@dataclass(frozen=True)
class RetrieveOptions:
    """Options of `emo retrieve`."""

    query: str
    """``RECIPE/STREAM`` of the queries."""
    items: str
    """``RECIPE/STREAM`` of the items."""
    truth: str = "clip"
    """Column of the manifest with the id of each query's right item."""
    split: str | None = None
    """The split whose queries are ranked; None: test if there is one, else all."""
    pooling: str = "mean"
    """How the tokens of an item are compared: ``mean`` or ``max``."""
    similarity: str = "cosine"
    """``cosine`` or ``dot``."""
    normalise: str = ""
    """``dual-softmax`` or ``querybank=MANIFEST``: further scores, under names of their own."""
    video_to_text: str = "own"
    """Rule for items with several queries: ``own`` or ``grouped``."""
    weights: tuple[str, ...] = ()
    """``RECIPE.weights=DIR`` words: where weights lie on this machine."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Renamed columns of the manifest."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            OptionError: a value is not one of the possible ones.
        """
        check_choices(self.pooling, self.similarity)
        if self.video_to_text not in RULES:
            raise OptionError(
                f"--video-to-text {self.video_to_text}: expected one of {', '.join(RULES)}"
            )
        if self.normalise not in ("", "dual-softmax") and not self.normalise.startswith(BANK):
            raise OptionError(
                f"--normalise {self.normalise}: expected dual-softmax or {BANK}MANIFEST"
            )
        if self.normalise and self.pooling == "max":
            raise OptionError("--normalise goes with --pool mean")


def retrieve(
    captions: Path | Manifest, stores: Sequence[Location | str], options: RetrieveOptions, *,
    out: Path, overwrite: bool = False,
) -> RetrieveReport:  # fmt: skip
    """Rank the items for each query of a manifest, and the queries for each item; write a run.

    Args:
        captions: manifest of the queries, or its path, with a column of right items.
        stores: stores that hold the two streams.
        options: the streams, the column, how they are compared.
        out: folder of the run.
        overwrite: replace a run in ``out``.

    Raises:
        EmoError: ``out`` holds a run, a stream is missing, the spaces differ, or no query
            has its right item.
    """
    if not overwrite:
        check_free(out)
    if not isinstance(captions, Manifest):
        captions = read_manifest(captions, columns=options.columns)
    query, items = (_stream_in(stores, name) for name in (options.query, options.items))
    check_spaces(query, items, options.weights)
    clips, split, unnamed = _queries(captions, options)
    read = _read_queries(query, [clip.id for clip in clips], options)
    asked = read.vectors
    right = [cell_of(clip, options.truth) for clip in clips]
    found = _read(items, [*dict.fromkeys(right)], options, pooling=options.pooling).vectors
    position = {clip_id: k for k, clip_id in enumerate(found.ids)}
    truth_of = dict(zip((clip.id for clip in clips), right, strict=True))
    kept = [k for k, query_id in enumerate(asked.ids) if truth_of[query_id] in position]
    if not kept:
        raise OptionError(f"{captions.path}: no query has tokens and a right item with tokens")
    texts = asked.select(kept)
    truth = np.array([position[truth_of[query_id]] for query_id in texts.ids])
    counts = ranks_of_vectors(texts, found, truth, "text_to_video")
    scores = {"query to item": counts.scores()}
    if options.pooling == "mean":
        back = ranks_of_vectors(texts, found, truth, RULES[options.video_to_text])
        rule = "" if options.video_to_text == "own" else ", grouped"
        scores[f"item to query{rule}"] = back.scores()
    if options.normalise:
        scores |= _normalised(texts, found, truth, query, options)
    repeated = len(clips) - len({clip.text for clip in clips if clip.text}) if all(
        clip.text for clip in clips
    ) else 0  # fmt: skip
    lines = (
        f"queries: {len(texts):,} of {options.query}; items: {len(found):,} of {options.items}; "
        f"queries whose right item ties with a wrong one: {counts.tied:,}",
        f"{options.similarity}; {options.pooling} of the tokens"
        + ("" if options.similarity == "cosine" else ", which are not scaled to length 1"),
        *([f"{len(clips) - len(texts):,} of {len(clips):,} queries are left out: they or their "
           "right item have no tokens"] if len(texts) < len(clips) else []),
        *([f"{unnamed:,} of {unnamed + len(clips):,} queries of split {split} are left out: their "
            f"{options.truth} is empty"] if unnamed else []),
        *_token_lines(query, texts.ids, read.several),
        *([f"{repeated:,} queries repeat the text of another one"] if repeated else []),
        f"wrote {out}",
    )  # fmt: skip
    write_retrieval(
        out, texts, found, truth, counts, split, captions,
        target=options.truth, streams=(options.query, options.items),
        head={"similarity": options.similarity, "pooling": options.pooling},
    )  # fmt: skip
    # groups by name, as read_ranks has them: emo score then draws the same items
    items_drawn = np.array([found.ids[k] for k in truth.tolist()])
    return RetrieveReport(out, scores, rank_intervals(counts, items_drawn), lines)


def check_spaces(query: StoredStream, items: StoredStream, weights: Sequence[str] = ()) -> None:
    """Check that two streams live in the same space.

    Args:
        query: one stream.
        items: the other stream.
        weights: ``RECIPE.weights=DIR`` words, for stores that do not know their spaces.

    Raises:
        OptionError: the spaces differ, are not known, or their tokens differ in width.
        WeightsError: the weights of an older store cannot be found.
    """
    names = [*dict.fromkeys((query.folder.name, items.folder.name))]
    given = plugins.split_options(weights, names)
    spaces = []
    for stream in (query, items):
        name, recipe = stream.folder.name, stream.folder.recipe
        known = facts_of(name, recipe, given[name], document=stream.folder.path)
        spaces.append(spaces_of(known).get(stream.stream))
    if spaces[0] is None or spaces[0] != spaces[1]:
        words = [f"the space {space!r}" if space else "a space of its own" for space in spaces]
        raise OptionError(
            f"{query.name} lives in {words[0]}, and {items.name} in {words[1]}: they cannot be "
            "compared; take two streams of the same contrastive model"
        )
    dims = [each.folder.recipe.streams[each.stream].dim for each in (query, items)]
    if dims[0] != dims[1]:
        raise OptionError(
            f"{query.name} has tokens of {dims[0]:,} numbers, and {items.name} of {dims[1]:,}, "
            f"though both are said to live in the space {spaces[0]!r}: they cannot be compared. "
            "Import one of them again, under another name: --as RECIPE -o space=NAME"
        )


def _stream_in(stores: Sequence[Location | str], name: str) -> StoredStream:
    """Return a stream of the one store that has it.

    Raises:
        StoreError: no store has it, or several have.
    """
    opened = [Store(path) for path in stores]
    recipe, _, stream = name.partition("/")
    named = [each for each in opened if recipe in each.recipes]
    having = [each for each in named if stream in each.recipes[recipe].recipe.streams]
    if len(having) > 1:
        raise StoreError(
            f"{name} is in {having[0].recipes[recipe].path} and in "
            f"{having[1].recipes[recipe].path}: give one of them as "
            "--features, or name the recipe otherwise (emo extract --as NAME)"
        )
    return find_stream((having or named or opened)[0], name)


def _queries(captions: Manifest, options: RetrieveOptions) -> tuple[list[Clip], str, int]:
    """Return the queries of the split that have a right item, the split, and how many have none.

    Raises:
        OptionError: there is none.
    """
    clips = list(captions.clips)
    split = options.split or ("test" if any(clip.split == "test" for clip in clips) else "all")
    clips = [clip for clip in clips if split in ("all", clip.split)]
    found = [clip for clip in clips if cell_of(clip, options.truth)]
    if not found:
        raise OptionError(
            f"{captions.path}: no query of split {split} has a {options.truth}; name the column of "
            "right items with --truth, or another split with --split"
        )
    return found, split, len(clips) - len(found)


def _read(
    stream: StoredStream, ids: Sequence[str], options: RetrieveOptions, *, pooling: str
) -> StoredVectors:
    return read_vectors(stream, ids, pooling=pooling, similarity=options.similarity)


def _read_queries(
    stream: StoredStream, ids: Sequence[str], options: RetrieveOptions
) -> StoredVectors:
    """Read the vectors of queries; of a text in several pieces the first counts, as `emo search`
    and the original models cut it."""
    is_text = stream.stream == STREAM_OF_TEXT
    return _read(stream, ids, options, pooling="first" if is_text else "mean")


def _token_lines(stream: StoredStream, ids: Sequence[str], several: frozenset[str]) -> list[str]:
    """Return a line about the ranked queries that were cut, or whose tokens are averaged.

    Args:
        stream: the stream of the queries.
        ids: the queries that are ranked.
        several: queries with more than one token.
    """
    if stream.stream != STREAM_OF_TEXT:
        count = len(several & {*ids})
        return [f"{count:,} queries have several tokens, which are averaged"] * bool(count)
    notes = stream.folder.notes
    cut = sum(name in several or notes.get(name, {}).get("words_lacking", 0) > 0 for name in ids)
    return [
        f"{cut:,} of {len(ids):,} ranked queries are longer than the text tower reads: only their "
        "beginnings count"
    ] * bool(cut)


def _normalised(
    texts: Vectors, videos: Vectors, truth: np.ndarray, query: StoredStream,
    options: RetrieveOptions,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Return the scores after a normalisation that looks at other queries, by its name."""
    table = score_table(texts, videos)
    if options.normalise == "dual-softmax":
        changed = dual_softmax(table)
        back = ranks_of_matrix(dual_softmax(table.T).T, truth, RULES[options.video_to_text])
        return {
            "query to item, dual-softmax": ranks_of_matrix(
                changed, truth, "text_to_video"
            ).scores(),
            "item to query, dual-softmax": back.scores(),
        }
    clips = read_manifest(Path(options.normalise.removeprefix(BANK))).clips
    bank = _read_queries(query, [clip.id for clip in clips], options).vectors
    own = sorted(set(bank.ids) & set(texts.ids))
    if own:
        raise OptionError(
            f"--normalise {options.normalise}: {len(own):,} of its texts are queries, such as "
            f"{own[0]!r}; a query bank holds texts of train"
        )
    changed = query_bank(table, score_table(bank, videos))
    return {"query to item, querybank": ranks_of_matrix(changed, truth, "text_to_video").scores()}
