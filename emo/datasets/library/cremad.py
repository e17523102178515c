"""CREMA-D: 91 actors say twelve sentences in six emotions; raters voted on voice, face and both."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from emo.datasets.dataset import Card, Dataset, Download, Row, Stated, not_here
from emo.datasets.splits import NOTE, by_speaker
from emo.datasets.tree import Tree
from emo.errors import DatasetError

EMOTIONS = {
    "A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad",
}  # fmt: skip
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
VOTES = {"voice": "VoiceVote", "face": "FaceVote", "multimodal": "MultiModalVote"}
SUMMARY, TABULATED, NAMES = "summaryTable.csv", "tabulatedVotes.csv", "SentenceFilenames.csv"
SOUNDLESS = "1076_MTI_SAD_XX.wav"
SEPARATOR = "|"
"""Between the winners of a tie."""


@dataclass(frozen=True)
class CremaDOptions:
    """Which label is the column ``label``."""

    votes: Literal["none", "voice", "face", "multimodal"] = field(
        default="none",
        metadata={"help": "label is what raters heard or saw; none: what was acted"},
    )


class CremaD(Dataset):
    """7,442 clips, flv and wav in separate trees; the label is in the file's name."""

    Options: ClassVar[type] = CremaDOptions
    card: ClassVar[Card] = Card(
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
        """The paper counts clips, actors, and what was acted."""
        stated: dict[str, dict[str, int]] = {"clips": {"all": 7442}, "speakers": {"all": 91}}
        if options.votes == "none":
            stated["label"] = {name: 1271 for name in EMOTIONS.values()} | {"neutral": 1087}
        return stated

    @classmethod
    def read(cls, tree: Tree, options: CremaDOptions) -> Download:
        """Names from the table of sentences, or else from the files."""
        names_file, summary, tabulated = (tree.find(n) for n in (NAMES, SUMMARY, TABULATED))
        stems = [PurePosixPath(file).stem for file in tree.media]
        if names_file is not None:
            stems = [line["Filename"] for line in tree.records(names_file, ["Filename"])]
        stems = sorted({stem for stem in stems if _parts(stem)})
        if not stems:
            raise not_here(cls.card, tree)
        votes = _votes(tree, summary) if summary else {}
        shares = _shares(tree, tabulated) if tabulated else {}
        split = by_speaker(stem[:4] for stem in stems)
        rows = [
            _acted(stem, split)
            | {"video": tree.expect(f"{stem}.flv", "VideoFlash")}
            | {"audio": tree.expect(f"{stem}.wav", "AudioWAV")}
            | _voted(votes.get(stem, {}), shares.get(stem, {}))
            for stem in stems
        ]
        if options.votes != "none":
            for row in rows:
                winners = row.get(f"{options.votes}_vote", "")
                row["label"] = "" if SEPARATOR in winners else winners
        missing = tuple(n for n, file in ((NAMES, names_file), (SUMMARY, summary)) if file is None)
        return Download(
            rows,
            missing=missing,
            tolerated=frozenset({tree.expect(SOUNDLESS, "AudioWAV")}),
            left_out={"the same sound as mp3": [f for f in tree.media if f.endswith(".mp3")]},
            notes=(*_notes(rows, bool(shares)), NOTE),
        )


def _parts(stem: str) -> tuple[str, str, str, str] | None:
    """``1001_IEO_ANG_HI`` -> actor, sentence, emotion, level; None: another name."""
    parts = stem.split("_")
    if len(parts) != 4 or parts[1] not in SENTENCES or parts[2] not in CODES:
        return None
    return parts[0], parts[1], parts[2], parts[3]


def _acted(stem: str, split: Mapping[str, str]) -> Row:
    parts = _parts(stem)
    assert parts is not None
    actor, sentence, emotion, level = parts
    return {
        "id": stem, "text": SENTENCES[sentence], "split": split[actor], "speaker": actor,
        "label": CODES[emotion], "acted": CODES[emotion], "level": LEVELS.get(level, ""),
    }  # fmt: skip


def _votes(tree: Tree, file: str) -> dict[str, dict[str, list[str]]]:
    """Clip -> kind of vote -> the emotions with the most votes."""
    return {
        line["FileName"]: {
            kind: [EMOTIONS[letter] for letter in line[column].split(":") if letter in EMOTIONS]
            for kind, column in VOTES.items()
        }
        for line in tree.records(file, ["FileName", *VOTES.values()])
    }


def _shares(tree: Tree, file: str) -> dict[str, dict[str, dict[str, float]]]:
    """Clip -> kind of vote -> emotion -> share of its votes.

    The table's first column has no name: 100001 is the voice of clip 1, 200001 its face, 300001
    both (the README's queryType).
    """
    shares: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    with (tree.root / file).open(encoding="utf-8-sig", newline="") as lines:
        for line in csv.DictReader(lines):
            try:
                kind = list(VOTES)[int(line[""]) // 100_000 - 1]
                counts = {name: float(line[letter]) for letter, name in EMOTIONS.items()}
                stem, total = line["fileName"], sum(counts.values())
            except (KeyError, ValueError, IndexError, TypeError) as error:
                raise DatasetError(
                    f"{tree.root / file}: expected the columns '' (100001 …), A to S and "
                    f"fileName; {error!r}. Is it the published table?"
                ) from error
            if total:
                shares[stem][kind] = {name: count / total for name, count in counts.items()}
    return shares


def _voted(votes: Mapping[str, list[str]], shares: Mapping[str, Mapping[str, float]]) -> Row:
    """Hard votes ``anger|fear``, and soft ones, a share for each emotion."""
    row: Row = {}
    for kind, winners in votes.items():
        row[f"{kind}_vote"] = SEPARATOR.join(winners)
        even = {name: float(name in winners) / len(winners) for name in EMOTIONS.values()}
        for name, share in shares.get(kind, even if winners else {}).items():
            row[f"{kind}_{name}"] = f"{share:.4g}"
    return row


def _notes(rows: list[Row], has_shares: bool) -> list[str]:
    ties = {kind: sum(SEPARATOR in row.get(f"{kind}_vote", "") for row in rows) for kind in VOTES}
    if not any(f"{kind}_vote" in row for kind in VOTES for row in rows):
        return []
    return [
        "ties of the most votes: " + ", ".join(f"{kind} {n:,}" for kind, n in ties.items()),
        "soft labels: shares of all votes"
        if has_shares
        else f"soft labels: {TABULATED} is not there, so the winners of {SUMMARY} share evenly",
    ]
