"""MSVD-QA: open-ended questions about the videos of MSVD."""

from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.questions import QuestionsOptions, read_questions
from emo.datasets.tree import Tree

WORDS = {"what": 8149, "who": 4552, "how": 370, "where": 28, "when": 58}
"""Questions of test by first word."""
MAPPING = "youtube_mapping.txt"


class MsvdQa(Dataset):
    """MSVD-QA: 50,505 questions about 1,970 videos."""

    Options: ClassVar[type] = QuestionsOptions
    has_labels: ClassVar[bool] = False
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MSVD-QA",
        where="https://github.com/xudejing/video-question-answering, or ALPRO's data.zip",
        licence="none stated for the questions; the videos are those of YouTube",
        source="Xu et al. 2017 (10.1145/3123266.3123427)",
        layout="train_qa.json, val_qa.json, test_qa.json (or ALPRO's train.jsonl …); vidN.avi, or "
        f"MSVD's names with {MAPPING}",
        faults=(
            "the questions were made from captions by rules, and many are not grammatical",
            "a score over 13,160 test questions counts 3 of the 13,157 twice: 8 processes were "
            "padded to equal shares",
            "VIOLET leaves out 1,174 test questions, whose answers it does not learn",
        ),
    )

    @classmethod
    def stated(cls, options: QuestionsOptions) -> Stated:
        """Return the paper's counts of questions, or of videos."""
        if options.rows == "questions":
            return {"clips": {"train": 30933, "val": 6415, "test": 13157}}
        return {"clips": {"train": 1200, "val": 250, "test": 520}}

    @classmethod
    def read(cls, tree: Tree, options: QuestionsOptions) -> Download:
        """Read the questions; video 7 is ``vid7``, whose file may have MSVD's name."""
        numbers = _numbers(tree)
        names = {number: name for name, number in numbers.items()}

        def path_of(video: str) -> str:
            """Return the path of a video under its number, or under its name."""
            there = tree.find(f"{video}.avi", *([f"{names[video]}.avi"] if video in names else []))
            return there or f"videos/{video}.avi"

        return read_questions(
            tree, cls.card, options, words=WORDS, path_of=path_of,
            video_of=lambda name: numbers.get(name, f"vid{name.removeprefix('vid')}"),
        )  # fmt: skip


def _numbers(tree: Tree) -> dict[str, str]:
    """Return MSVD's name of each video -> its number, such as ``vid7``; empty: there is no list."""
    file = tree.find(MAPPING)
    lines = tree.text(file).splitlines() if file else []
    return {words[0]: words[1] for words in map(str.split, lines) if len(words) == 2}
