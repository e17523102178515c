"""Queries of a search: words, clips of the store, or files, as vectors of a stream's space."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import MediaError, OptionError
from emo.extract.job.repeat_recipes import requests_of_recipes
from emo.extract.run import extract
from emo.machine.untrusted.documents import shortened
from emo.manifest.rows import read_rows
from emo.predict.media_files import manifest_of_files
from emo.predict.similarity.stored import StoredStream, read_vectors, vectors_of_arrays
from emo.predict.similarity.text_tower import SHOWN_LETTERS, find_text_tower
from emo.predict.similarity.vectors import Vectors
from emo.store.recipe import IMPORTED
from emo.store.store import Store

_PLURALS = {"query": "queries", "prompt": "prompts"}
"""Plural of each noun for a text."""


@dataclass(frozen=True)
class TextQuery:
    """A text to search for."""

    id: str
    """Name of the query."""
    text: str
    """What is searched for."""


def read_queries(path: Path) -> list[TextQuery]:
    """Read queries from a table with a column ``text``, and ``id`` if there is one.

    Raises:
        OptionError: there is no such column, a text is empty or an id occurs twice.
    """
    rows = read_rows(path)
    if "text" not in rows.columns:
        raise OptionError(f"{path}: expected a column text; found {', '.join(rows.columns)}")
    texts = rows.columns["text"]
    names = rows.columns.get("id") or [str(k) for k in range(1, len(texts) + 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OptionError(f"{path}: id {twice!r} occurs twice; keep one")
    for origin, text in zip(rows.origins, texts, strict=True):
        if not text.strip():
            raise OptionError(f"{path}: {origin}: the text is empty")
    if not texts:
        raise OptionError(f"{path}: no queries")
    return [TextQuery(*each) for each in zip(names, texts, strict=True)]


def text_vectors(
    stream: StoredStream, queries: Sequence[TextQuery], options: Sequence[str] = (), *,
    similarity: str = "cosine", device: str = "cpu", noun: str = "query",
) -> tuple[Vectors, list[str], dict[str, Any]]:  # fmt: skip
    """Encode texts with the text tower of a stream.

    Args:
        stream: the stream that they are compared with.
        queries: the texts.
        options: where weights lie on this machine, ``RECIPE.weights=DIR``.
        similarity: ``cosine`` or ``dot``.
        device: device of the tower.
        noun: what a text is called in notes and errors, ``query`` or ``prompt``.

    Returns:
        Vectors, notes for people, and the facts of the tower and the stream.

    Raises:
        OptionError: a text is empty, or its space is not that of the stream.
        WeightsError: the weights cannot be found.
    """
    for each in queries:
        if not each.text.strip():
            raise OptionError(f"the {noun} is empty; give some words")
    folder = stream.folder
    tower = find_text_tower(
        folder.name, folder.recipe, stream.stream, options, document=folder.path
    )
    arrays, notes = tower.encode([each.text for each in queries], device=device, noun=noun)
    cut: list[tuple[str, str]] = []
    for k, (query, found) in enumerate(zip(queries, notes, strict=True)):
        lacking, pieces = (int(found.get(key, 0)) for key in ("words_lacking", "text_pieces"))
        if pieces > 1 and len(arrays[k]) == pieces:
            arrays[k] = arrays[k][:1]  # a token each; the original reads no more than the first
            cut.append((query.text, f"only the first of its {pieces} pieces counts"))
        elif lacking:
            cut.append((query.text, f"its last {lacking:,} words do not count"))
    ids = [each.id for each in queries]
    made = vectors_of_arrays(arrays, ids, similarity=similarity, name=f"{folder.name}/text")
    return made, _cut_lines(cut, len(queries), noun), {**tower.recipe.facts, **folder.recipe.facts}


def _cut_lines(cut: Sequence[tuple[str, str]], count: int, noun: str) -> list[str]:
    """Return at most one line that says which texts are longer than the tower reads.

    Args:
        cut: those texts, and what was done with each.
        count: number of all texts.
        noun: what a text is called, ``query`` or ``prompt``.
    """
    if not cut:
        return []
    text, how = cut[0]
    shown = repr(shortened(text, SHOWN_LETTERS))
    if len(cut) == 1:
        return [f"{noun} {shown} is longer than the text tower reads: {how}"]
    return [
        f"{len(cut):,} of {count:,} {_PLURALS[noun]} are longer than the text tower reads, such as "
        f"{shown}: only their beginnings count"
    ]


def like_vectors(
    stream: StoredStream, like: str, options: Sequence[str] = (), *, similarity: str = "cosine"
) -> Vectors:
    """Return the vector of a clip of the store, or of a media file, which is extracted.

    Args:
        stream: the stream that it is compared with.
        like: id of a clip, or path of a file.
        options: where weights lie on this machine, ``RECIPE.weights=DIR``.
        similarity: ``cosine`` or ``dot``.

    Raises:
        EmoError: the clip lacks the stream, the file cannot be decoded, or the recipe was imported.
    """
    if _is_clip(stream, like) or not Path(like).is_file():
        # an unknown clip is refused here with similar ids
        stream.folder.read(stream.stream, [like])
        return read_vectors(stream, [like], similarity=similarity).vectors
    folder = stream.folder
    if folder.recipe.backbone.startswith(IMPORTED):
        raise OptionError(
            f"recipe {folder.name!r} was imported, so emo cannot extract {like} for it; --like "
            "takes the id of a clip of the store"
        )
    with tempfile.TemporaryDirectory(prefix="emo-search-") as made:
        requests = requests_of_recipes({folder.name: folder.recipe}, options, document=folder.path)
        report = extract(manifest_of_files([Path(like)], "--like"), Path(made), requests,
                         progress=False)  # fmt: skip
        reasons = report.failures.get(folder.name, {})
        if reasons:
            raise MediaError(f"{like}: {next(iter(reasons.values()))}")
        found = StoredStream(Store(made).recipes[folder.name], stream.stream)
        return read_vectors(found, similarity=similarity).vectors


def _is_clip(stream: StoredStream, like: str) -> bool:
    """Return whether the store has a clip of this id."""
    return bool(stream.folder.read_present(stream.stream, [like]).lengths[0])
