"""Parse the header ``Range`` of a request, which players send to seek in a file."""

import re
from typing import Literal

_ONE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?", re.ASCII)


def byte_range(header: str | None, size: int) -> tuple[int, int] | Literal["unfit"] | None:
    """Return the bytes that a request asks for, as RFC 9110, section 14 says.

    Several ranges at once, other units and what is no range are ignored, as a server may.

    Args:
        header: value of the header; None: there is none.
        size: bytes of the file.

    Returns:
        First byte and stop (exclusive); None: the whole file; ``"unfit"``: it lies beyond the end.

    >>> byte_range("bytes=0-99", 1000), byte_range("bytes=-1", 1000), byte_range("bytes=9-", 9)
    ((0, 100), (999, 1000), 'unfit')
    """
    found = _ONE.fullmatch(header.strip()) if header else None
    if found is None or found[1] is found[2] is None:
        return None
    first, last = (None if part is None else int(part) for part in found.groups())
    if first is None:
        assert last is not None
        return (max(0, size - last), size) if last and size else "unfit"
    if last is not None and last < first:
        return None
    return (first, size if last is None else min(size, last + 1)) if first < size else "unfit"
