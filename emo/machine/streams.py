"""Let stdout and stderr take every character, also where the console's encoding has few."""

import codecs
import sys

PLAIN = {
    "−": "-", "–": "-", "—": "-", "→": "->", "±": "+/-", "×": "x", "…": "...", "✓": "y",
    "Σ": "S", "·": "-", "≤": "<=", "≥": ">=", "’": "'", "“": '"', "”": '"', "│": "|", "─": "-",
}  # fmt: skip
"""Characters of messages and tables -> what stands for them where they cannot be printed."""
_NAME = "emo.plain"


def print_anything() -> None:
    """Print what an encoding lacks in another way, instead of ending with a UnicodeEncodeError.

    Consoles of Windows often have code page 1252 or 850, and ``LC_ALL=C`` has ASCII alone. UTF-8
    streams stay as they are.
    """
    codecs.register_error(_NAME, _plain)
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
        if hasattr(stream, "reconfigure") and not encoding.startswith("utf"):
            stream.reconfigure(errors=_NAME)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is printed in the place of characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(each, ascii(each)[1:-1]) for each in text), error.end
