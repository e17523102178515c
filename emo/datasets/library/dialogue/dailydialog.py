"""DailyDialog: dialogues from pages for learners of English; text alone."""

from collections.abc import Iterator
from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated, not_here
from emo.datasets.repeats import RepeatsOptions, Unit, without_repeats
from emo.datasets.tree import Tree
from emo.errors import DatasetError

FOLDERS = {"train": "train", "val": "validation", "test": "test"}
EMOTIONS = ("no_emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Emotions by their number in the files."""
ACTS = ("", "inform", "question", "directive", "commissive")
"""Dialogue acts by their number in the files."""
END = "__eou__"
"""Mark at the end of each utterance."""
SHORT = ("train", 7852, 11)
"""Split and line of the published dialogue that has a label fewer than utterances, and its
labels."""


class DailyDialog(Dataset):
    """DailyDialog: 102,979 utterances of 13,118 dialogues, as text."""

    Options: ClassVar[type] = RepeatsOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="DailyDialog",
        where="http://yanran.li/dailydialog (ijcnlp_dailydialog.zip; in it train.zip, "
        "validation.zip and test.zip)",
        licence="CC BY-NC-SA 4.0",
        source="Li et al. 2017 (I17-1099) for the dialogues; utterances and emotions as counted in "
        "the published files",
        layout="train/dialogues_train.txt, train/dialogues_emotion_train.txt, "
        "train/dialogues_act_train.txt (unpack the three zip files); validation/, test/",
        faults=(
            "83 % of the utterances have no emotion: papers report micro F1 over the other six "
            "classes, and weighted F1 over all seven says little",
            "of the 1,000 test dialogues 93 are in train, too, and 4 in val; 69 of val are in "
            "train: -o repeats=drop leaves them out of the earlier split; train repeats 569 of "
            "its own",
            "dialogue 7,852 of train has 12 utterances and 11 labels: the last is left out",
            "dialogues_text.txt (whole, without splits) is not read; speakers are not published",
            "checked against the published files (archives of 2017): all dialogues, utterances "
            "and emotions",
        ),
    )

    @classmethod
    def stated(cls, options: RepeatsOptions) -> Stated:
        """Return the counts of the published files; those without repeats are fewer."""
        return {
            "clips": {"train": 87170, "val": 8069, "test": 7740},
            "dialogues": {"train": 11118, "val": 1000, "test": 1000},
            "label": {
                "no_emotion": 85572, "anger": 1022, "disgust": 353, "fear": 174,
                "happiness": 12885, "sadness": 1150, "surprise": 1823,
            },
        }  # fmt: skip

    @classmethod
    def read(cls, tree: Tree, options: RepeatsOptions) -> Download:
        """Read a file of texts, one of emotions and, if it is there, one of acts for each split."""
        missing: list[str] = []
        dialogues: list[Unit] = []
        for split, folder in FOLDERS.items():
            names = {kind: f"dialogues_{kind}{folder}.txt" for kind in ("", "emotion_", "act_")}
            files = {kind: tree.find(name) for kind, name in names.items()}
            missing += [f"{folder}/{names[kind]}" for kind, file in files.items() if file is None]
            if files[""] and files["emotion_"]:
                dialogues += _dialogues(tree, split, files[""], files["emotion_"], files["act_"])
        if not dialogues:
            raise not_here(cls.card, tree)
        rows, notes = without_repeats(dialogues, options, what="dialogues")
        return Download(rows, missing=tuple(missing), notes=notes)


def _dialogues(
    tree: Tree, split: str, texts: str, emotions: str, acts: str | None
) -> Iterator[Unit]:
    """Return the dialogues of one split.

    Args:
        tree: the files of the download.
        split: such as ``train``.
        texts: path of the file of texts.
        emotions: path of the file of emotions.
        acts: path of the file of dialogue acts; None: there is none.

    Raises:
        DatasetError: the files do not have a line for each dialogue, or a number for each
            utterance.
    """
    said = _lines(tree, texts)
    felt = [_named(tree, emotions, n, line, EMOTIONS) for n, line in _numbered(tree, emotions)]
    done = [_named(tree, acts, n, line, ACTS) for n, line in _numbered(tree, acts)] if acts else []
    for file, found in ((emotions, felt), *([(acts, done)] if acts else [])):
        if len(found) != len(said):
            raise DatasetError(
                f"{tree.root / file}: expected {len(said):,} lines as in {texts}; found "
                f"{len(found):,}"
            )
    for number, line in enumerate(said):
        words = [piece.strip() for piece in line.split(END) if piece.strip()]
        if (split, number + 1, len(felt[number])) == SHORT:
            words = words[: len(felt[number])]
        for file, names in ((emotions, felt[number]), *([(acts, done[number])] if acts else [])):
            if len(names) != len(words):
                raise DatasetError(
                    f"{tree.root / file}, line {number + 1}: expected {len(words)} numbers, one "
                    f"for each utterance in {texts}; found {len(names)}"
                )
        rows = [
            {
                "id": f"{split}_{number:05}_{turn:02}",
                "text": text,
                "split": split,
                "dialogue": f"{split}_{number:05}",
                "turn": str(turn),
                "label": felt[number][turn],
                **({"act": done[number][turn]} if acts else {}),
            }
            for turn, text in enumerate(words)
        ]
        if rows:
            yield Unit("\n".join(words), rows)


def _lines(tree: Tree, file: str) -> list[str]:
    """Return the lines of a file that are not empty."""
    return [line for line in tree.text(file).split("\n") if line.strip()]


def _numbered(tree: Tree, file: str) -> Iterator[tuple[int, str]]:
    """Iterate over the lines of a file that are not empty, counted from 1."""
    return iter(enumerate(_lines(tree, file), 1))


def _named(tree: Tree, file: str, number: int, line: str, names: tuple[str, ...]) -> list[str]:
    """Return the names of the numbers in a line.

    Raises:
        DatasetError: a number has no name.
    """
    try:
        return [names[int(word) if word.isdecimal() else len(names)] for word in line.split()]
    except IndexError as error:
        raise DatasetError(
            f"{tree.root / file}, line {number}: expected numbers from 0 to {len(names) - 1}; "
            f"found {line.strip()[:40]!r}"
        ) from error
