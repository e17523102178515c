"""Errors that a user can correct; each message is one line for the terminal.

A message names the clip, file or option, what was expected, what was found, and what to do.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

LOGIN = re.compile(r"(?<=\w\w)(:/{1,2})(?:[^/\s@]*@|[^/\s@:]+:(?!\d+(?:/|$))[^\s@]{,300}@)")
"""User name and password of a URL, which may have lost a slash as a ``Path`` does; a password that
holds a slash counts, too."""
_BARE_LOGIN = re.compile(r"(?<![:/\w])(//)[^/\s@:]+:[^/\s@]*@")
"""User name and password behind ``//`` without a scheme."""
_SECRET = re.compile(
    r"(?i)([?&](?:[a-z-]*(?:signature|credential|token|secret|password|key)[a-z-]*|sig))=[^&\s'\")]+"
)
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal may obey, that end or reorder a line, or that cannot be written."""
_ESCAPES = {"\n": "\\n", "\t": "\\t"}
LONGEST_MESSAGE = 4000
"""Largest length of a message; ends of longer ones hold what to do and are kept."""
LISTED_NAMES = 10
"""Largest number of names that an error message lists."""


class EmoError(Exception):
    """An error the user can correct; the command prints it and exits with ``exit_code``.

    Passwords and signatures in URLs of its message are left out, wherever the message came from.
    Control characters and line breaks are written out (``\\n``): names in foreign files may hold
    them, and a line that such a name begins would look like one of ``emo``.
    """

    exit_code = 1

    def __init__(self, message: object = "", *rest: object, more_lines: Sequence[str] = ()) -> None:
        """Keep the message as one line without secrets.

        Args:
            message: what is wrong and what to do.
            rest: further arguments of the exception.
            more_lines: lines that are shown below the message, indented.
        """
        super().__init__(_bounded(line_of(redacted(str(message)))), *rest)
        self.more_lines = tuple(_bounded(line_of(redacted(line))) for line in more_lines)

    def __str__(self) -> str:
        """Return the message, and its further lines below it."""
        return "\n  ".join([super().__str__(), *self.more_lines])


class ManifestError(EmoError):
    """The manifest cannot be read, or its rows contradict each other."""


class OptionError(EmoError):
    """An option of a command or plugin does not exist or has an invalid value."""


class PluginError(EmoError):
    """A plugin (backbone, head, executor, format, data set) is unknown or cannot be imported."""


class StoreError(EmoError):
    """A store is missing, damaged, made by another recipe, or cannot be written."""


class MediaError(EmoError):
    """A media file cannot be decoded; in a job this is recorded as the failure of its clip."""


class FitError(EmoError):
    """No head can be fitted from the given features and labels."""


class WeightsError(EmoError):
    """A model file is missing, damaged, or lacks a tensor that the model needs."""


class DatasetError(EmoError):
    """The downloaded files of a data set are missing, or not in their published layout."""


class ScoreError(EmoError):
    """The given predictions cannot be scored or submitted."""


def line_of(text: str) -> str:
    """Return a text as one line: control characters and line breaks are written out.

    >>> print(line_of("clip\\x1b[2K\\nemo: all fine"))
    clip\\x1b[2K\\nemo: all fine
    """
    return CONTROLS.sub(lambda found: escape(found[0]), text)


def _bounded(text: str) -> str:
    """Return a message of at most ``LONGEST_MESSAGE``; what is cut out is in the middle.

    A cell or name of a foreign file may have millions of letters.
    """
    if len(text) <= LONGEST_MESSAGE:
        return text
    return f"{text[: LONGEST_MESSAGE // 2]} … {text[3 - LONGEST_MESSAGE // 2 :]}"


def escape(letter: str) -> str:
    """Return a character's escape in Python's writing, such as ``\\x1b`` or ``\\n``."""
    code = ord(letter)
    return _ESCAPES.get(letter) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def redacted(text: str) -> str:
    """Return a text without the passwords and signatures that URLs in it may hold.

    >>> redacted("https://me:secret@host/x: 403"), redacted("http://h/x?X-Amz-Signature=ab1&a=2")
    ('https://***@host/x: 403', 'http://h/x?X-Amz-Signature=***&a=2')
    >>> redacted("row 2: '//me:secret@host/a.wav' leaves the folder")
    "row 2: '//***@host/a.wav' leaves the folder"
    """
    if "//" in text:
        text = _BARE_LOGIN.sub(r"\1***@", text)
    if ":/" not in text:
        return text
    return _SECRET.sub(r"\1=***", LOGIN.sub(r"\1***@", text))


def system_reason(error: OSError) -> str:
    """Return the system's reason on one line, such as ``No space left on device``.

    >>> system_reason(OSError(28, "No space left on device", "m.csv"))
    'No space left on device'
    >>> system_reason(OSError("odd\\n  message"))
    'odd message'
    """
    text = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return " ".join(text.split())


@contextmanager
def naming_file(path: object, kind: type[EmoError]) -> Iterator[None]:
    """Turn an OSError of the block into an error of one line that names the file and the reason.

    Args:
        path: the file or folder that is written in the block.
        kind: class of the error.

    Raises:
        EmoError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise kind(
            f"{path} cannot be written: {system_reason(error)}; nothing was changed. Free some "
            "space, or choose another --out"
        ) from error


def listed(names: Sequence[str]) -> str:
    """Return names as text for a message: all of them, or the first ten and how many there are.

    >>> listed(["joy", "fear"]), listed([f"c{k}" for k in range(1500)])[-23:]
    ('joy, fear', 'c8, c9 … (1,500 in all)')
    """
    if len(names) <= LISTED_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:LISTED_NAMES])} … ({len(names):,} in all)"


def plural(count: int, noun: str) -> str:
    """Return a number with its noun, which gets an "s" unless the number is 1.

    >>> plural(1, "part"), plural(1500, "part")
    ('1 part', '1,500 parts')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
