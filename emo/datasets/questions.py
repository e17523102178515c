"""Questions about videos: MSR-VTT-QA and MSVD-QA, as JSON or as ALPRO's JSON lines.

Both have a row for each question, ``id, text, clip, split, answer, question_word``; ``clip`` is the
id of the row of the video in the manifest of videos.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from emo.datasets.dataset import DatasetCard, Download, Row, not_here
from emo.datasets.tree import Tree
from emo.machine.untrusted.kinds import Fields, ListOf, OneOf
from emo.manifest.cells import SPLITS
from emo.manifest.questions import OTHER_WORD, question_word

_QUESTION = Fields(
    {"question": str, "answer": str, "video_id": OneOf((str, int))}, {"id": OneOf((str, int))}
)
_NAMES = {
    split: (f"{split}_qa.json", f"{split}.jsonl", f"{split}_qa.jsonl") for split in SPLITS
}  # fmt: skip


@dataclass(frozen=True)
class QuestionsOptions:
    """Option of the sets of questions: which table is written."""

    rows: Literal["videos", "questions"] = field(
        default="videos",
        metadata={
            "help": "videos: a row for each video, to extract its features; questions: a row for "
            "each question, whose column clip is the id of its video"
        },
    )


def read_questions(
    tree: Tree,
    card: DatasetCard,
    options: QuestionsOptions,
    *,
    video_of: Callable[[str], str],
    path_of: Callable[[str], str],
    words: Mapping[str, int],
) -> Download:
    """Read the questions of all splits, or the videos that they are about.

    Args:
        tree: the files of the download.
        card: the card of the data set, for the error message.
        options: which rows are wanted.
        video_of: turns the ``video_id`` of a question into the id of the video.
        path_of: turns the id of a video into the path where its file should be.
        words: number of test questions by first word, as papers state them.

    Raises:
        DatasetError: no file of questions is here, or one is not as published.
    """
    files = {split: tree.find(*_NAMES[split]) for split in SPLITS}
    if not any(files.values()):
        raise not_here(card, tree)
    questions: list[Row] = []
    for split, file in files.items():
        for number, each in enumerate(tree.document(file, ListOf(_QUESTION)) if file else ()):
            questions.append(_question_row(each, split, number, video_of))
    missing = tuple(_NAMES[split][0] for split, file in files.items() if file is None)
    notes = _notes(questions, words)
    if options.rows == "questions":
        named = {"they are rows of -o rows=videos": list(tree.media)} if tree.media else {}
        return Download(questions, missing=missing, left_out=named, notes=notes)
    videos = {row["clip"]: row["split"] for row in questions}
    rows = [{"id": name, "video": path_of(name), "split": split} for name, split in videos.items()]
    return Download(rows, missing=missing, notes=notes)


def _question_row(
    each: Mapping[str, Any], split: str, number: int, video_of: Callable[[str], str]
) -> Row:
    """Return the row of one question; without an id of its own it is numbered in its split."""
    return {
        "id": f"q{each['id']}" if "id" in each else f"{split}{number}",
        "text": each["question"],
        "clip": video_of(str(each["video_id"])),
        "split": split,
        "answer": each["answer"],
        "question_word": question_word(each["question"]),
    }


def _notes(questions: list[Row], words: Mapping[str, int]) -> tuple[str, ...]:
    """Return a line on the first words of the test questions, beside what papers state."""
    found = Counter(row["question_word"] for row in questions if row["split"] == "test")
    counts = [f"{word} {found[word]:,} ({stated:,})" for word, stated in words.items()]
    more = f", {OTHER_WORD} {found[OTHER_WORD]:,}" if found[OTHER_WORD] else ""
    return (
        f"test questions by first word, and what papers state: {', '.join(counts)}{more}; "
        f"{sum(found.values()):,} in all ({sum(words.values()):,})",
    )
