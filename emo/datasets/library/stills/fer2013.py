"""FER2013: grey faces of 48 × 48 pixels in seven emotions, published as numbers in a table."""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.png import grey_pixels, grey_png, whole_folder
from emo.datasets.repeats import RepeatsOptions, Unit, without_repeats
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import open_regular, read_regular

TABLES = ("fer2013.csv", "icml_face_data.csv")
VOTES = "fer2013new.csv"
FOLDER = "pictures"
SIDE = 48
"""Pixels of a row and of a column."""
MOST_BYTES = 2**16
"""Largest picture that is compared with the table."""
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Emotions by their number in the table."""
VOTED = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
)  # fmt: skip
"""Emotions of FER+; its last two columns, unknown and NF (no face), are no emotions."""
NO_EMOTION = ("unknown", "NF")
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
SHOWN = 10
"""Largest number of blank pictures that the note names."""


class Face(NamedTuple):
    """A line of the table."""

    emotion: str
    pixels: bytes
    split: str


@dataclass(frozen=True)
class Fer2013Options(RepeatsOptions):
    """Options of FER2013: whose labels, and whether pictures are written."""

    labels: Literal["fer2013", "ferplus"] = field(
        default="fer2013",
        metadata={
            "help": f"ferplus: the emotion with the most of ten votes in {VOTES}, and shares of "
            "the votes as columns; a tie, no face and unknown stay without a label"
        },
    )
    pictures: Literal["read", "write"] = field(
        default="read",
        metadata={
            "help": "write: make 35,887 PNG files (150 MB on disk) of the table's numbers, in "
            f"{FOLDER}/ of the download; read: they are there"
        },
    )


class Fer2013(Dataset):
    """FER2013: 35,887 faces; FER+ labels them anew."""

    Options: ClassVar[type] = Fer2013Options
    card: ClassVar[DatasetCard] = DatasetCard(
        title="FER2013",
        where="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-"
        f"recognition-challenge (fer2013.tar.gz); {VOTES}: https://github.com/microsoft/FERPlus",
        licence="none stated (pictures of a web search); FER+: MIT",
        source="Goodfellow et al. 2013 (arXiv:1307.0414); FER+: Barsoum et al. 2016 "
        "(arXiv:1608.01041), counted in its published table",
        layout=f"fer2013.csv (emotion, pixels, Usage), {VOTES} for -o labels=ferplus",
        faults=(
            "labels are noisy: people agree with them in about 65 % of the pictures, as the "
            "authors say; FER+ has ten votes for each",
            "PublicTest is val and PrivateTest test, as in the challenge",
            "pictures are in two splits, to the pixel: the report counts them, and "
            "-o repeats=drop leaves them out of the earlier one",
            "a few pictures are of one colour: the report names them; FER+ says no face for 177",
            "copies with a folder for each emotion (train/angry/*.jpg) merge PublicTest and "
            "PrivateTest: emo dataset folder reads them",
            f"checked against {VOTES} (all rows: splits and votes); fer2013.csv was not at hand: "
            "its classes are those that papers state, and add up to all pictures",
        ),
    )

    @classmethod
    def stated(cls, options: Fer2013Options) -> Stated:
        """Return the sizes of the splits, and the classes; those of FER+ are without ties."""
        if options.labels == "ferplus":
            label = dict(zip(VOTED, (11773, 9199, 4240, 4222, 3025, 228, 813, 212), strict=True))
        else:
            label = dict(zip(EMOTIONS, (4953, 547, 5121, 8989, 6077, 4002, 6198), strict=True))
        return {"clips": {"train": 28709, "val": 3589, "test": 3589}, "label": label}

    @classmethod
    def read(cls, tree: Tree, options: Fer2013Options) -> Download:
        """Read the table, and write its pictures if the options say so."""
        table = tree.find(*TABLES)
        if table is None:
            raise not_here(cls.card, tree)
        parent = os.path.dirname(table)
        folder = f"{parent}/{FOLDER}" if parent else FOLDER
        is_there = (tree.root / folder).is_dir()
        if not is_there and options.pictures == "read":
            raise DatasetError(
                f"{tree.root / table} holds the pictures as numbers, and there is no folder "
                f"{folder}: add -o pictures=write, which writes a PNG file for each row there"
            )
        units, blank = _units(tree, table, folder, is_new=not is_there)
        if options.labels == "ferplus":
            _add_votes(tree, [unit.rows[0] for unit in units])
        rows, notes = without_repeats(units, options, what="pictures")
        if blank:
            shown = ", ".join(blank[:SHOWN]) + (" …" if len(blank) > SHOWN else "")
            notes = (*notes, f"pictures of one colour: {len(blank):,}: {shown}")
        kept = {row["video"] for row in rows}
        dropped = [unit.rows[0]["video"] for unit in units if unit.rows[0]["video"] not in kept]
        return Download(
            rows, left_out={"in a later split, too": dropped}, notes=notes, is_written=not is_there
        )


def _units(tree: Tree, table: str, folder: str, *, is_new: bool) -> tuple[list[Unit], list[str]]:
    """Return a row for each picture with its hash, and the ids of pictures of one colour.

    Args:
        tree: the files of the download.
        table: path of the table.
        folder: path of the folder of the pictures.
        is_new: write that folder.
    """
    units, blank = [], []
    with whole_folder(tree.root / folder) if is_new else nullcontext(None) as unfinished:
        for number, face in enumerate(_faces(tree, table)):
            name = f"{number:05}"
            if unfinished is not None:
                (unfinished / f"{name}.png").write_bytes(grey_png(face.pixels, SIDE))
            elif _is_another(tree, f"{folder}/{name}.png", face.pixels):
                raise DatasetError(
                    f"{tree.root / folder}/{name}.png is not the picture of row {number + 2} of "
                    f"{tree.root / table}: the folder was written from another table. Remove it, "
                    "and add -o pictures=write"
                )
            row = {
                "id": name,
                "video": f"{folder}/{name}.png",
                "split": face.split,
                "label": face.emotion,
            }
            units.append(Unit(hashlib.sha256(face.pixels).hexdigest(), [row]))
            if len(set(face.pixels)) == 1:
                blank.append(name)
    return units, blank


def _is_another(tree: Tree, file: str, pixels: bytes) -> bool:
    """Return whether a file that was written as we write pictures has other pixels.

    Pictures that other programs wrote are not compared.
    """
    if file not in tree.all:
        return False
    try:
        data = read_regular(tree.root / file, most_bytes=MOST_BYTES, follow_links=True)
    except (OSError, ValueError):  # such files are reported with all media
        return False
    return grey_pixels(data) not in (None, pixels)


def _faces(tree: Tree, table: str) -> Iterator[Face]:
    """Iterate over the lines of the table.

    Raises:
        DatasetError: the table is not as published.
    """
    path = tree.root / table
    try:
        descriptor, _ = open_regular(path, follow_links=True)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    with open(descriptor, encoding="utf-8-sig", newline="") as file:
        try:
            lines = csv.reader(file)
            names = [name.strip() for name in next(lines, [])]
            positions = [names.index(name) for name in ("emotion", "pixels", "Usage")]
        except (ValueError, csv.Error) as error:
            raise DatasetError(
                f"{path}: expected the columns emotion, pixels and Usage; found "
                f"{shortened(', '.join(names))}"
            ) from error
        for number, cells in enumerate(lines, 2):
            if cells:
                yield _face([cells[k] if k < len(cells) else "" for k in positions], path, number)


def _face(cells: Sequence[str], path: object, number: int) -> Face:
    """Return a line of the table.

    Raises:
        DatasetError: a number or word is none of the published ones.
    """
    emotion, pixels, usage = (cell.strip() for cell in cells)
    try:
        grey = bytes(map(int, pixels.split()))
        if len(grey) != SIDE * SIDE or not 0 <= int(emotion) < len(EMOTIONS):
            raise ValueError
        return Face(EMOTIONS[int(emotion)], grey, SPLITS[usage])
    except (ValueError, KeyError) as error:
        raise DatasetError(
            f"{path}, row {number}: expected an emotion from 0 to 6, {SIDE * SIDE:,} pixels from "
            f"0 to 255 and Training, PublicTest or PrivateTest; found {shortened(emotion)!r}, "
            f"{len(pixels.split()):,} pixels and {shortened(usage)!r}"
        ) from error


def _add_votes(tree: Tree, rows: Sequence[Row]) -> None:
    """Replace the labels by those of FER+, and add the shares of its votes.

    Raises:
        DatasetError: the table of votes is not there, or its rows are not those of the pictures.
    """
    table = tree.find(VOTES)
    if table is None:
        raise DatasetError(
            f"{tree.root}: no {VOTES} is here; it is in https://github.com/microsoft/FERPlus"
        )
    lines = tree.records(table, ["Usage", *VOTED, *NO_EMOTION])
    usages = [SPLITS.get(line["Usage"]) for line in lines]
    if usages != [row["split"] for row in rows]:
        raise DatasetError(
            f"{tree.root / table}: expected a row for each of the {len(rows):,} pictures with the "
            f"same Usage in the same order; found {len(lines):,} rows"
        )
    for row, line in zip(rows, lines, strict=True):
        try:
            votes = {name: int(line[name]) for name in (*VOTED, *NO_EMOTION)}
        except ValueError as error:
            raise DatasetError(f"{tree.root / table}: picture {row['id']}: {error}") from error
        most = [name for name, count in votes.items() if count == max(votes.values())]
        row["label"] = most[0] if len(most) == 1 and most[0] in VOTED else ""
        total = sum(votes.values()) or 1
        row |= {f"share_{name}": f"{votes[name] / total:.4g}" for name in VOTED}
