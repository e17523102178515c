"""DiDeMo: videos of half a minute, whose descriptions are joined to one paragraph each."""

from pathlib import PurePosixPath
from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.machine.untrusted.kinds import Fields, ListOf
from emo.manifest.cells import SPLITS

SECONDS = 30
"""Seconds of each video that were described."""
_DESCRIPTION = Fields({"video": str, "description": str}, {"times": ListOf(ListOf(int))})


class Didemo(Dataset):
    """DiDeMo: 10,461 videos, in the order of their first description; one paragraph each."""

    has_labels: ClassVar[bool] = False
    card: ClassVar[DatasetCard] = DatasetCard(
        title="DiDeMo",
        where="https://github.com/LisaAnne/LocalizingMoments (data/) and the videos of Flickr",
        licence="BSD 2-Clause (descriptions); the videos are those of Flickr",
        source="Hendricks et al. 2017 (10.1109/ICCV.2017.618)",
        layout="train_data.json, val_data.json, test_data.json; videos of any extension",
        faults=(
            "some videos are gone: papers report over 979, 1,003, 1,004 or 1,036 test videos, and "
            "results over 1,000 exist; a score says how many it has",
            "a video may go on after the 30 seconds that were described; later seconds are left "
            "out",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts of videos."""
        return {"clips": {"train": 8392, "val": 1065, "test": 1004}}

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read a row for each video: its first 30 seconds and the paragraph, which is the query."""
        files = {split: tree.find(f"{split}_data.json") for split in SPLITS}
        if not any(files.values()):
            raise not_here(cls.card, tree)
        stems = {_stem(file): file for file in reversed(tree.media)}
        rows: dict[str, Row] = {}
        for split, file in files.items():
            for each in tree.document(file, ListOf(_DESCRIPTION)) if file else ():
                name = each["video"]
                if name in rows:
                    rows[name]["text"] += f" {each['description'].strip()}"
                    continue
                stem = PurePosixPath(name).name
                rows[name] = {
                    "id": name, "clip": name, "text": each["description"].strip(), "split": split,
                    "video": stems.get(_stem(name), f"videos/{stem}"),
                    "start_seconds": "0", "end_seconds": str(SECONDS),
                }  # fmt: skip
        missing = tuple(f"{split}_data.json" for split, file in files.items() if file is None)
        return Download(list(rows.values()), missing=missing)


def _stem(name: str) -> str:
    """Return the name of a file without folders and extension."""
    return PurePosixPath(name).name.partition(".")[0]
