"""Parse JSONL: an object a line, whose values become text cells."""

import json
from pathlib import Path
from typing import Any

from emo.errors import ManifestError
from emo.machine.untrusted.documents import checked, shortened
from emo.machine.untrusted.kinds import AnyJson
from emo.manifest.tables.text_table import check_size, text_cell


def parse_json_lines(text: str, path: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Parse JSONL; return column -> cells, and the position of each row."""
    documents, origins = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = parse_json(line)
        except ValueError as error:
            raise ManifestError(
                f"{path}: line {number} is not JSON: {shortened(str(error))}"
            ) from error
        if not isinstance(document, dict):
            raise ManifestError(f"{path}: line {number}: expected {{…}}, got {line[:40]!r}")
        documents.append(document)
        origins.append(f"line {number}")
    names = dict.fromkeys(name for document in documents for name in document)
    check_size(len(names), len(documents), path)
    columns = {
        name: [
            text_cell(document.get(name), path, origin, name)
            for document, origin in zip(documents, origins, strict=True)
        ]
        for name in names
    }
    return columns, origins


def parse_json(text: str) -> Any:
    """Parse a JSON document whose texts can all be written to a file.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or holds half of a character (a
            lone surrogate such as ``\\ud83d``, left when an emoji was cut).
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("its lists or objects are nested too deeply") from None
    checked(document, AnyJson())
    if "\\ud" in text.lower():
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start : error.start + 1].encode("ascii", "backslashreplace")
            raise ValueError(
                f"{half.decode()} is half of a character; its other half was cut off"
            ) from error
    return document
