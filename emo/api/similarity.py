"""Search, duplicates, zero-shot classes and retrieval on stored tokens."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from emo.api.clips import Clips, Manifest, clips_of
from emo.api.store import Store, locations
from emo.errors import OptionError
from emo.predict.similarity.duplicates import find_duplicates
from emo.predict.similarity.prompts import check_prompts, read_prompts, read_templates
from emo.predict.similarity.retrieval_run import RetrieveReport
from emo.predict.similarity.retrieve import RetrieveOptions
from emo.predict.similarity.retrieve import retrieve as retrieve_clips
from emo.predict.similarity.search import SearchOptions, search_store
from emo.predict.similarity.zero_shot import ZeroShotReport
from emo.predict.similarity.zero_shot import zero_shot as classify

if TYPE_CHECKING:
    import pandas as pd


def search(
    features: "str | Path | Store",
    words: str | None = None,
    *,
    like: str | Path | None = None,
    queries: "str | Path | Sequence[str] | None" = None,
    stream: str | None = None,
    top: int = 10,
    pool: str = "mean",
    similarity: str = "cosine",
    clips: "Clips | pd.DataFrame | None" = None,
    where: Sequence[str] = (),
    options: Sequence[str] = (),
) -> "pd.DataFrame":
    """Find the clips that are nearest to a text, a clip or a file, as `emo search` does.

    Args:
        features: the store.
        words: a text to search for.
        like: id of a clip of the store, or path of a media file.
        queries: several texts, or a table with a column ``text``, and ``id``.
        stream: ``RECIPE/STREAM``; None: the only one.
        top: number of clips for each query.
        pool: ``mean`` of the tokens, each scaled to length 1, or ``max``: the best token counts.
        similarity: ``cosine`` or ``dot``.
        clips: the clips to search, with their texts; None: all of the store.
        where: ``COLUMN=VALUE`` words: only clips with these values.
        options: where weights lie on this machine, ``RECIPE.weights=FOLDER``.

    Returns:
        One row a hit: ``query``, ``rank``, ``id``, ``score``, and ``text`` if it is known.

    Raises:
        EmoError: the stream or the weights cannot be found, or the spaces differ.
    """
    import pandas as pd

    (store,) = locations(features)
    asked = SearchOptions(stream, top, pool, similarity, _clips(clips), tuple(where), {},
                          tuple(options))  # fmt: skip
    texts = Path(queries) if isinstance(queries, str | Path) else queries
    report = search_store(
        store, words, asked, like=None if like is None else str(like), queries=texts
    )
    _warn(report.notes)
    frame = pd.DataFrame(
        [asdict(hit) for hit in report.hits], columns=["query", "rank", "id", "score", "text"]
    )
    return frame if frame["text"].any() else frame.drop(columns="text")


def duplicates(
    features: "str | Path | Store",
    *,
    stream: str | None = None,
    above: float = 0.95,
    clips: "Clips | pd.DataFrame | None" = None,
    where: Sequence[str] = (),
) -> "pd.DataFrame":
    """Find pairs of clips with nearly the same tokens, as `emo duplicates` does.

    Args:
        features: the store.
        stream: ``RECIPE/STREAM``; None: the only one.
        above: the lowest cosine.
        clips: the clips to compare, with their splits; None: all of the store.
        where: ``COLUMN=VALUE`` words: only clips with these values.

    Returns:
        One row a pair: ``first``, ``second``, ``score`` and ``splits``; pairs across splits first.

    Raises:
        EmoError: the stream cannot be found, or too many pairs are above the limit.
    """
    import pandas as pd

    (store,) = locations(features)
    report = find_duplicates(store, stream=stream, above=above, manifest=_clips(clips), where=where)
    return pd.DataFrame(
        [asdict(pair) for pair in report.pairs], columns=["first", "second", "score", "splits"]
    )


def zero_shot(
    features: "str | Path | Store",
    classes: Sequence[str] = (),
    *,
    templates: Sequence[str] = (),
    prompts: str | Path | Mapping[str, Sequence[str]] | None = None,
    stream: str | None = None,
    pool: str = "mean",
    clips: "Clips | pd.DataFrame | None" = None,
    where: Sequence[str] = (),
    target: str | None = None,
    options: Sequence[str] = (),
    out: str | Path = "runs/zero-shot",
    overwrite: bool = False,
) -> ZeroShotReport:
    """Classify clips by the names of classes, as `emo zero-shot` does; write a run.

    Args:
        features: the store.
        classes: names of the classes, as the prompts say them.
        templates: prompts with ``{}`` for the class; empty: "a photo of a {} face".
        prompts: class -> prompts of its own, or a CSV file ``class,prompt``; None: the templates.
        stream: ``RECIPE/STREAM``; None: the only one.
        pool: ``mean`` or ``max``.
        clips: the clips, with labels if they are known; None: all of the store.
        where: ``COLUMN=VALUE`` words: only clips with these values.
        target: column of the labels; None: ``label``, if the clips have it.
        options: where weights lie on this machine, ``RECIPE.weights=FOLDER``.
        out: folder of the run.
        overwrite: replace a run in ``out``.

    Raises:
        EmoError: ``out`` holds a run, the stream or the weights cannot be found, or the spaces
            differ.
    """
    (store,) = locations(features)
    asked = SearchOptions(stream, pooling=pool, manifest=_clips(clips), where=tuple(where),
                          weights=tuple(options))  # fmt: skip
    if isinstance(prompts, Mapping):
        if classes or templates:
            raise OptionError("prompts: classes and templates do not go with a mapping")
        texts = check_prompts(prompts, "prompts")
    else:
        file = None if prompts is None else Path(prompts)
        texts = read_prompts([*classes], read_templates(templates), file)
    return classify(store, texts, asked, out=Path(out), target=target, overwrite=overwrite)


def retrieve(
    captions: "Clips | pd.DataFrame",
    features: "str | Path | Store | Sequence[str | Path | Store]",
    *,
    query: str,
    items: str,
    truth: str = "clip",
    split: str | None = None,
    pool: str = "mean",
    similarity: str = "cosine",
    normalise: str = "",
    video_to_text: str = "own",
    columns: Mapping[str, str] = MappingProxyType({}),
    options: Sequence[str] = (),
    out: str | Path = "runs/retrieve",
    overwrite: bool = False,
) -> RetrieveReport:
    """Rank the items for each query, as `emo retrieve` does; write a run.

    Args:
        captions: the queries, with a column of right items.
        features: the stores of the two streams.
        query: stream ``RECIPE/STREAM`` of the queries.
        items: stream ``RECIPE/STREAM`` of the items.
        truth: column with the id of each query's right item.
        split: ``train``, ``val``, ``test`` or ``all``; None: test if there is one.
        pool: ``mean`` or ``max``, for the items.
        similarity: ``cosine`` or ``dot``.
        normalise: ``dual-softmax`` or ``querybank=MANIFEST``: scores under names of their own.
        video_to_text: ``own`` or ``grouped``, for items of several queries.
        columns: renamed columns of the queries' table.
        options: where weights lie on this machine, ``RECIPE.weights=FOLDER``.
        out: folder of the run.
        overwrite: replace a run in ``out``.

    Raises:
        EmoError: ``out`` holds a run, a stream is missing, the spaces differ, or no query
            has its right item.
    """
    asked = RetrieveOptions(query, items, truth, split, pool, similarity, normalise, video_to_text,
                            tuple(options))  # fmt: skip
    found = clips_of(captions, columns=columns)
    return retrieve_clips(found, locations(features), asked, out=Path(out), overwrite=overwrite)


def _clips(clips: "Clips | pd.DataFrame | None") -> Manifest | None:
    """Return a manifest; None: all clips of the store are meant."""
    return None if clips is None else clips_of(clips)


def _warn(notes: Sequence[str]) -> None:
    """Warn the caller of a public function with each note."""
    for note in notes:
        warnings.warn(note, stacklevel=3)
