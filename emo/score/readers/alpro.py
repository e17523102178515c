"""Read ALPRO's results_all.json: answers to questions, as numbers, some of them written twice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emo.errors import ScoreError
from emo.manifest.tables.text_table import TextTable
from emo.score.readers.answers import read_json, read_table


def read_answers(path: Path, answers: Path | None) -> tuple[TextTable, tuple[str, ...]]:
    """Read a table of predictions, or ALPRO's answers; return it and notes for people.

    Args:
        path: the file.
        answers: JSON file with the number of each answer (ALPRO's ans2label.json); None: the
            predictions are answers.

    Raises:
        ScoreError: the file cannot be read.
    """
    if path.suffix.lower() == ".json":
        document = read_json(path)
        if _is_alpro(document):
            return _alpro_table(document, _names_of(answers, path), path)
    if answers is not None:
        raise ScoreError(
            f"{path}: --answers goes with ALPRO's results_all.json, whose entries have question_id "
            "and answer"
        )
    return read_table(path), ()


def _is_alpro(document: Any) -> bool:
    """Return whether a document is a list of ALPRO's answers."""
    return (
        isinstance(document, list)
        and bool(document)
        and all(
            isinstance(row, dict) and {"question_id", "answer"} <= row.keys() for row in document
        )
    )


def _names_of(answers: Path | None, path: Path) -> dict[int, str] | None:
    """Return number -> answer; None: no file is given.

    Raises:
        ScoreError: the file does not give each answer a number of its own.
    """
    if answers is None:
        return None
    document = read_json(answers)
    numbers = document.values() if isinstance(document, dict) else ()
    if not numbers or not all(type(number) is int for number in numbers):
        raise ScoreError(f'{answers}: expected {{"answer": its number, …}}')
    if len(set(numbers)) < len(document):
        raise ScoreError(f"{answers}: two answers have the same number")
    return {number: answer for answer, number in document.items()}


def _alpro_table(
    document: Sequence[Mapping[str, Any]], names: Mapping[int, str] | None, path: Path
) -> tuple[TextTable, tuple[str, ...]]:
    """Return the answers as a table, each question once."""
    found: dict[str, str] = {}
    origins: dict[str, str] = {}
    for number, row in enumerate(document, 1):
        question, answer = str(row["question_id"]), row["answer"]
        if not isinstance(answer, str):
            if names is None:
                raise ScoreError(
                    f"{path}: entry {number}: the answer is the number {answer!r}; give the file "
                    "with the numbers of the answers: --answers ans2label.json"
                )
            if answer not in names:
                raise ScoreError(f"{path}: entry {number}: no answer has the number {answer!r}")
            answer = names[answer]
        if found.setdefault(question, answer) != answer:
            raise ScoreError(
                f"{path}: question {question!r} has two answers: {origins[question]} and entry "
                f"{number}"
            )
        origins.setdefault(question, f"entry {number}")
    twice = len(document) - len(found)
    notes = (
        f"{twice:,} of {len(document):,} entries repeat a question, as the padding of several "
        "processes does; each question counts once"
    )
    table = TextTable({"id": [*found], "prediction": [*found.values()]}, [*origins.values()])
    return table, (notes,) if twice else ()
