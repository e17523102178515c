"""Count the words that a tokenizer with a fixed length leaves out at the end of a text."""

import re
from bisect import bisect_left
from collections.abc import Callable

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
"""A word: a sign of Chinese or Japanese, which are written without spaces, or what stands between
spaces."""


def words_lacking(ids_of: Callable[[str], list[int]], text: str) -> int:
    """Return how many words at the end of a text do not change its ids.

    Args:
        ids_of: the tokenizer: a text -> ids, cut or padded to a fixed length.
        text: the text.

    >>> words_lacking(lambda text: [ord(sign) for sign in text[:7]], "one two three")
    1
    >>> words_lacking(lambda text: [ord(sign) for sign in text[:7]], "one two")
    0
    """
    ids = ids_of(text)
    if ids_of(f"{text} more") != ids:  # there is room for another word
        return 0
    ends = [match.end() for match in _WORD.finditer(text)]
    read = bisect_left(ends, True, key=lambda end: ids_of(text[:end]) == ids)
    return max(0, len(ends) - read - 1)
