"""The manifest: the table of clips that every command starts from; read, make and write it.

May import: errors, machine, machine.untrusted, plugins, store.backend.
Read first: clips.py.
"""

from emo.manifest.clips import (
    COLUMNS,
    Clip,
    Manifest,
    ManifestProblem,
    inspect_manifest,
    parse_rows,
    read_manifest,
)

__all__ = [
    "COLUMNS",
    "Clip",
    "Manifest",
    "ManifestProblem",
    "inspect_manifest",
    "parse_rows",
    "read_manifest",
]
