"""SemEval-2024 Task 3: ECF as its training data, and a new test set."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from emo.datasets.conversations import read_conversations
from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.tree import Tree


@dataclass(frozen=True)
class SemEvalOptions:
    """Option of SemEval-2024 Task 3: which subtask."""

    subtask: Literal["1", "2"] = field(
        default="2", metadata={"help": "1 (causes are spans of text) or 2 (causes are utterances)"}
    )


class SemEval2024(Dataset):
    """SemEval-2024 Task 3 (ECF 2.0): emotion–cause pairs in dialogues."""

    Options: ClassVar[type] = SemEvalOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="SemEval-2024 Task 3",
        where="https://github.com/NUSTM/SemEval-2024_ECAC (data/)",
        licence="GPL-3.0; the README says research only",
        source="Wang et al. 2024 (SemEval-2024 Task 3) and the repository's data/README.md",
        layout="Subtask_2_train.json and Subtask_2_test.json (with -o subtask=1: Subtask_1_…); "
        "clips by their video_name in any sub-folder",
        faults=(
            "its training data are ECF, made of MELD: about 2,500 of MELD's 2,610 test utterances "
            "are in its train file; do not train on it and test on MELD",
            "no clips are published: cut them from the series by video_source",
            "the files of the evaluation phase held dialogues that were not scored; the "
            "published test file has 341",
            "there is no val split: emo manifest split, or --cv",
        ),
    )

    @classmethod
    def stated(cls, options: SemEvalOptions) -> Stated:
        """Return the counts in the README's table; pairs are stated for subtask 2's train only."""
        stated = {
            "clips": {"train": 13619, "test": 3101},
            "dialogues": {"train": 1374, "test": 341},
        }
        return stated if options.subtask == "1" else {**stated, "pairs": {"train": 9794}}

    @classmethod
    def read(cls, tree: Tree, options: SemEvalOptions) -> Download:
        """Read columns emotion, is_cause and cause (``joy:1 joy:3``), for spans the utterance."""
        names = {split: (f"Subtask_{options.subtask}_{split}.json",) for split in ("train", "test")}
        return read_conversations(tree, names, cls.card)
