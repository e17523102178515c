"""MSP-Podcast: stretches of podcasts, rated for emotion, arousal, valence and dominance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened

TABLE = ("labels_consensus.csv", "labels_concensus.csv")
"""Names of the table; the second is that of older releases."""
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "Split_Set")
CLASSES = {
    "A": "anger", "H": "happiness", "S": "sadness", "N": "neutral", "U": "surprise", "F": "fear",
    "D": "disgust", "C": "contempt", "O": "other", "X": "no_agreement",
}  # fmt: skip
KEPT = {"all": "AHSNUFDCOX", "eight": "AHSNUFDC", "four": "AHSN"}
"""Value of the option classes -> letters of the classes that stay."""
SPLITS = {
    "train": "train", "development": "val", "validation": "val", "test1": "test", "test2": "test",
    "test3": "test",
}  # fmt: skip
UNKNOWN = ("", "unknown")
RELEASES: dict[str, dict[str, int]] = {
    "2.0": {"all": 264705},
    "1.11": {"train": 84030, "val": 19815, "test": 30647 + 14815},
}
"""Release -> utterances with published labels, by split of ``SPLITS``."""


@dataclass(frozen=True)
class MspPodcastOptions:
    """Options of MSP-Podcast: classes, release and test set."""

    classes: Literal["eight", "four", "all"] = field(
        default="eight",
        metadata={
            "help": "eight: without other and no agreement, as the Odyssey 2024 challenge; four: "
            "anger, happiness, neutral, sadness; all: also other and no_agreement"
        },
    )
    release: Literal["2.0", "1.11"] = field(
        default="2.0", metadata={"help": "whose counts are shown beside those found"}
    )
    test: Literal["all", "test1", "test2"] = field(
        default="all",
        metadata={"help": "which test set the rows of test are; all: column test_set names it"},
    )


class MspPodcast(Dataset):
    """MSP-Podcast: 264,705 utterances with published labels (release 2.0)."""

    Options: ClassVar[type] = MspPodcastOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MSP-Podcast",
        where="https://www.lab-msp.com/MSP/MSP-Podcast.html (agreement with UT Dallas)",
        licence="research only, by agreement with UT Dallas",
        source="Lotfian and Busso 2019 (10.1109/TAFFC.2017.2736999), Busso et al. 2025 "
        "(arXiv:2509.09791); 1.11 by the corpus' page; 2.0 as its users count the table's rows",
        layout="Labels/labels_consensus.csv (FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, "
        "Gender, Split_Set), Audios/*.wav, Transcripts/*.txt",
        faults=(
            "Test1 and Test2 are two test sets: Test1 was chosen as the train set was, by models "
            "that look for emotion; Test2 is a random choice of whole podcasts. Report them apart: "
            "emo fit-head --by test_set, or -o test=test1",
            "speakers of Test1 may be in Test2 and Test3: train on none of them",
            "labels of Test3 are not published: its files are left out",
            "some utterances have no speaker (Unknown): their cell is empty, so speaker "
            "normalisation does not cover them",
            "arousal, valence and dominance are from 1 to 7; papers report CCC",
            "not checked here against the published table (it needs the agreement): the columns "
            "and rows are as its users show them",
        ),
    )

    @classmethod
    def stated(cls, options: MspPodcastOptions) -> Stated:
        """Return the number of utterances in the labels of a release."""
        clips = RELEASES[options.release]
        return {"clips": clips} if options.test == "all" else {}

    @classmethod
    def read(cls, tree: Tree, options: MspPodcastOptions) -> Download:
        """Read the table of consensus labels; texts are those of the transcripts, if any."""
        table = tree.find(*TABLE)
        if table is None:
            raise not_here(cls.card, tree)
        lines = tree.records(table, COLUMNS)
        sets = [_set_of(tree, table, line) for line in lines]
        dropped = {"test1", "test2", "test3"} - {options.test} if options.test != "all" else set()
        names = _once(tree, table, lines)
        rows = [
            _row(tree, line, name, options.classes)
            for line, name in zip(lines, sets, strict=True) if name not in dropped
        ]  # fmt: skip
        unused = [file for file in tree.media if _is_test3(file) and _name(file) not in names]
        others = [
            file for line, name in zip(lines, sets, strict=True)
            if name in dropped and (file := tree.find(line["FileName"]))
        ]  # fmt: skip
        left_out = {"Test3, whose labels are not published": unused, "another test set": others}
        return Download(rows, left_out=left_out)


def _row(tree: Tree, line: Mapping[str, str], name: str, classes: str) -> Row:
    """Return the row of one utterance of the split ``name``, such as ``test1``."""
    stem = line["FileName"].removesuffix(".wav")
    letter, speaker = line["EmoClass"], line.get("SpkrID", "")
    said = tree.find(f"{stem}.txt")
    return {
        "id": stem,
        "audio": tree.expect(line["FileName"], "Audios"),
        "text": " ".join(tree.text(said).split()) if said else "",
        "split": SPLITS[name],
        "speaker": "" if speaker.lower() in UNKNOWN else speaker,
        "label": CLASSES.get(letter, letter) if letter in KEPT[classes] else "",
        "arousal": line["EmoAct"],
        "valence": line["EmoVal"],
        "dominance": line["EmoDom"],
        "sex": _sex(line.get("Gender", "")),
        "test_set": name if SPLITS[name] == "test" else "",
    }


def _set_of(tree: Tree, table: str, line: Mapping[str, str]) -> str:
    """Return the set of a line in lower case, such as ``test1``.

    Raises:
        DatasetError: it is none of the published ones, or the class is none of the ten letters.
    """
    name = line["Split_Set"].lower()
    where = f"{tree.root / table}: {shortened(line['FileName'])}"
    if name not in SPLITS:
        raise DatasetError(
            f"{where}: expected Split_Set to be Train, Development, Test1 or Test2; found "
            f"{shortened(line['Split_Set'])!r}"
        )
    if line["EmoClass"] not in CLASSES:
        raise DatasetError(
            f"{where}: expected EmoClass to be one of {', '.join(CLASSES)}; found "
            f"{shortened(line['EmoClass'])!r}"
        )
    return name


def _once(tree: Tree, table: str, lines: list[dict[str, str]]) -> set[str]:
    """Return the names of all files in the table.

    Raises:
        DatasetError: the table names a file twice.
    """
    names: set[str] = set()
    for line in lines:
        if line["FileName"] in names:
            raise DatasetError(
                f"{tree.root / table}: {shortened(line['FileName'])} has two rows; expected one"
            )
        names.add(line["FileName"])
    return names


def _sex(word: str) -> str:
    """Return ``male`` or ``female``, or an empty cell for Unknown."""
    return "" if word.lower() in UNKNOWN else word.lower()


def _name(file: str) -> str:
    """Return the name of a file without its folders."""
    return file.rpartition("/")[2]


def _is_test3(file: str) -> bool:
    """Return whether a file is an utterance of Test3 by its name."""
    return "test3" in _name(file).lower()
