"""nEMO: nine Polish actors say ninety sentences in six emotions."""

from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.splits import NOTE, by_speaker
from emo.datasets.tree import Tree

TABLE, FOLDER = "data.tsv", "samples"
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id")


class Nemo(Dataset):
    """nEMO: 4,481 recordings with a table of labels and texts."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="nEMO",
        where="https://github.com/amu-cai/nEMO or https://huggingface.co/datasets/amu-cai/nEMO",
        licence="CC BY-NC-SA 4.0",
        source="Christop 2024 (arXiv:2404.06292)",
        layout=f"{TABLE} and {FOLDER}/*.wav",
        faults=(
            "every actor says the same sentences: nothing can be learned from the words",
            "speaker_id starts with blanks in the published table; they are removed",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts in the paper's table."""
        return {
            "clips": {"all": 4481},
            "speakers": {"all": 9},
            "label": {
                "anger": 749, "fear": 736, "happiness": 749, "neutral": 809, "sadness": 769,
                "surprised": 669,
            },
        }  # fmt: skip

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read the table data.tsv, which has a row for each recording."""
        table = tree.find(TABLE)
        if table is None:
            raise not_here(cls.card, tree)
        lines = tree.records(table, COLUMNS)
        split = by_speaker(line["speaker_id"] for line in lines)
        folder = tree.folder_with([FOLDER], FOLDER)
        rows: list[Row] = [
            {
                "id": line["file_id"].removesuffix(".wav"),
                "audio": f"{folder}/{line['file_id']}",
                "text": line["raw_text"],
                "split": split[line["speaker_id"]],
                "speaker": line["speaker_id"],
                "label": line["emotion"],
                "sex": line.get("gender", ""),
                "age": line.get("age", ""),
            }
            for line in lines
        ]
        return Download(rows, notes=(NOTE,))
