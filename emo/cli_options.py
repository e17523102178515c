"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

Columns = Annotated[
    list[str], Option("--column", help="OURS=THEIRS: a column under another name; repeat.")
]
Root = Annotated[Path | None, Option(help="Folder of the media; default: the manifest's own.")]


def pairs(words: list[str], option: str) -> dict[str, str]:
    """``["video=path"]`` -> ``{"video": "path"}``."""
    for word in words:
        if "=" not in word:
            raise typer.BadParameter(f"{option} {word}: expected NAME=VALUE")
    table = dict(word.split("=", 1) for word in words)
    if len(table) < len(words):
        raise typer.BadParameter(f"{option} names one of {', '.join(table)} twice")
    return table
