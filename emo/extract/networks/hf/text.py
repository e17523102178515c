"""Turn a text into the ids that a transformers model reads, with the model's own tokenizer."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from emo.extract.networks.hf.kinds import PADDED_LENGTH
from emo.extract.networks.hf.processors import ModelInput, load_processor

_NO_LIMIT = 100_000  # tokenizers without a limit report about 10^30


class TextInputs:
    """Turn a text into ids; a text that is too long for the model is cut into several pieces.

    The model gets everything that its tokenizer returns (``attention_mask``, ``token_type_ids``
    …), because some models read it: XLNet and Funnel mark their special tokens by a type.
    """

    def __init__(
        self, folder: Path, names: frozenset[str], *, positions: int | None, is_padded: bool
    ) -> None:
        """Load the tokenizer.

        Args:
            folder: folder of the tokenizer's files.
            names: inputs that the model takes.
            positions: ids that the model has positions for; None: any number.
            is_padded: whether each text is padded to the full length.
        """
        from transformers import AutoTokenizer

        self._tokenizer = load_processor(AutoTokenizer, folder)
        self._names = names & set(self._tokenizer.model_input_names)
        limits = (positions or _NO_LIMIT, self._tokenizer.model_max_length)
        self._limit = int(min(*limits, PADDED_LENGTH if is_padded else _NO_LIMIT))
        self._is_padded = is_padded
        self._lock = threading.Lock()  # a fast tokenizer cannot truncate in two threads at once

    def inputs(self, text: str) -> list[ModelInput]:
        """Return the inputs of each piece of a text, int64 (1, L) each."""
        with self._lock:
            pieces = self._pieces(text)
        return [self._input(piece) for piece in pieces]

    def _pieces(self, text: str) -> list[Mapping[str, list[int]]]:
        """Tokenize a text; each piece has its own special tokens."""
        how: dict[str, Any] = {
            "truncation": True, "max_length": self._limit, "return_attention_mask": True,
            "padding": "max_length" if self._is_padded else False,
        }  # fmt: skip
        if self._tokenizer.is_fast:
            made = self._tokenizer(text, return_overflowing_tokens=True, **how)
            count = len(made["input_ids"])
            return [{name: rows[index] for name, rows in made.items()} for index in range(count)]
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        room = self._limit - self._tokenizer.num_special_tokens_to_add()
        if len(ids) <= room:
            return [self._tokenizer(text, **how)]
        starts = range(0, len(ids), room)  # slow tokenizers would drop what is too long
        return [self._tokenizer.prepare_for_model(ids[low : low + room], **how) for low in starts]

    def _input(self, piece: Mapping[str, list[int]]) -> ModelInput:
        tensors = {
            name: torch.tensor([piece[name]], dtype=torch.int64)
            for name in sorted(self._names)
            if name in piece
        }
        own = torch.tensor([piece["attention_mask"]], dtype=torch.bool) if self._is_padded else None
        return ModelInput(tensors, own)
