"""CMU-MOSI, as published by MMSA."""

from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.mmsa import LAYOUT, WHERE, read_labels
from emo.datasets.tree import Tree


class Mosi(Dataset):
    """CMU-MOSI: 2,199 opinion segments of 93 videos; sentiment from -3 to 3."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="CMU-MOSI",
        where=WHERE,
        licence="research only, by CMU's end user licence",
        source="Zadeh et al. 2016 (arXiv:1606.06259); splits as in MMSA (Mao et al. 2022)",
        layout=LAYOUT,
        faults=(
            "texts are in capitals without punctuation",
            "label_T, label_A and label_V are empty: there is one label for all modalities",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the sizes of MMSA's splits."""
        return {"clips": {"train": 1284, "val": 229, "test": 686}, "dialogues": {"all": 93}}

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read columns label, label_T, label_A, label_V and annotation, as far as present."""
        return read_labels(tree, cls.card)
