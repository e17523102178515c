"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

Manifests = Annotated[Path, Argument(help="The clips: CSV, TSV, JSONL or Parquet.")]
Columns = Annotated[
    list[str], Option("--column", help="OURS=THEIRS: a column under another name; repeat.")
]
Options = Annotated[list[str], Option("-o", help="NAME=VALUE, or RECIPE.NAME=VALUE; repeat.")]
Root = Annotated[Path | None, Option(help="Folder of the media; default: the manifest's own.")]


def written(option: typer.CallbackParam, path: Path | None) -> Path | None:
    """Of an option or argument that is written: refuse a URL where only this machine will do."""
    if path is not None and ":" in str(path):
        from emo.store.backend.location import local

        word = option.opts[0]
        local(path, word if word.startswith("-") else word.upper())
    return path


def pairs(words: list[str], option: str) -> dict[str, str]:
    """``["video=path"]`` -> ``{"video": "path"}``."""
    for word in words:
        if "=" not in word:
            raise typer.BadParameter(f"{option} {word}: expected NAME=VALUE")
    table = dict(word.split("=", 1) for word in words)
    if len(table) < len(words):
        raise typer.BadParameter(f"{option} names one of {', '.join(table)} twice")
    return table


def rows_of(batch_size: str) -> int | None:
    """``--batch-size``: ``auto`` -> None."""
    if batch_size == "auto":
        return None
    if not batch_size.isdecimal() or int(batch_size) < 1:
        raise typer.BadParameter(f"--batch-size {batch_size}: expected auto or a number above 0")
    return int(batch_size)
