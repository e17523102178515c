"""Folders with a file for each clip: names of the files, order of the clips, our own document."""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import first_odd_entry, read_regular
from emo.store.exchange.contents import MOST_DOCUMENT, Contents, StreamTokens, parse_document

DOCUMENT_FILE = "emo.json"
"""Name of the JSON document that the writers of this package put beside the files."""
_SAFE = " ()[]+,;=@~-_."
_MOST_BYTES = 255 - len(".npy")
"""Most bytes of a file's name without its ending."""


def check_folder(path: Path) -> None:
    """Raise StoreError for a link, pipe or device below ``path``: it may lead out of the folder."""
    if path.is_dir() and (odd := first_odd_entry(path)):
        raise StoreError(f"{odd[0]}: refused: {odd[1]}; put the file itself there")


def clip_file_name(clip_id: str, form: str) -> str:
    """Return the name of a clip's file without its ending; unsafe characters become %XX.

    Args:
        clip_id: the clip.
        form: name of the format, for the message.

    Raises:
        StoreError: the name would be too long for a file system.
    """
    name = quote(clip_id, safe=_SAFE)
    if len(name) > _MOST_BYTES:
        raise StoreError(
            f"clip {clip_id!r}: its file would have a name of {len(name)} bytes, and file systems "
            f"allow {_MOST_BYTES}; choose another format than {form}"
        )
    return name


def write_npy(file: Path, array: np.ndarray) -> None:
    """Write an .npy file; when it cannot be written, the error says why, unlike that of np.save."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array))
    file.write_bytes(buffer.getbuffer())


def write_clips(
    folder: Path, contents: Contents, rows: StreamTokens, names: Mapping[str, str], is_mean: bool
) -> None:
    """Write an .npy file for each clip that has tokens.

    Args:
        folder: the folder to make.
        contents: the clips.
        rows: the stream.
        names: clip id -> name of its file without the ending.
        is_mean: write one token (D,), the mean over the tokens, instead of all tokens (T, D).
    """
    folder.mkdir(parents=True)
    for first, ragged in rows.blocks():
        for row, tokens in enumerate(ragged, start=first):
            if not len(tokens):
                continue
            array = tokens
            if is_mean:
                array = tokens.mean(axis=0, dtype=np.float32) if len(tokens) > 1 else tokens[0]
            write_npy(folder / f"{names[contents.ids[row]]}.npy", array)


def write_folder_document(path: Path, contents: Contents, folders: Mapping[str, str]) -> None:
    """Write the JSON document into a folder.

    Args:
        path: the folder.
        contents: the clips.
        folders: name of each folder of files -> its stream.
    """
    document = contents.document() | {"folders": dict(folders), "order": list(contents.ids)}
    text = json.dumps(document, ensure_ascii=False)
    (path / DOCUMENT_FILE).write_text(text, encoding="utf-8")


def read_folder_document(path: Path) -> Mapping[str, Any]:
    """Return the document that :func:`write_folder_document` put there; {}: none."""
    file = path / DOCUMENT_FILE
    if not file.is_file():
        return {}
    try:
        data = read_regular(file, most_bytes=MOST_DOCUMENT, follow_links=False)
        return parse_document(data.decode("utf-8"), file)
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} cannot be read: {shortened(str(error))}") from error


def ordered(ids: Iterable[str], document: Mapping[str, Any]) -> list[str]:
    """Return ids in the order of the document, if there is one; others sorted after them."""
    rank = {clip_id: k for k, clip_id in enumerate(document.get("order", []))}
    return sorted(ids, key=lambda clip_id: (rank.get(clip_id, len(rank)), clip_id))
