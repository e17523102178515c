"""ECF and SemEval-2024 Task 3 as downloads: one file of conversations a split, and clips."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from emo.datasets.dataset import DatasetCard, Download, Row, not_here
from emo.datasets.tree import Tree
from emo.manifest.conversations import conversation_rows

CLIPS = "videos"
"""Folder named for clips that lie nowhere; the authors publish none."""


def read_conversations(
    tree: Tree, files: Mapping[str, tuple[str, ...]], card: DatasetCard
) -> Download:
    """The rows of all splits.

    Args:
        tree: the download.
        files: ``{"train": ("train.txt", "train.json")}``; the first that is there counts.
        card: of the data set, for the error.

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
    for row in rows:  # a name, never a path: it comes from a file that others wrote
        row["video"] = tree.expect(PurePosixPath(row["video"]).name, CLIPS)
    lacking = tuple(f"{files[split][0]} ({split})" for split, file in found.items() if not file)
    return Download(rows, missing=lacking)
