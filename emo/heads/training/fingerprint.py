"""The question of a fit: all options and clips that decide its result, and hashes of it.

Two fits with the same question give the same heads. ``--resume`` and ``--search`` continue only
work on the same question, and ``run.json`` keeps a hash of it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from emo.heads.data.data import Data, Split
from emo.heads.options import FitOptions

REPORTED = ("interval_over", "all_probabilities", "by_columns")
"""Options that change what a run reports, but not how its head is trained."""
_IGNORED = ("search", "seeds", "threads", "cut", "allow_seen", *REPORTED)
"""Options that are no part of a question: the number of trials, of seeds and of threads, and those
that only change what is reported; how clips are cut, because the clips of each split are part of
it; what may be evaluated."""
HASHED_FIELDS = ("clips", "labels", "dialogues", "tokens", "recipes")
"""Fields of a question that are hashes."""


def question_of(data: Data, options: FitOptions) -> dict[str, Any]:
    """Return the question of a fit: options that change a head, hashes of clips and recipes.

    The hashes cover the ids, labels, dialogues and numbers of tokens of the clips of each split,
    and the recipes of the streams; where a stream is scaled by speaker, the speakers of all clips.
    """
    splits = data.splits.items()
    targets = [dataclasses.asdict(target) for target in data.targets]
    recipes = {source.name: source.recipe.fingerprint for source in data.sources}
    facts = {name: value for name, value in options.flat().items() if name not in _IGNORED}
    found = {
        **facts,
        "target": options.targets,
        "tasks": {},  # ``labels`` has the task of each target, named or told by the cells
        "streams": tuple(data.dims),  # the same whether they were named or taken as all
        "clips": _hash({name: split.ids for name, split in splits}),
        "labels": _hash([targets, {name: _labels(split) for name, split in splits}]),
        "dialogues": _hash({name: _dialogues(split) for name, split in splits}),
        "tokens": _hash(
            {name: _tokens(split) for name, split in splits}
            | ({"speakers": data.speakers.key} if data.speakers else {})
            | {f"{name} shared": _hash(split.shared) for name, split in splits if split.shared}
        ),
        "recipes": _hash(recipes),
    }
    same: dict[str, Any] = json.loads(json.dumps(found, sort_keys=True, default=str))
    return same


def hash_of_question(question: dict[str, Any]) -> str:
    """Return the hash of a fit's question, 16 hexadecimal digits."""
    return _hash(question)


def hash_of_folds(questions: Sequence[dict[str, Any]], by: str) -> str:
    """Return the hash of a cross-validation from its folds' questions, 16 hexadecimal digits."""
    return _hash({"by": by, "folds": questions})


def hash_of_run(question: str, options: FitOptions) -> str:
    """Return the hash of a whole run, which covers numbers of seeds and trials and reports too.

    Args:
        question: hash of the fit's question, or of the cross-validation's folds.
        options: options of the run.
    """
    defaults = FitOptions()
    reported = {
        name: value
        for name in REPORTED
        if (value := getattr(options, name)) != getattr(defaults, name)
    }
    return _hash([question, options.seeds, options.search, *([reported] if reported else [])])


def _labels(split: Split) -> dict[str, str]:
    """Return a hash of the split's labels by target."""
    return {target: answers.labels_hash for target, answers in split.answers.items()}


def _dialogues(split: Split) -> list[Any]:
    """Return the dialogue of each clip, and a hash of the order of turns."""
    turns = split.batch.turns
    return [split.dialogues, None if turns is None else _hash_of_tensor(turns)]


def _tokens(split: Split) -> dict[str, str]:
    """Return a hash of the numbers of tokens of the clips, by stream."""
    return {name: _hash_of_tensor(ragged.lengths) for name, ragged in split.batch.streams.items()}


def _hash(facts: Any) -> str:
    """Return a hash of anything that JSON can hold, 16 hexadecimal digits."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash_of_tensor(tensor: Tensor) -> str:
    """Return a hash of a tensor's shape and values, 16 hexadecimal digits."""
    digest = hashlib.sha256(str(tuple(tensor.shape)).encode())
    digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
