"""Read any folder of media: the label is the sub-folder, or a part of the file's name."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import ManifestError, OptionError
from emo.manifest.cells import SPLIT_WORDS
from emo.manifest.folder import folder_rows

FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class FolderOptions:
    """Option of a folder: which columns the names of files contain."""

    pattern: str | None = field(
        default=None,
        metadata={
            "help": "columns in the file's name without its extension, such as "
            "{speaker}_{label}_{take}; with a /, also in the folders' names; none: the label is "
            "the nearest folder that is not a split"
        },
    )


class Folder(Dataset):
    """Any folder: a clip for each media file; a .wav beside a video of the same name is its sound.

    A folder ``train``, ``val`` (``dev``, ``valid``) or ``test`` in the path is the split, the
    nearest other folder the label.
    """

    Options: ClassVar[type] = FolderOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="a folder of clips",
        where="your own",
        licence="your own",
        source="–",
        layout="media files, in a sub-folder for each class, or with the class in their names",
        faults=("no counts are stated, so missing files cannot be noticed",),
    )

    @classmethod
    def stated(cls, options: FolderOptions) -> Stated:
        """Return no counts: none are stated."""
        return {}

    @classmethod
    def read(cls, tree: Tree, options: FolderOptions) -> Download:
        """Read every media file below the folder."""
        try:
            table = folder_rows(tree.root)
        except ManifestError as error:
            raise not_here(cls.card, tree) from error
        names = _expression(options.pattern) if options.pattern else None
        rows: list[Row] = []
        others: list[str] = []
        for number, file in enumerate(table.origins):
            named = _named(file, names) if names else {"label": _class(file)}
            if named is None:
                others.append(file)
                continue
            media = {k: cells[number] for k, cells in table.columns.items() if k != "folder"}
            rows.append({**media, "split": _split(file), **_label(named)})
        if not rows:
            raise OptionError(
                f"pattern {options.pattern!r} fits none of {len(others):,} files, such as "
                f"{others[0]}; it is compared with the name without its extension"
            )
        return Download(rows, left_out={"the pattern does not fit": others})


def _expression(pattern: str) -> re.Pattern[str]:
    """Compile a pattern such as ``{speaker}_{label}`` to a regular expression with named groups.

    Raises:
        OptionError: the pattern has no field, or the same field twice.
    """
    fields = FIELD.findall(pattern)
    if not fields or len(set(fields)) < len(fields):
        raise OptionError(
            f"pattern {pattern!r}: expected one or more different columns in braces, such as "
            "{speaker}_{label}_{take}"
        )
    pieces = FIELD.split(pattern)
    text = "".join(
        f"(?P<{piece}>[^/]+?)" if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )
    return re.compile(f"(?:.*/)?{text}")


def _named(path: str, names: re.Pattern[str]) -> Row | None:
    """Return the columns in a file's name; None: the pattern does not fit."""
    match = names.fullmatch(path[: -len(PurePosixPath(path).suffix)])
    return match.groupdict() if match else None


def _split(path: str) -> str:
    """Return the split that a folder in the path names; ``""``: none does."""
    words = map(str.lower, _folders(path))
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), "")


def _class(path: str) -> str:
    """Return the nearest folder that is not a split: ``angry`` for ``angry/train/1.wav``."""
    return next((name for name in _folders(path)[::-1] if name.lower() not in SPLIT_WORDS), "")


def _folders(path: str) -> tuple[str, ...]:
    """Return the names of the folders in a path."""
    return PurePosixPath(path).parts[:-1]


def _label(named: Row) -> Row:
    """Remove a label that is the name of a split, which a pattern may have found."""
    is_split = named.get("label", "").lower() in SPLIT_WORDS
    return {name: cell for name, cell in named.items() if not (is_split and name == "label")}
