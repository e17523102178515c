"""CMU-MOSEI, as published by MMSA."""

from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.mmsa import LAYOUT, WHERE, read_labels
from emo.datasets.tree import Tree


class Mosei(Dataset):
    """CMU-MOSEI: 22,856 opinion segments of YouTube videos; sentiment from -3 to 3."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="CMU-MOSEI",
        where=WHERE,
        licence="research only, by CMU's end user licence",
        source="Zadeh et al. 2018 (P18-1208); splits as in MMSA (Mao et al. 2022)",
        layout=LAYOUT,
        faults=(
            "of 23,453 annotated segments MMSA keeps 22,856, those with all modalities",
            "some segments are black frames or have no picture; emo check finds them",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the sizes of MMSA's splits."""
        return {"clips": {"train": 16326, "val": 1871, "test": 4659}}

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read columns label, label_T, label_A, label_V and annotation, as far as present."""
        return read_labels(tree, cls.card)
