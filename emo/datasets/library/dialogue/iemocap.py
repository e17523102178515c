"""IEMOCAP: ten actors in dialogues of two, five sessions, scripted and improvised."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.labels import mapped, mapped_counts
from emo.datasets.tree import Tree

TURN = re.compile(
    r"\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\t(?P<id>Ses\d\d\w+)\t(?P<label>\w+)\t"
    r"\[(?P<valence>[\d.-]+), (?P<activation>[\d.-]+), (?P<dominance>[\d.-]+)\]"
)
SAID = re.compile(r"(?P<id>Ses\d\d\w+) \[[^\]]*\]: ?(?P<text>.*)")
COUNTS = {
    "ang": 1103, "dis": 2, "exc": 1041, "fea": 40, "fru": 1849, "hap": 595, "neu": 1708, "oth": 3,
    "sad": 1084, "sur": 107, "xxx": 2507,
}  # fmt: skip
FOUR = {name: "" for name in COUNTS} | {n: n for n in ("ang", "hap", "neu", "sad")} | {"exc": "hap"}
SIX = FOUR | {"exc": "exc", "fru": "fru"}
MAPS: dict[str, dict[str, str]] = {"all": {}, "four": FOUR, "six": SIX}
"""Value of the option labels -> published class -> class of the manifest; ``""``: no label."""
SPLIT_OF_SESSION = {"4": "val", "5": "test"}
"""Session -> split; the other sessions are train."""


@dataclass(frozen=True)
class IemocapOptions:
    """Options of IEMOCAP: which classes, and which media."""

    labels: Literal["all", "four", "six"] = field(
        default="all",
        metadata={
            "help": "four: ang, hap (with exc), neu, sad; six: ang, exc, fru, hap, neu, sad; "
            "other turns stay without a label"
        },
    )
    media: Literal["sentences", "dialogues"] = field(
        default="sentences",
        metadata={"help": "sentences: the wav of each turn; dialogues: its stretch of the avi"},
    )


class Iemocap(Dataset):
    """IEMOCAP: 10,039 turns of 151 dialogues."""

    Options: ClassVar[type] = IemocapOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="IEMOCAP",
        where="https://sail.usc.edu/iemocap (release form)",
        licence="research only, by agreement with USC",
        source="Busso et al. 2008 (10.1007/s10579-008-9076-6); classes as counted by its users",
        layout="Session1/dialog/EmoEvaluation/*.txt, dialog/transcriptions/*.txt, "
        "sentences/wav/<dialogue>/<turn>.wav, dialog/avi/DivX/*.avi … Session5",
        faults=(
            "no splits are stated: session 4 is val, 5 is test; --cv session is what papers do",
            "xxx (2,507 turns) means that the raters did not agree; -o labels=four or six, or "
            "--map label xxx=, leaves them without a label",
            "an avi shows both actors side by side; the F in Ses01F says who wore the markers, "
            "not who speaks",
            "papers differ in the classes: four with exc as hap are 5,531 turns",
        ),
    )

    @classmethod
    def stated(cls, options: IemocapOptions) -> Stated:
        """Return the paper's counts of turns and dialogues, and the evaluation files' classes."""
        stated = {
            "clips": {"all": 10039}, "dialogues": {"all": 151}, "speakers": {"all": 10},
            "label": COUNTS,
        }  # fmt: skip
        return mapped_counts(stated, {"label": MAPS[options.labels]})

    @classmethod
    def read(cls, tree: Tree, options: IemocapOptions) -> Download:
        """Read the turns of every evaluation file, in the order of their start times."""
        files = [f for f in tree.files if re.search(r"dialog/EmoEvaluation/Ses[^/]*\.txt$", f)]
        if not files:
            raise not_here(cls.card, tree)
        rows, missing = [], []
        for file in files:
            base = file.split("dialog/EmoEvaluation/")[0]
            said = f"{base}dialog/transcriptions/{PurePosixPath(file).name}"
            texts = _texts(tree, said)
            if not texts:
                missing.append(said)
            rows += list(_turns(tree, file, base, texts, options))
        found = {row["session"] for row in rows}
        missing += [f"Session{n}" for n in "12345" if n not in found]
        rows = mapped(rows, {"label": MAPS[options.labels]}, {"label": COUNTS})
        left_out = _other_media(tree, options)
        return Download(rows, missing=tuple(missing), left_out=left_out)


def _turns(
    tree: Tree, file: str, base: str, texts: dict[str, str], options: IemocapOptions
) -> Iterator[Row]:
    """Return the rows of one dialogue.

    Args:
        tree: the files of the download.
        file: path of the evaluation file.
        base: path of the session's folder, with a ``/`` at the end, or empty.
        texts: turn id -> text.
        options: options of the data set.
    """
    dialogue = PurePosixPath(file).stem
    text = tree.text(file, errors="replace")
    found = sorted(TURN.finditer(text), key=lambda turn: (float(turn["start"]), turn["id"]))
    for number, turn in enumerate(found):
        name, session = turn["id"], dialogue[4]
        yield {
            "id": name,
            **_media(base, dialogue, turn, options),
            "text": texts.get(name, ""),
            "split": SPLIT_OF_SESSION.get(session, "train"),
            "dialogue": dialogue,
            "turn": str(number),
            "speaker": f"{session}{name.rpartition('_')[2][0]}",  # Ses01F_impro01_M003 -> 1M
            "session": session,
            "kind": "scripted" if "script" in dialogue else "improvised",
            "label": turn["label"],
            **{n: turn[n] for n in ("valence", "activation", "dominance")},
        }


def _media(base: str, dialogue: str, turn: re.Match[str], options: IemocapOptions) -> Row:
    """Return the columns that say where the media of a turn are."""
    if options.media == "sentences":
        return {"audio": f"{base}sentences/wav/{dialogue}/{turn['id']}.wav"}
    return {
        "video": f"{base}dialog/avi/DivX/{dialogue}.avi",
        "start_seconds": turn["start"],
        "end_seconds": turn["end"],
    }


def _texts(tree: Tree, file: str) -> dict[str, str]:
    """Read a transcription as turn id -> text; empty: there is no such file."""
    if file not in tree.all:
        return {}
    text = tree.text(file, errors="replace")
    return {line["id"]: line["text"].strip() for line in SAID.finditer(text)}


def _other_media(tree: Tree, options: IemocapOptions) -> dict[str, list[str]]:
    """Return the media that are not used with these options, with the reason."""
    wanted = "/sentences/" if options.media == "sentences" else "/avi/"
    return {"media of another kind": [f for f in tree.media if wanted not in f"/{f}"]}
