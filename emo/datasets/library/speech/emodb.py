"""EmoDB (Berlin): ten actors say ten German sentences in seven emotions."""

import re
from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.splits import NOTE, by_speaker
from emo.datasets.tree import Tree

CLIPS = 535
NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<take>[a-z])")
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness",
    "N": "neutral",
}  # fmt: skip
TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


class EmoDb(Dataset):
    """EmoDB: 535 recordings whose names contain speaker, sentence and emotion."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="EmoDB",
        where="http://emodb.bilderbar.info (download.zip)",
        licence="none stated; free to use, cite the paper",
        source="Burkhardt et al. 2005 (10.21437/Interspeech.2005-446)",
        layout="wav/03a01Fa.wav (speaker 03, sentence a01, F: happiness, take a)",
        faults=(
            "the letters are German: W anger, L boredom, A fear, F happiness, T sadness",
            "classes are uneven, 46 to 127 recordings; five women and five men only",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts of recordings that at least 80 % of the listeners recognised."""
        return {
            "clips": {"all": CLIPS},
            "speakers": {"all": 10},
            "label": {
                "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71,
                "neutral": 79, "sadness": 62,
            },
        }  # fmt: skip

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read every file with a name of EmoDB's form; missing files are counted, but not named."""
        stems = {file.rpartition("/")[2].rpartition(".")[0]: file for file in reversed(tree.media)}
        found = {stem: match for stem in sorted(stems) if (match := NAME.fullmatch(stem))}
        if not found:
            raise not_here(cls.card, tree)
        split = by_speaker(match["speaker"] for match in found.values())
        rows: list[Row] = [
            {
                "id": stem,
                "audio": stems[stem],
                "text": TEXTS.get(match["text"], ""),
                "split": split[match["speaker"]],
                "speaker": match["speaker"],
                "label": EMOTIONS[match["emotion"]],
            }
            for stem, match in found.items()
        ]
        lacking = CLIPS - len(rows)
        missing = (f"{lacking} of {CLIPS} recordings (their names follow no rule)",)
        return Download(rows, missing=missing if lacking > 0 else (), notes=(NOTE,))
