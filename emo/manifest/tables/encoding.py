"""Decode the bytes of a table as UTF-8, or tell which encoding they have."""

import re
from pathlib import Path

from emo.errors import ManifestError

_ZEROS = {
    frozenset({1, 3}): ("UTF-16", "utf-16le"),
    frozenset({0, 2}): ("UTF-16", "utf-16be"),
    frozenset({1, 2, 3}): ("UTF-32", "utf-32le"),
    frozenset({0, 1, 2}): ("UTF-32", "utf-32be"),
}
"""Places of the zero bytes within four bytes of plain letters -> name and iconv's name."""
_WINDOWS_LETTERS = bytes(range(0xC0, 0x100))
_MAC_LETTERS = bytes(range(0x80, 0xA0))


def wide_unicode(data: bytes) -> tuple[str, str] | None:
    """Return the name of UTF-16 or UTF-32 for people, and iconv's, if the bytes are that.

    They begin with a byte order mark, or the first line has a zero byte in every second place, or
    in three of four.
    """
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32", "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16", "utf-16"
    start = data[:200]
    zeros = [k % 4 for k, byte in enumerate(start) if byte == 0]
    if len(zeros) * 3 < len(start):
        return None
    positions = frozenset(zeros)
    return _ZEROS.get(positions)


def likely_encoding(data: bytes) -> tuple[str, str]:
    """Return the likely encoding of a text that is not UTF-8: its name for people, and iconv's.

    Characters of Chinese, Japanese and Korean encodings are pairs of bytes above 127; letters with
    accents of one-byte encodings mostly stand alone: above 191 in Windows-1252, from 128 to 159 in
    Mac Roman. Where the bytes allow both, the name says so.
    """
    pairs = re.findall(rb"[\x81-\x9f\xe0-\xef][\x40-\x7e\x80-\xfc]", data)
    kana = sum(pair[0] in (0x82, 0x83) for pair in pairs)
    if kana and kana * 3 > len(pairs) and _decodes(data, "shift_jis"):
        return "Shift JIS", "shift_jis"
    high = re.findall(rb"[\x80-\xff]+", data)
    even = sum(len(run) % 2 == 0 for run in high)
    if even >= 0.9 * len(high):
        leads = b"".join(run[::2] for run in high)
        is_hangul = all(0xB0 <= byte <= 0xC8 for byte in leads)
        if is_hangul and _decodes(data, "euc_kr"):
            return "EUC-KR", "euc-kr"
        is_kana = sum(byte in (0xA4, 0xA5) for byte in leads) * 4 > len(leads)
        if is_kana and _decodes(data, "euc_jp"):
            return "EUC-JP", "euc-jp"
        if _decodes(data, "gb18030"):
            return "GBK", "gb18030"
    longer = sum(len(run) > 1 for run in high)
    if longer * 2 > len(high) and _decodes(data, "big5"):
        return "Big5", "big5"
    letters = b"".join(high)
    mac = sum(byte in _MAC_LETTERS for byte in letters)  # curly quotes and the like in Windows-1252
    windows = sum(byte in _WINDOWS_LETTERS for byte in letters)
    if mac > windows:
        return "a one-byte encoding such as Mac Roman or Windows-1252", "macintosh"
    if mac:
        return "a one-byte encoding such as Windows-1252 or Mac Roman", "cp1252"
    return "Windows-1252", "cp1252"


def _decodes(data: bytes, encoding: str) -> bool:
    """Return whether the bytes are a text in this encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def decode_text(data: bytes, path: Path) -> str:
    """Decode UTF-8; raise ManifestError with the line of the first wrong byte."""
    wide = wide_unicode(data)
    if wide is not None:
        name, kind = wide
        raise ManifestError(f"{path}: this is {name}; save it as UTF-8 ({_iconv(kind, path)})")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"{path}: expected UTF-8, found byte 0x{data[error.start]:02x} in line {line}"
        name, kind = likely_encoding(data)
        check = ", and see whether the letters with accents are right" if "such as" in name else ""
        raise ManifestError(
            f"{found}; save it as UTF-8 (from {name}: {_iconv(kind, path)}{check})"
        ) from error


def _iconv(kind: str, path: Path) -> str:
    """Return the command that converts a file to UTF-8."""
    return f"iconv -f {kind} -t utf-8 {path.name}"
