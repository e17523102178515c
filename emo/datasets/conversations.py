"""Read ECF and SemEval-2024 Task 3: a file of dialogues for each split, and clips."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from emo.datasets.dataset import DatasetCard, Download, Row, not_here
from emo.datasets.tree import Tree
from emo.manifest.conversations import conversation_rows

CLIPS = "videos"
"""Folder in the paths of clips that are not found; the authors publish no clips."""


def read_conversations(
    tree: Tree, files: Mapping[str, tuple[str, ...]], card: DatasetCard
) -> Download:
    """Read the rows of all splits.

    Args:
        tree: the files of the download.
        files: split -> names of its file, such as ``{"train": ("train.txt", "train.json")}``; the
            first name that is there is used.
        card: the card of the data set, for the error message.

    Raises:
        DatasetError: none of the files is there.
    """
    found = {split: tree.find(*names) for split, names in files.items()}
    if not any(found.values()):
        raise not_here(card, tree)
    rows: list[Row] = []
    for split, file in found.items():
        if file is not None:
            rows += conversation_rows(tree.root / file, split)
    for row in rows:  # without folders: the name comes from a file that others wrote
        row["video"] = tree.expect(PurePosixPath(row["video"]).name, CLIPS)
    lacking = tuple(f"{files[split][0]} ({split})" for split, file in found.items() if not file)
    return Download(rows, missing=lacking)
