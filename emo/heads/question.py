"""What a fit or a search was asked, in a form that can be compared with the next one's."""

import dataclasses
import hashlib
import json
from typing import Any

from emo.heads.data import Data
from emo.heads.options import FitOptions

_APART = ("search", "seeds", "threads")
"""More trials, seeds or threads are the same question."""


def question_of(data: Data, options: FitOptions) -> dict[str, Any]:
    """Every option that changes a head, and hashes of the clips and of the streams' recipes."""
    asked = dataclasses.asdict(options)
    ids = {name: split.ids for name, split in data.splits.items()}
    recipes = {source.name: source.recipe.fingerprint for source in data.sources}
    facts = {name: value for name, value in asked.items() if name not in _APART}
    found = {**facts, "clips": _hash(ids), "recipes": _hash(recipes)}
    same: dict[str, Any] = json.loads(json.dumps(found, sort_keys=True, default=str))
    return same


def name_of(question: dict[str, Any]) -> str:
    """16 hexadecimal digits."""
    return _hash(question)


def _hash(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
