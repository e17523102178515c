"""MSR-VTT-QA: open-ended questions about the videos of MSR-VTT."""

from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.questions import QuestionsOptions, read_questions
from emo.datasets.tree import Tree

WORDS = {"what": 49869, "who": 20385, "how": 1640, "where": 250, "when": 677}
"""Questions of test by first word."""


class MsrVttQa(Dataset):
    """MSR-VTT-QA: 243,680 questions about 10,000 videos."""

    Options: ClassVar[type] = QuestionsOptions
    has_labels: ClassVar[bool] = False
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MSR-VTT-QA",
        where="https://github.com/xudejing/video-question-answering, or ALPRO's data.zip",
        licence="none stated for the questions; the videos are those of YouTube",
        source="Xu et al. 2017 (10.1145/3123266.3123427)",
        layout="train_qa.json, val_qa.json, test_qa.json (or ALPRO's train.jsonl …); videoN.mp4",
        faults=(
            "the questions were made from captions by rules, and many are not grammatical",
            "a score over 72,824 test questions counts 3 of the 72,821 twice: 8 processes were "
            "padded to equal shares",
        ),
    )

    @classmethod
    def stated(cls, options: QuestionsOptions) -> Stated:
        """Return the paper's counts of questions, or of videos."""
        if options.rows == "questions":
            return {"clips": {"train": 158581, "val": 12278, "test": 72821}}
        return {"clips": {"train": 6513, "val": 497, "test": 2990}}

    @classmethod
    def read(cls, tree: Tree, options: QuestionsOptions) -> Download:
        """Read the questions; video 7 is ``video7``."""
        return read_questions(
            tree, cls.card, options, words=WORDS,
            video_of=lambda name: f"video{name.removeprefix('video')}",
            path_of=lambda name: tree.expect(f"{name}.mp4", "videos"),
        )  # fmt: skip
