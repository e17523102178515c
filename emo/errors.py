"""The errors a user can cause and mend: one line with which, expected, found, and what to do."""

from collections.abc import Sequence

LISTED_NAMES = 10
"""Largest number of names that an error message lists."""


class EmoError(Exception):
    """Something the user can mend; the command prints the message and exits with ``exit_code``."""

    exit_code = 1


class ManifestError(EmoError):
    """A manifest that cannot be read as one, or rows of it that contradict each other."""


class OptionError(EmoError):
    """An option of a command, backbone or head that does not exist or has an impossible value."""


class PluginError(EmoError):
    """A backbone, head, executor or format that does not exist or cannot be imported."""


class StoreError(EmoError):
    """A store that is missing, damaged, made by another recipe, or cannot be written."""


class MediaError(EmoError):
    """A file that cannot be decoded; in a job it becomes the recorded failure of its clip."""


class FitError(EmoError):
    """Features and labels from which no head can be fitted."""


class WeightsError(EmoError):
    """A model file that is missing, damaged, or lacks a tensor that the model needs."""


class DatasetError(EmoError):
    """A download of a data set that is not there, or not in its published layout."""


class ScoreError(EmoError):
    """Predictions that cannot be scored, or submitted, as they are."""


def listed(names: Sequence[str]) -> str:
    """Return names as text for a message: all of them, or the first ten and how many there are.

    >>> listed(["joy", "fear"]), listed([f"c{k}" for k in range(1500)])[-23:]
    ('joy, fear', 'c8, c9 … (1,500 in all)')
    """
    if len(names) <= LISTED_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:LISTED_NAMES])} … ({len(names):,} in all)"
