"""MER2023: Chinese films and series with six emotions and valence; three test sets."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened

SETS = {"train": "train", "test1": "test", "test2": "test", "test3": "test"}
"""Folder of the download -> split."""
SIZES = {"train": 3373, "test1": 411, "test2": 412, "test3": 834}
EMOTIONS = ("neutral", "angry", "happy", "sad", "worried", "surprise")
TEXTS = {"transcription.csv": ("sentence", "chinese"), "transcription-engchi-polish.csv": (
    "chinese",)}  # fmt: skip
"""Table of texts -> its columns of texts in the order in which they are looked for."""
NO_VALENCE = -10.0
"""Number that the organisers' code writes where there is no valence."""


@dataclass(frozen=True)
class Mer2023Options:
    """Option of MER2023: which test set."""

    test: Literal["all", "test1", "test2", "test3"] = field(
        default="all",
        metadata={
            "help": "which test set the rows of test are: test1 (MER-MULTI), test2 (MER-NOISE) or "
            "test3 (MER-SEMI); all: column test_set names it"
        },
    )


class Mer2023(Dataset):
    """MER2023: 5,030 labelled clips with ``label`` and ``valence`` (-5 to 5)."""

    Options: ClassVar[type] = Mer2023Options
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MER2023",
        where="https://huggingface.co/datasets/MERChallenge/MER2023 (agreement)",
        licence="academic research only, by agreement",
        source="Lian et al. 2023 (10.1145/3581783.3612836) for the sizes; MERTools' MER2023 and "
        "MER2024/toolkit/preprocess/mer2023.py for the layout",
        layout="train-label.csv (name, discrete, valence), test1-label.csv, test2-label.csv, "
        "test3-label.csv (no valence), train/*, test1/*, test2/*, test3/*; transcription.csv",
        faults=(
            "there is no val: MERBench draws five folds from train and means them, emo fit-head "
            "--cv 5 or emo manifest split",
            "the three tests are different tasks: test2 is spoilt by noise and blur, test3 is the "
            "labelled part of the clips for semi-supervised learning: report them apart with "
            "emo fit-head --by test_set, or -o test=test1",
            "valence is not rated in test3; the organisers' code writes -10 there, which is "
            "read as no number",
            "the official measure is weighted F1 − .25 × MSE of valence: two fits or one with two "
            "targets, label and valence",
            "test3/ holds 73,148 clips, most of them without label: these are left out",
            "not checked here: the published tables need the agreement, and the paper's sizes were "
            "not at hand to be looked up again",
        ),
    )

    @classmethod
    def stated(cls, options: Mer2023Options) -> Stated:
        """Return the paper's sizes of train and of the chosen test sets."""
        tests = [name for name in SIZES if name != "train" and options.test in ("all", name)]
        return {"clips": {"train": SIZES["train"], "test": sum(SIZES[name] for name in tests)}}

    @classmethod
    def read(cls, tree: Tree, options: Mer2023Options) -> Download:
        """Read a table of labels for each set; a clip is found by its name with any extension."""
        wanted = [name for name in SETS if name == "train" or options.test in ("all", name)]
        files = {name: tree.find(f"{name}-label.csv") for name in wanted}
        if not any(files.values()):
            raise not_here(cls.card, tree)
        texts = _texts(tree)
        rows: dict[str, Row] = {}
        for name, file in files.items():
            for row in _rows(tree, name, file, texts) if file else ():
                if row["id"] in rows:
                    raise DatasetError(
                        f"{tree.root / str(file)}: clip {shortened(row['id'])} has a row in "
                        f"{rows[row['id']]['test_set'] or 'train'} and in {name}; expected one"
                    )
                rows[row["id"]] = row
        missing = tuple(f"{name}-label.csv" for name, file in files.items() if file is None)
        named = {row["video"] for row in rows.values()}
        unused = [f for f in tree.media if f not in named and f"/{f}".count("/test")]
        left_out = {"without label, or of another test set": unused}
        return Download(list(rows.values()), missing=missing, left_out=left_out)


def _rows(tree: Tree, name: str, file: str, texts: dict[str, str]) -> list[Row]:
    """Return the rows of one set, such as ``test1``."""
    has_valence = name != "test3"
    lines = tree.records(file, ["name", "discrete", *(["valence"] if has_valence else [])])
    rows: list[Row] = []
    for line in lines:
        clip, emotion = line["name"], line["discrete"]
        if emotion not in EMOTIONS:
            raise DatasetError(
                f"{tree.root / file}: {shortened(clip)}: expected discrete to be one of "
                f"{', '.join(EMOTIONS)}; found {shortened(emotion)!r}"
            )
        rows.append(
            {
                "id": clip,
                "video": tree.by_stem.get(clip, f"{name}/{clip}.avi"),
                "text": texts.get(clip, ""),
                "split": SETS[name],
                "label": emotion,
                "valence": _valence(line.get("valence", "")) if has_valence else "",
                "test_set": name if SETS[name] == "test" else "",
            }
        )
    return rows


def _valence(cell: str) -> str:
    """Return a valence, or an empty cell for the number that stands for none."""
    try:
        return "" if float(cell) == NO_VALENCE else cell
    except ValueError:
        return cell


def _texts(tree: Tree) -> dict[str, str]:
    """Return clip -> text of the first table of texts that is there; empty: there is none."""
    for name, columns in TEXTS.items():
        if file := tree.find(name):
            lines = tree.records(file, ["name"])
            column = next((c for c in columns if lines and c in lines[0]), None)
            return {line["name"]: line[column] for line in lines} if column else {}
    return {}
