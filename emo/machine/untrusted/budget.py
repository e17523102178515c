"""Bound the bytes that a file of a stranger may take in memory, before they are allocated."""

from dataclasses import dataclass

from emo.errors import EmoError, OptionError

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
"""Letter after a number of bytes -> what the number is multiplied by."""
MOST_PIECE_BYTES = 2**31
"""Bytes that one clip or one chunk may take unless the budget is larger than eight such pieces."""


@dataclass
class Budget:
    """Bytes that reading one file may take; what was counted so far is kept."""

    most: int
    """Most bytes."""
    what: str
    """The file, for messages."""
    option: str
    """How to raise the limit, for messages: ``-o most_gib=64``."""
    error: type[EmoError]
    """Kind of error to raise."""
    used: int = 0
    """Bytes counted so far."""

    def take(self, size_bytes: int, where: str) -> None:
        """Count bytes that are about to be allocated.

        Args:
            size_bytes: how many.
            where: array or member that takes them, for the message.

        Raises:
            EmoError: of the class ``error``: the bytes exceed the budget.
        """
        self.check(self.used + size_bytes, where)
        self.used += size_bytes

    def check(self, size_bytes: int, where: str) -> None:
        """Raise an error if ``size_bytes`` at one time exceed the budget; count nothing."""
        self._expect_at_most(self.most, size_bytes, where)

    def check_piece(self, size_bytes: int, where: str) -> None:
        """Raise an error if one clip or chunk, which is read whole, would take too many bytes.

        A piece may take 2 GiB, or an eighth of the budget if that is more.
        """
        most = min(self.most, max(MOST_PIECE_BYTES, self.most // 8))
        self._expect_at_most(most, size_bytes, where)

    def _expect_at_most(self, most: int, size_bytes: int, where: str) -> None:
        if size_bytes > most:
            raise self.error(
                f"{self.what}: {where} would take {binary_size(size_bytes)} in memory, and at most "
                f"{binary_size(most)} may be taken; {self.option} allows more"
            )


def binary_size(size_bytes: int) -> str:
    """Return a size for messages, to two digits.

    >>> binary_size(1500), binary_size(3 * 2**29), binary_size(10**400)
    ('1.5 KiB', '1.5 GiB', 'more than 1,000,000 GiB')
    """
    if size_bytes >= 10**6 * 2**30:
        return "more than 1,000,000 GiB"
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size_bytes >> power:
            number = size_bytes / 2**power
            return f"{number:,.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{size_bytes} bytes"


def parse_bytes(text: str, option: str) -> int:
    """Return the number of bytes that a user gives as text, such as ``64G`` or ``500MiB``.

    >>> parse_bytes("64G", "--limit"), parse_bytes("512", "--limit")
    (68719476736, 512)

    Args:
        text: a whole number and a unit: none, K, M, G or T, each 1,024 times the one before.
        option: name of the option, for the message.

    Raises:
        OptionError: the text is no such number, or 0.
    """
    letters = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = letters[-1:] if letters[-1:] in UNITS else ""
    number = letters.removesuffix(unit)
    if not (number.isascii() and number.isdecimal() and int(number)):
        raise OptionError(f"{option} {text}: expected bytes, such as 64G or 500M")
    return int(number) * UNITS[unit]
