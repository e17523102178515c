"""What a fit or a search was asked, in a form that can be compared with the next one's."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from emo.heads.data.data import Data, Split
from emo.heads.options import FitOptions

_APART = ("search", "seeds", "threads")
"""More trials, seeds or threads are the same question."""
HASHED = ("clips", "labels", "dialogues", "tokens", "recipes")
"""What of a question is a hash."""


def question_of(data: Data, options: FitOptions) -> dict[str, Any]:
    """Every option that changes a head, and hashes of the clips and of the streams' recipes.

    Of the clips: ids, labels, dialogues and how many tokens each has, split by split.
    """
    asked = dataclasses.asdict(options)
    splits = data.splits.items()
    targets = [dataclasses.asdict(target) for target in data.targets]
    recipes = {source.name: source.recipe.fingerprint for source in data.sources}
    facts = {name: value for name, value in asked.items() if name not in _APART}
    found = {
        **facts,
        "target": options.targets,
        "streams": tuple(data.dims),  # named or taken as all there are
        "clips": _hash({name: split.ids for name, split in splits}),
        "labels": _hash([targets, {name: _labels(split) for name, split in splits}]),
        "dialogues": _hash({name: _dialogues(split) for name, split in splits}),
        "tokens": _hash({name: _tokens(split) for name, split in splits}),
        "recipes": _hash(recipes),
    }
    same: dict[str, Any] = json.loads(json.dumps(found, sort_keys=True, default=str))
    return same


def name_of(question: dict[str, Any]) -> str:
    """16 hexadecimal digits."""
    return _hash(question)


def name_of_folds(questions: Sequence[dict[str, Any]], by: str) -> str:
    """The same of a cross-validation, from the questions of its folds."""
    return _hash({"by": by, "folds": questions})


def name_of_run(question: str, options: FitOptions) -> str:
    """The same of a whole run, in which the number of seeds and trials counts, too."""
    return _hash([question, options.seeds, options.search])


def _labels(split: Split) -> dict[str, str]:
    return {target: answers.labels_hash for target, answers in split.answers.items()}


def _dialogues(split: Split) -> list[Any]:
    turns = split.batch.turns
    return [split.dialogues, None if turns is None else _hash_of_tensor(turns)]


def _tokens(split: Split) -> dict[str, str]:
    return {name: _hash_of_tensor(ragged.lengths) for name, ragged in split.batch.streams.items()}


def _hash(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash_of_tensor(tensor: Tensor) -> str:
    digest = hashlib.sha256(str(tuple(tensor.shape)).encode())
    digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
