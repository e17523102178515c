"""Load a model's own tokenizer, feature extractor or image processor; what they all make."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emo.errors import WeightsError
from emo.extract.models.config_checks import check_files
from emo.extract.networks.hf.no_code import FOREIGN_CODE, no_foreign_code

OWN = "own"
"""Name under which :attr:`ModelInput.own` is given to the forward pass."""


@dataclass(frozen=True, eq=False)
class ModelInput:
    """Input of a model for n rows: a piece of text, a window of sound or video, or n images."""

    tensors: dict[str, Tensor]
    """Tensors (n, …) by the names that the model takes."""
    own: Tensor | None = None
    """bool (n, t): which tokens of the output belong to the input, and which to its padding;
    None: all belong to it."""

    def __post_init__(self) -> None:
        """Check that there is something to read.

        Raises:
            WeightsError: the processor made nothing that the model takes.
        """
        if all(name.endswith("mask") for name in self.tensors):
            raise WeightsError(
                "hf: the processor in the weights' folder makes no input that this model takes; "
                "is it another model's?"
            )

    @property
    def rows(self) -> dict[str, Tensor]:
        """The tensors, and ``own`` if there is one."""
        return self.tensors if self.own is None else {**self.tensors, OWN: self.own}

    def tokens_of(self, output: Tensor, *, is_cut: bool) -> Tensor:
        """Join the t tokens of each row.

        Args:
            output: float32 (n, t, D).
            is_cut: leave out the tokens of padding.

        Returns:
            float32 (T, D): n · t tokens, or fewer.
        """
        if is_cut and self.own is not None:
            own = chain.from_iterable(self.own.tolist())  # nonzero() would need values in forecasts
            index = torch.tensor([k for k, is_own in enumerate(own) if is_own], dtype=torch.int64)
            output = output[:, : self.own.shape[1]].flatten(0, 1)[index.to(output.device)]
        return output.reshape(-1, output.shape[-1])


def load_processor(kind: Any, folder: Path) -> Any:
    """Load a processor or a configuration from local files; code beside them is not run.

    Args:
        kind: class such as ``transformers.AutoTokenizer`` or ``transformers.AutoConfig``.
        folder: folder of the files.

    Raises:
        WeightsError: the files are missing, or transformers cannot read them.
    """
    check_files(folder)
    load: Callable[..., Any] = kind.from_pretrained
    try:
        with no_foreign_code(folder):
            return load(folder, local_files_only=True, trust_remote_code=False)
    except WeightsError:
        raise
    except Exception as error:  # transformers raises OSError, ValueError, KeyError and others
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "trust_remote_code" in str(error):
            reason = FOREIGN_CODE
        raise WeightsError(
            f"{folder}: {kind.__name__} cannot be made from the files in it: {reason}"
        ) from error
