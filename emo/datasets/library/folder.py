"""Read any folder of media: split, label and speaker are told by names of folders and files."""

from dataclasses import dataclass, field
from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import ManifestError
from emo.machine.table import format_table
from emo.manifest.folder import folder_rows
from emo.manifest.naming.named_folder import named_folder


@dataclass(frozen=True)
class FolderOptions:
    """Option of a folder: which columns the names of files contain."""

    pattern: str | None = field(
        default=None,
        metadata={
            "help": "columns in the file's name, such as {speaker}_{label}_{take}; with a /, also "
            "in the folders' names; none: split, label and speaker are found"
        },
    )


class Folder(Dataset):
    """Any folder, as `emo manifest folder` reads it, and each file is opened."""

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
            folder_rows(tree.root)
        except ManifestError as error:
            raise not_here(cls.card, tree) from error
        named = named_folder(tree.root, options.pattern)
        columns = {name: cells for name, cells in named.rows.columns.items()}
        lines = zip(*columns.values(), strict=True)
        rows = [
            {"split": "", "label": "", **dict(zip(columns, line, strict=True))} for line in lines
        ]
        notes = format_table(named.facts).splitlines() if named.facts else []
        return Download(
            rows, left_out={"the pattern does not fit": named.unfit}, notes=(*notes, *named.notes)
        )
