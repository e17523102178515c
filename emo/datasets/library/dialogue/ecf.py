"""ECF: MELD's dialogues with the causes of each emotion."""

from typing import Any, ClassVar

from emo.datasets.conversations import read_conversations
from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.tree import Tree

FILES = {
    "train": ("train.txt", "train.json"),
    "val": ("dev.txt", "dev.json"),
    "test": ("test.txt", "test.json"),
}


class Ecf(Dataset):
    """ECF 1.0: emotion–cause pairs in dialogues, as text or as JSON."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="ECF",
        where="https://github.com/NUSTM/MECPE (data/) or https://huggingface.co/datasets/NUSTM/ECF",
        licence="GPL-3.0; the README says research only",
        source="Wang et al. 2023 (MECPE) and the repository's data/README.md",
        layout="train.txt, dev.txt, test.txt (or .json); clips diaNuttM.mp4 in any sub-folder",
        faults=(
            "no clips are published: cut them from the series by the times in the files, or take "
            "MELD's by all_data_pair_ECFvsMELD.txt",
            "texts and times were edited after MELD; the numbers of dialogues are not MELD's",
            "most of its utterances are in MELD, too: do not train on one and test on the other",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts in the README's table."""
        return {
            "clips": {"train": 9966, "val": 1087, "test": 2566},
            "dialogues": {"train": 1001, "val": 112, "test": 261},
            "pairs": {"train": 7055, "val": 866, "test": 1873},
        }

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read a file for each split; columns emotion, is_cause and cause (``joy:1 joy:3``)."""
        return read_conversations(tree, FILES, cls.card)
