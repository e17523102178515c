"""`emo submit semeval2024`: write the file that SemEval-2024 Task 3 accepts; check its rules."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import ScoreError, naming_file, plural
from emo.machine.whole_file import whole_file
from emo.score.readers.run_folder import conversations_of, utterances_of
from emo.score.semeval import EMOTIONS

PAIRS_FILE = "Subtask_2_pred.json"
NO_SPANS = (
    "Subtask_1_pred.json: not written; subtask 1 needs the words of the cause, and this run "
    "predicts which utterance it is"
)


@dataclass(frozen=True)
class Submission:
    """Result of writing a submission."""

    path: Path
    """Path of the file that was written."""
    dialogues: int
    pairs: int

    def table(self) -> str:
        """Return the result as text for people."""
        return (
            f"{plural(self.pairs, 'pair')} in {plural(self.dialogues, 'dialogue')} -> {self.path}\n"
            "checked: dialogues complete, emotions known, utterances in range\n" + NO_SPANS
        )


def submit_semeval(
    run: Path, out: Path, *, split: str = "test", seed: str | None = None,
    manifest: Path | None = None, predictions: Path | None = None,
) -> Submission:  # fmt: skip
    """Write the predicted pairs of a run.

    Args:
        run: folder of a run of `emo fit-head` with a target of pairs.
        out: folder for the file; it is made when it does not exist.
        split: the split of the dialogues.
        seed: seed of the run; None: the one whose head it kept.
        manifest: the manifest of the dialogues; None: the one in ``run.json``.
        predictions: a file that `emo predict` wrote for ``manifest``; None: the run's own
            predictions.

    Raises:
        EmoError: the run has no pairs, or they break a rule of the task.
    """
    found = conversations_of(
        run, split=split, seed=seed, manifest=manifest, predictions=predictions
    )
    check_pairs(found, utterances_of(run, split=split, manifest=manifest), str(run))
    path = out / PAIRS_FILE
    _write(path, json.dumps(found, indent=1) + "\n")
    return Submission(path, len(found), sum(len(one["emotion-cause_pairs"]) for one in found))


def check_pairs(
    found: Sequence[Mapping[str, Any]], utterances: Mapping[int, set[int]], where: str
) -> None:
    """Check predicted pairs by the rules of the task's scorer.

    Args:
        found: predicted dialogues with their pairs, as SemEval's JSON.
        utterances: number of a dialogue -> numbers of its utterances.
        where: start of error messages.

    Raises:
        ScoreError: a dialogue is missing, unknown or occurs twice, an emotion is unknown, or
            an utterance does not exist.
    """
    numbers = [one["conversation_ID"] for one in found]
    for number in utterances:
        if numbers.count(number) != 1:
            raise ScoreError(
                f"{where}: expected conversation {number} once, found it {numbers.count(number)} "
                "times"
            )
    for one in found:
        number = one["conversation_ID"]
        if number not in utterances:
            raise ScoreError(f"{where}: conversation {number} is not in the split")
        for first, second in one["emotion-cause_pairs"]:
            utterance, _, emotion = first.partition("_")
            if emotion not in EMOTIONS:
                raise ScoreError(
                    f"{where}: conversation {number}: emotion {emotion!r}; expected one of "
                    f"{', '.join(EMOTIONS)}"
                )
            if not {int(utterance), int(second)} <= utterances[number]:
                raise ScoreError(
                    f"{where}: conversation {number}: pair {first}, {second}: the conversation has "
                    f"utterances {min(utterances[number])} to {max(utterances[number])}"
                )


def _write(path: Path, text: str) -> None:
    """Write a file that appears whole; make its folder."""
    with naming_file(path, ScoreError):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, ScoreError) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
