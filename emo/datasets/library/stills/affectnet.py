"""AffectNet: faces of the web with eight emotions, valence and arousal."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import read_regular

TABLES = {"train": "training.csv", "val": "validation.csv"}
FOLDERS = {"train": "train_set", "val": "val_set"}
COLUMNS = ("subDirectory_filePath", "expression", "valence", "arousal")
BOX = ("face_x", "face_y", "face_width", "face_height")
EMOTIONS = (
    "neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt", "none",
    "uncertain", "no_face",
)  # fmt: skip
"""Expressions by their number."""
EIGHT = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
"""Train pictures of the first eight expressions, in both releases."""
REST = (33088, 11645, 82415)
"""Train pictures of the other three, in the tables alone."""
NOT_RATED = -2.0
"""Valence and arousal of pictures without an emotion."""
MOST_BYTES = 2**16
"""Largest file of one number that is read."""


@dataclass(frozen=True)
class AffectNetOptions:
    """Options of AffectNet: which release, which classes, and what the validation pictures are."""

    release: Literal["arrays", "tables"] = field(
        default="arrays",
        metadata={
            "help": "arrays: train_set/ and val_set/ with .npy files (2021); tables: training.csv "
            "and validation.csv (2017)"
        },
    )
    classes: Literal["eight", "seven", "all"] = field(
        default="eight",
        metadata={
            "help": "eight: with contempt; seven: without; all: also none, uncertain and no_face "
            "of the tables; pictures of other classes stay without a label"
        },
    )
    validation: Literal["test", "val"] = field(
        default="test",
        metadata={
            "help": "split of the published validation pictures: test, as papers report on them "
            "and the authors' test set is not published, or val"
        },
    )


class AffectNet(Dataset):
    """AffectNet: 291,650 faces with one of eight emotions, valence and arousal (-1 to 1)."""

    Options: ClassVar[type] = AffectNetOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="AffectNet",
        where="http://mohammadmahoor.com/affectnet (agreement of a lab's head)",
        licence="research only, by agreement",
        source="Mollahosseini, Hasani and Mahoor 2017 (10.1109/TAFFC.2017.2740923), table 3; the "
        "release with arrays by its users",
        layout="train_set/images/0.jpg, train_set/annotations/0_exp.npy, 0_val.npy, 0_aro.npy, "
        "val_set/; or training.csv, validation.csv (subDirectory_filePath, face_x …, expression, "
        "valence, arousal) and Manually_Annotated_Images/",
        faults=(
            "validation is even, 500 of each class (499 of contempt in the arrays), and train is "
            "not: accuracy on validation is UAR, and a model of train's shares does badly on it",
            "papers report on validation; where it also chooses the model, the score is too high: "
            "here it is test, and emo manifest split cuts a val from train",
            "most pictures have one rater; two agreed on 60.7 % of the pictures that both saw",
            "papers differ in the classes: seven without contempt, or eight",
            "pictures of the tables show more than the face: columns face_x … have its box; "
            "automatically annotated ones are not read",
            "valence and arousal −2 of the tables mean none: the cells are empty",
            "not checked here: the published files need the agreement; columns and files are as "
            "public readers name them, and the counts, which add up to the totals that papers "
            "state, were not looked up again in the paper's table",
        ),
    )

    @classmethod
    def stated(cls, options: AffectNetOptions) -> Stated:
        """Return the paper's counts: train by class, and 500 validation pictures of each."""
        if options.release == "tables":
            counts = {n: k + 500 for n, k in zip(EMOTIONS, EIGHT + REST, strict=True)}
            sizes = (sum(EIGHT) + sum(REST), 5500)
        else:
            counts = {n: k + 500 for n, k in zip(EMOTIONS[:8], EIGHT, strict=True)}
            counts["contempt"] -= 1
            sizes = (sum(EIGHT), 3999)
        kept = _kept(options)
        label = {name: count for name, count in counts.items() if name in kept}
        return {"clips": {"train": sizes[0], options.validation: sizes[1]}, "label": label}

    @classmethod
    def read(cls, tree: Tree, options: AffectNetOptions) -> Download:
        """Read the files of numbers, or the tables."""
        is_arrays = any(f"/{f}".endswith("_exp.npy") for f in tree.files)
        found = {split: tree.find(name) for split, name in TABLES.items()}
        if options.release == "arrays" and not is_arrays and any(found.values()):
            raise DatasetError(
                f"{tree.root}: this is the release with tables: add -o release=tables"
            )
        if options.release == "arrays":
            if not is_arrays:
                raise not_here(cls.card, tree)
            lacking: list[str] = []
            rows = [row for split in FOLDERS for row in _arrays(tree, split, options, lacking)]
            sets = {row["split"] for row in rows}
            wanted = {"train": "train_set", options.validation: "val_set"}
            lacking += [name for split, name in wanted.items() if split not in sets]
            return Download(rows, missing=tuple(lacking))
        if not any(found.values()):
            raise not_here(cls.card, tree)
        paths = {"/".join(PurePosixPath(path).parts[-2:]): path for path in tree.stills}
        rows = [
            row for split, file in found.items() if file
            for row in _table(tree, file, split, options, paths)
        ]  # fmt: skip
        missing = tuple(TABLES[split] for split, file in found.items() if file is None)
        return Download(rows, missing=missing)


