"""Read a pickle of text, numbers, lists, tuples and dicts; it can name no class and no function."""

import io
import pickle
import pickletools
from typing import Any

_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
"""Operations that number an object."""


class PlainPickleError(ValueError):
    """The bytes are no pickle of plain values; the message says why."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise PlainPickleError(f"it names {module}.{name}; only text, numbers, lists and dicts are "
                               "read")  # fmt: skip

    def persistent_load(self, pid: Any) -> Any:
        raise PlainPickleError("it names objects that are not in the file")


def read_plain_pickle(data: bytes) -> Any:
    """Return the contents of a pickle, which may have been written by Python 2.

    Its operations are counted before any of them is done, so that a few bytes cannot ask for
    gigabytes.

    Raises:
        PlainPickleError: it is not a pickle, or holds anything else.
    """
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(data), 1):
            if operation.name in _PUTS and int(argument or 0) > count:
                raise PlainPickleError("its objects are numbered as Python does not number them")
        return _Reader(io.BytesIO(data), encoding="utf-8").load()
    except PlainPickleError:
        raise
    except Exception as error:  # the bytes of a pickle can make it raise any exception
        raise PlainPickleError(f"it is no pickle of plain values: {error!r:.200}") from error
