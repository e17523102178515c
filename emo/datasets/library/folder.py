"""Any folder of media: the label is the sub-folder, or a part of the file's name."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import ManifestError, OptionError
from emo.manifest.cells import SPLITS
from emo.manifest.make import folder_rows

FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class FolderOptions:
    """Where the columns are told."""

    pattern: str | None = field(
        default=None,
        metadata={
            "help": "columns in the file's name without its extension, such as "
            "{speaker}_{label}_{take}; with a / the folders too; none: the label is the "
            "nearest folder that is no split"
        },
    )


class Folder(Dataset):
    """One clip a media file; a .wav beside a video of the same name is its sound.

    A folder ``train``, ``val`` (``dev``, ``valid``) or ``test`` on the way is the split, the
    nearest other folder the label.
    """

    Options: ClassVar[type] = FolderOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="a folder of clips",
        where="your own",
        licence="your own",
        source="–",
        layout="media files, in a sub-folder a class, or with the class in their names",
        faults=("nothing is stated, so nothing missing can be noticed",),
    )

    @classmethod
    def stated(cls, options: FolderOptions) -> Stated:
        """Nothing."""
        return {}

    @classmethod
    def read(cls, tree: Tree, options: FolderOptions) -> Download:
        """Every media file below."""
        try:
            table = folder_rows(tree.root)
        except ManifestError as error:
            raise not_here(cls.card, tree) from error
        names = _expression(options.pattern) if options.pattern else None
        rows: list[Row] = []
        strangers: list[str] = []
        for number, origin in enumerate(table.origins):
            told = _named(origin, names) if names else {"label": _class(origin)}
            if told is None:
                strangers.append(origin)
                continue
            media = {k: cells[number] for k, cells in table.columns.items() if k != "folder"}
            rows.append({**media, "split": _split(origin), **_label(told)})
        if not rows:
            raise OptionError(
                f"pattern {options.pattern!r} fits none of {len(strangers):,} files, such as "
                f"{strangers[0]}; it is held against the name without its extension"
            )
        return Download(rows, left_out={"the pattern does not fit": strangers})


def _expression(pattern: str) -> re.Pattern[str]:
    """``{speaker}_{label}`` -> ``(?P<speaker>[^/]+?)_(?P<label>[^/]+?)``.

    Raises:
        OptionError: no field, or the same field twice.
    """
    fields = FIELD.findall(pattern)
    if not fields or len(set(fields)) < len(fields):
        raise OptionError(
            f"pattern {pattern!r}: expected different columns in braces, such as "
            "{speaker}_{label}_{take}"
        )
    pieces = FIELD.split(pattern)
    text = "".join(
        f"(?P<{piece}>[^/]+?)" if origin % 2 else re.escape(piece)
        for origin, piece in enumerate(pieces)
    )
    return re.compile(f"(?:.*/)?{text}")


def _named(path: str, names: re.Pattern[str]) -> Row | None:
    match = names.fullmatch(path[: -len(PurePosixPath(path).suffix)])
    return match.groupdict() if match else None


def _split(path: str) -> str:
    return next((SPLITS[name.lower()] for name in _folders(path) if name.lower() in SPLITS), "")


def _class(path: str) -> str:
    """The nearest folder that is no split: ``angry`` of ``angry/train/1.wav``."""
    return next((name for name in _folders(path)[::-1] if name.lower() not in SPLITS), "")


def _folders(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]


def _label(told: Row) -> Row:
    """A split's name is no class, whatever a pattern says."""
    is_split = told.get("label", "").lower() in SPLITS
    return {name: cell for name, cell in told.items() if not (is_split and name == "label")}
