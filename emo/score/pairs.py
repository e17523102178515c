"""Check that a JSON document is conversations with emotion–cause pairs of SemEval-2024 Task 3."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import ScoreError
from emo.manifest.conversations import PAIRS


def check_conversations(document: object, path: Path) -> None:
    """Check that each conversation occurs once and has a list of pairs.

    Args:
        document: gold or predictions, parsed from JSON.
        path: the file, for error messages.

    Raises:
        ScoreError: the document has another form.
    """
    if not isinstance(document, list) or not all(map(_is_conversation, document)):
        raise ScoreError(
            f'{path}: expected [{{"conversation_ID": 1, "{PAIRS}": [["3_joy", "2"]]}}, …] as '
            "SemEval-2024 Task 3 takes it"
        )
    without = next((one["conversation_ID"] for one in document if PAIRS not in one), None)
    if without is not None:
        raise ScoreError(
            f"{path}: conversation {without} has no {PAIRS}; expected a list of pairs, empty if "
            "there are none (a file whose labels are hidden cannot be scored)"
        )
    numbers = Counter(one["conversation_ID"] for one in document)
    for number, count in numbers.items():
        if count > 1:
            raise ScoreError(f"{path}: conversation {number} occurs {count} times; keep one")
    for one in document:
        where = f"{path}: conversation {one['conversation_ID']}"
        if not isinstance(one[PAIRS], list):
            raise ScoreError(f"{where}: expected a list as {PAIRS}, got {_shown(one[PAIRS])}")
        for pair in one[PAIRS]:
            if not _is_pair(pair):
                raise ScoreError(
                    f'{where}: expected a pair like ["3_joy", "2"], got {_shown(pair)}'
                )


def check_words(conversations: list[Mapping[str, Any]], path: Path) -> None:
    """Check that gold with causes as words has the utterances that contain these words.

    Args:
        conversations: gold of subtask 1.
        path: the file, for error messages.

    Raises:
        ScoreError: an utterance is missing.
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
                    f"{path}: conversation {one['conversation_ID']}: cause {cause!r}: the "
                    f"conversation has no text of utterance {number}"
                )


def _is_conversation(one: object) -> bool:
    """Return whether an entry has the number of a conversation."""
    return isinstance(one, dict) and isinstance(one.get("conversation_ID"), int | str)


def _is_pair(pair: object) -> bool:
    """Return whether an entry has the form ``["3_joy", "2"]``."""
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    first, second = pair
    is_cause = isinstance(second, int | str) and re.match(r"\d+(_|$)", str(second))
    return bool(isinstance(first, str) and re.match(r"\d+_", first) and is_cause)


def _shown(value: object) -> str:
    """Return the first 60 characters of a value as JSON, for an error message."""
    return json.dumps(value, ensure_ascii=False)[:60]
