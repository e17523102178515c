"""CREMA-D: 91 actors say twelve sentences in six emotions; raters voted on voice, face and both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.splits import NOTE, by_speaker
from emo.datasets.tree import Tree
from emo.datasets.votes import SUMMARY, TABULATED, Votes, majority

CODES = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "", "X": ""}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
NAMES = "SentenceFilenames.csv"
SOUNDLESS = "1076_MTI_SAD_XX.wav"
"""A published file without sound."""


@dataclass(frozen=True)
class CremaDOptions:
    """Option of CREMA-D: which label becomes the column ``label``."""

    votes: Literal["none", "voice", "face", "multimodal"] = field(
        default="none",
        metadata={"help": "which raters' votes are the label; none: the acted emotion"},
    )


class CremaD(Dataset):
    """CREMA-D: 7,442 clips, flv and wav in separate folders; the label is in the file's name."""

    Options: ClassVar[type] = CremaDOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="CREMA-D",
        where="https://github.com/CheyneyComputerScience/CREMA-D (git lfs)",
        licence="ODbL 1.0 and DbCL 1.0",
        source="Cao et al. 2014 (10.1109/TAFFC.2014.2336244) and the repository's tables",
        layout=f"{NAMES}, processedResults/{SUMMARY} (and {TABULATED}), VideoFlash/*.flv, "
        "AudioWAV/*.wav",
        faults=(
            "1076_MTI_SAD_XX has no sound and 1076_MTI_NEU_XX hardly any",
            "1064_IEO_DIS_MD lasts a minute and holds every emotion; 1064_TIE_SAD_XX has no length",
            "the most votes are shared by two or more emotions in 644 (voice), 470 (face) and "
            "420 (both) clips; with -o votes=… these are unlabelled",
            "without git lfs the media are text files of 130 bytes; they are listed as broken",
        ),
    )

    @classmethod
    def stated(cls, options: CremaDOptions) -> Stated:
        """Return the paper's counts of clips, actors and acted emotions."""
        stated: dict[str, dict[str, int]] = {"clips": {"all": 7442}, "speakers": {"all": 91}}
        if options.votes == "none":
            stated["label"] = {name: 1271 for name in CODES.values()} | {"neutral": 1087}
        return stated

    @classmethod
    def read(cls, tree: Tree, options: CremaDOptions) -> Download:
        """Read the names of clips from the table of sentences, or else from the files."""
        names_file = tree.find(NAMES)
        stems = _stems(tree, names_file)
        if not stems:
            raise not_here(cls.card, tree)
        votes = Votes.of(tree)
        split = by_speaker(stem[:4] for stem in stems)
        rows = [_row(tree, stem, split) | votes.row(stem) for stem in stems]
        if options.votes != "none":
            for row in rows:
                row["label"] = majority(row, options.votes)
        tables = {NAMES: names_file, SUMMARY: tree.find(SUMMARY)}
        return Download(
            rows,
            missing=tuple(name for name, file in tables.items() if file is None),
            tolerated=frozenset({tree.expect(SOUNDLESS, "AudioWAV")}),
            left_out={"the same sound as mp3": [f for f in tree.media if f.endswith(".mp3")]},
            notes=(*votes.notes(rows), NOTE),
        )


def _stems(tree: Tree, names_file: str | None) -> list[str]:
    """Return the stems of the clips in the table of sentences; without that table, of the files
    that are there."""
    stems = [PurePosixPath(file).stem for file in tree.media]
    if names_file is not None:
        stems = [line["Filename"] for line in tree.records(names_file, ["Filename"])]
    return sorted({stem for stem in stems if _parts(stem)})


def _parts(stem: str) -> tuple[str, str, str, str] | None:
    """Split ``1001_IEO_ANG_HI`` into actor, sentence, emotion and level; None: another name."""
    parts = stem.split("_")
    if len(parts) != 4 or parts[1] not in SENTENCES or parts[2] not in CODES:
        return None
    return parts[0], parts[1], parts[2], parts[3]


def _row(tree: Tree, stem: str, split: Mapping[str, str]) -> Row:
    """Return the row of one clip."""
    parts = _parts(stem)
    assert parts is not None
    actor, sentence, emotion, level = parts
    return {
        "id": stem,
        "video": tree.expect(f"{stem}.flv", "VideoFlash"),
        "audio": tree.expect(f"{stem}.wav", "AudioWAV"),
        "text": SENTENCES[sentence], "split": split[actor], "speaker": actor,
        "label": CODES[emotion], "acted": CODES[emotion], "level": LEVELS.get(level, ""),
    }  # fmt: skip