def _kept(options: AffectNetOptions) -> tuple[str, ...]:
    """Return the classes that stay."""
    return EMOTIONS[: {"seven": 7, "eight": 8, "all": len(EMOTIONS)}[options.classes]]


def _row(
    name: str, path: str, split: str, numbers: Mapping[str, str], options: AffectNetOptions
) -> Row:
    """Return the row of one picture.

    Args:
        name: id of the picture.
        path: of the picture.
        split: ``train`` or ``val``, as published.
        numbers: ``expression``, ``valence`` and ``arousal`` as text.
        options: options of the data set.

    Raises:
        ValueError: the expression is none of the published ones, or a value is no number.
    """
    index = int(numbers["expression"])
    if not 0 <= index < len(EMOTIONS):
        raise ValueError(f"expected an expression from 0 to {len(EMOTIONS) - 1}; found {index}")
    label = EMOTIONS[index]
    return {
        "id": name,
        "video": path,
        "split": "train" if split == "train" else options.validation,
        "label": label if label in _kept(options) else "",
        "valence": _rating(numbers["valence"]),
        "arousal": _rating(numbers["arousal"]),
    }


def _rating(cell: str) -> str:
    """Return a rating from -1 to 1, or an empty cell for the number that stands for none."""
    return "" if float(cell) == NOT_RATED else f"{float(cell):.6g}"


def _table(
    tree: Tree, file: str, split: str, options: AffectNetOptions, paths: Mapping[str, str]
) -> Iterator[Row]:
    """Return the rows of one table; ``paths`` are folder and name -> path of each picture."""
    seen: set[str] = set()
    for line in tree.records(file, COLUMNS):
        name = line["subDirectory_filePath"]
        try:
            if name in seen:
                raise ValueError("expected one row for each picture; found two")
            path = paths.get(name, f"Manually_Annotated_Images/{name}")
            row = _row(name.rpartition(".")[0], path, split, line, options)
        except ValueError as error:
            raise DatasetError(f"{tree.root / file}: {shortened(name)}: {error}") from error
        seen.add(name)
        yield row | {column: line[column] for column in BOX if line.get(column)}


def _arrays(tree: Tree, split: str, options: AffectNetOptions, missing: list[str]) -> Iterator[Row]:
    """Return the rows of one folder of pictures and files of numbers.

    Args:
        tree: the files of the download.
        split: ``train`` or ``val``, as published.
        options: options of the data set.
        missing: list to which the paths of missing files of numbers are added.
    """
    kinds = {"expression": "exp", "valence": "val", "arousal": "aro"}
    marker, ending = f"/{FOLDERS[split]}/annotations/", "_exp.npy"
    for file in tree.files:
        if not (marker in f"/{file}" and file.endswith(ending)):
            continue
        stem = file.removesuffix(ending)
        paths = {name: f"{stem}_{kind}.npy" for name, kind in kinds.items()}
        missing += [path for path in paths.values() if path not in tree.all]
        numbers = {
            name: _number(tree, path) if path in tree.all else str(NOT_RATED)
            for name, path in paths.items()
        }
        base, _, name = stem.rpartition("/annotations/")
        try:
            yield _row(
                f"{FOLDERS[split]}/{name}", f"{base}/images/{name}.jpg", split, numbers, options
            )
        except ValueError as error:
            raise DatasetError(f"{tree.root / file}: {error}") from error


def _number(tree: Tree, file: str) -> str:
    """Read a file of one number, which is published as text or as a number.

    Raises:
        DatasetError: the file cannot be read or holds something else.
    """
    import numpy as np

    from emo.machine.untrusted.npy import array_header

    path = tree.root / file
    try:
        data = io.BytesIO(read_regular(path, most_bytes=MOST_BYTES, follow_links=True))
        cells, _ = array_header(data, file)
        if cells != 1:
            raise ValueError(f"expected one number, found {cells:,}")
        data.seek(0)
        return str(np.lib.format.read_array(data, allow_pickle=False).reshape(-1)[0])
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
