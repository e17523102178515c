"""Turn what libraries raise for a file of somebody else into one line that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager

from emo.errors import EmoError, system_reason
from emo.machine.untrusted.documents import shortened

_OURS = (EmoError, ImportError, NameError, AssertionError, MemoryError)
"""Exceptions that say nothing about a file: messages of emo, a missing library, faults of code."""


@contextmanager
def foreign_file(path: object, kind: type[EmoError], what: str) -> Iterator[None]:
    """Turn any exception of a library that reads a file in the block into one line.

    Libraries document some of what they raise for a file that is not of their format; a file made
    to confuse them brings others, such as OverflowError or ZeroDivisionError. The exception stays
    the cause of the new one, so that Python shows where it arose.

    Args:
        path: the file.
        kind: class of the error to raise.
        what: what the file is not, such as ``not a Parquet file``.

    Raises:
        EmoError: of the class ``kind``.
    """
    try:
        yield
    except _OURS:
        raise
    except Exception as error:
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        words = shortened(f"{type(error).__name__}: {reason}", 300)
        raise kind(f"{path}: {what}: {words}") from error
