"""The manifest: the table of clips that every command starts from."""

from emo.manifest.clips import (
    COLUMNS,
    Clip,
    Manifest,
    Problem,
    inspect_manifest,
    parse_rows,
    read_manifest,
)

__all__ = [
    "COLUMNS",
    "Clip",
    "Manifest",
    "Problem",
    "inspect_manifest",
    "parse_rows",
    "read_manifest",
]
