"""CH-SIMS, as published by MMSA."""

from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.mmsa import LAYOUT, WHERE, read_labels
from emo.datasets.tree import Tree


class Sims(Dataset):
    """CH-SIMS: 2,281 Chinese segments with a label from -1 to 1 for each modality."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="CH-SIMS",
        where=WHERE,
        licence="research only, ask the authors",
        source="Yu et al. 2020 (2020.acl-main.343)",
        layout=LAYOUT,
        faults=(
            "a spreadsheet that saves label.csv turns clip_id 0001 into 1; both are looked for",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the sizes of MMSA's splits."""
        return {"clips": {"train": 1368, "val": 456, "test": 457}, "dialogues": {"all": 60}}

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read columns label, label_T, label_A, label_V and annotation, as far as present."""
        return read_labels(tree, cls.card)
