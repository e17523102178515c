"""Whether a JSON document is conversations with emotion–cause pairs, as SemEval-2024 Task 3 has."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import ScoreError

PAIRS = "emotion-cause_pairs"


def check_conversations(document: object, path: Path) -> None:
    """Each conversation stands once, with a list of pairs.

    Args:
        document: gold or predictions.
        path: named in errors.

    Raises:
        ScoreError: it is not so.
    """
    if not isinstance(document, list) or not all(map(_is_conversation, document)):
        raise ScoreError(
            f'{path}: expected [{{"conversation_ID": 1, "{PAIRS}": [["3_joy", "2"]]}}, …] as '
            "SemEval-2024 Task 3 takes it"
        )
    without = next((one["conversation_ID"] for one in document if PAIRS not in one), None)
    if without is not None:
        raise ScoreError(
            f"{path}: conversation {without} has no {PAIRS}; expected a list of them, empty "
            "where nothing is caused (a file whose labels are hidden cannot be scored)"
        )
    numbers = Counter(one["conversation_ID"] for one in document)
    for number, count in numbers.items():
        if count > 1:
            raise ScoreError(f"{path}: conversation {number} stands {count} times")
    for one in document:
        where = f"{path}: conversation {one['conversation_ID']}"
        if not isinstance(one[PAIRS], list):
            raise ScoreError(f"{where}: expected a list as {PAIRS}, got {_shown(one[PAIRS])}")
        for pair in one[PAIRS]:
            if not _is_pair(pair):
                raise ScoreError(f'{where}: a pair is not like ["3_joy", "2"]: {_shown(pair)}')


def check_words(conversations: list[Mapping[str, Any]], path: Path) -> None:
    """Gold that names the words of its causes has the utterances that they stand in.

    Raises:
        ScoreError: one is missing.
    """
    for one in conversations:
        try:
            known = {int(said["utterance_ID"]) for said in one["conversation"] if said["text"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ScoreError(
                f"{path}: conversation {one['conversation_ID']}: expected its utterances, each "
                f"with utterance_ID and text, to find the words of the causes in; {error!r}"
            ) from error
        for _, cause in one[PAIRS]:
            number = int(str(cause).partition("_")[0])
            if number not in known:
                raise ScoreError(
                    f"{path}: conversation {one['conversation_ID']}: cause {cause!r}: it has no "
                    f"words in an utterance {number}"
                )


def _is_conversation(one: object) -> bool:
    return isinstance(one, dict) and isinstance(one.get("conversation_ID"), int | str)


def _is_pair(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    first, second = pair
    is_cause = isinstance(second, int | str) and re.match(r"\d+(_|$)", str(second))
    return bool(isinstance(first, str) and re.match(r"\d+_", first) and is_cause)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[:60]
