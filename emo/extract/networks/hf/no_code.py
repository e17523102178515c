"""Keep transformers from running Python code that lies beside a model's files.

``trust_remote_code=False`` is given wherever emo calls transformers. Other libraries call it,
too (open_clip for tokenizers and text towers), with arguments from a file of the model; and without
the argument transformers asks the user, for whom one "y" is enough.
"""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NoReturn

from emo.errors import WeightsError

FOREIGN_CODE = (
    "the model needs Python code that lies beside its weights, and emo does not run such code; "
    "choose a model of a type that transformers has itself"
)
"""Reason why a checkpoint with code of its own is refused (``trust_remote_code=False``)."""


@contextlib.contextmanager
def no_foreign_code(where: object) -> Iterator[None]:
    """Refuse, inside the block, code of a model's files and files of a model hub.

    Args:
        where: folder of the model, for the error.

    Raises:
        WeightsError: the model asks for code of its own.
    """
    if find_spec("transformers") is None:  # nothing can be loaded by it
        yield
        return
    from huggingface_hub import constants
    from transformers import dynamic_module_utils

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise WeightsError(f"{where}: {FOREIGN_CODE}")

    names = ("get_cached_module_file", "get_class_in_module")
    before = {name: getattr(dynamic_module_utils, name) for name in names}
    timeout, is_offline = dynamic_module_utils.TIME_OUT_REMOTE_CODE, constants.HF_HUB_OFFLINE
    try:
        for name in names:
            setattr(dynamic_module_utils, name, refuse)
        dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0  # nobody is asked
        constants.HF_HUB_OFFLINE = True
        yield
    finally:
        dynamic_module_utils.TIME_OUT_REMOTE_CODE = timeout
        constants.HF_HUB_OFFLINE = is_offline
        for name, function in before.items():
            setattr(dynamic_module_utils, name, function)
