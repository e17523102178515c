"""MELD: dialogues of the series Friends with emotion and sentiment."""

from collections.abc import Iterator
from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree

FILES = {"train": "train_sent_emo.csv", "val": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
FOLDERS = {
    "train": ("train_splits", "train"),
    "val": ("dev_splits_complete", "dev_splits", "dev"),
    "test": ("output_repeated_splits_test", "test_splits", "test"),
}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
SECOND = "final_videos_test"
"""Start of the names of second versions of test clips."""
KNOWN = {"val": "dia110_utt7.mp4", "train": "dia125_utt3.mp4"}
"""Split -> clip that is missing (val) or broken (train) in the published archive."""


class Meld(Dataset):
    """MELD: 13,708 utterances; the tables without clips make a manifest of texts."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="MELD",
        where="https://affective-meld.github.io (MELD.Raw.tar.gz; inside it train.tar.gz, "
        "dev.tar.gz, test.tar.gz)",
        licence="GPL-3.0 (tables); the clips are the series'",
        source="Poria et al. 2019 (arXiv:1810.02508) and the repository's README",
        layout="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv",
        faults=(
            "Dialogue_ID starts again in each split: 113, 279 and 114 numbers are shared by "
            "train and val, train and test, val and test; they are kept apart here",
            "the authors state 1,039 dialogues in train, their table has 1,038",
            "val dia110_utt7.mp4 is missing, train dia125_utt3.mp4 broken; the rows keep the text",
            "test dia38_utt4 and dia220_utt0 last 5 and 4 minutes: cut wrongly",
            "about 130 files final_videos_test… are second versions of test clips, and a few "
            "clips have no row: left out",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts in the README's tables; emotions are summed over the three splits."""
        return {
            "clips": {"train": 9989, "val": 1109, "test": 2610},
            "dialogues": {"train": 1039, "val": 114, "test": 280},
            "speakers": {"train": 260, "val": 47, "test": 100},
            "label": {
                "anger": 1607, "disgust": 361, "fear": 358, "joy": 2308, "neutral": 6436,
                "sadness": 1002, "surprise": 1636,
            },
        }  # fmt: skip

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read the three tables; a clip's name is ``dia{Dialogue_ID}_utt{Utterance_ID}.mp4``."""
        found = {split: tree.find(name) for split, name in FILES.items()}
        if not any(found.values()):
            raise not_here(cls.card, tree)
        rows, tolerated = [], set()
        for split, file in found.items():
            folder = tree.folder_with(FOLDERS[split], FOLDERS[split][0])
            if file is not None:
                rows += list(_rows(tree, file, split, folder))
            if split in KNOWN:
                tolerated.add(f"{folder}/{KNOWN[split]}")
        missing = tuple(FILES[split] for split, file in found.items() if file is None)
        named = {row["video"] for row in rows}
        unused = [f for f in tree.media if SECOND in f and f not in named]
        return Download(
            rows, missing=missing, tolerated=frozenset(tolerated),
            left_out={"second versions of test clips": unused},
        )  # fmt: skip


def _rows(tree: Tree, file: str, split: str, folder: str) -> Iterator[Row]:
    """Return the rows of one table; ``folder`` is that of the split's clips."""
    for line in tree.records(file, COLUMNS):
        name = f"dia{line['Dialogue_ID']}_utt{line['Utterance_ID']}.mp4"
        second = f"{folder}/{SECOND}{name}"
        is_there = f"{folder}/{name}" in tree.all
        yield {
            "video": second if second in tree.all and not is_there else f"{folder}/{name}",
            "text": line["Utterance"],
            "split": split,
            "dialogue": line["Dialogue_ID"],
            "turn": line["Utterance_ID"],
            "speaker": line["Speaker"],
            "label": line["Emotion"],
            "sentiment": line["Sentiment"],
            "season": line.get("Season", ""),
            "episode": line.get("Episode", ""),
        }
