"""Tell the encoding of a table's bytes."""

import re


def utf_16(data: bytes) -> str | None:
    """Return iconv's name of UTF-16 if the bytes are that; None: they are not.

    They begin with a byte order mark, or every second byte of the first line is 0.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = data[:200]
    zeros = [k % 2 for k, byte in enumerate(start) if byte == 0]
    if len(zeros) * 3 < len(start) or len(set(zeros)) != 1:
        return None
    return "utf-16le" if zeros[0] else "utf-16be"


def likely_encoding(data: bytes) -> tuple[str, str]:
    """Return the likely encoding of a text that is not UTF-8: its name for people, and iconv's.

    Characters of Chinese, Japanese and Korean encodings are pairs of bytes above 127; letters with
    accents of Windows-1252 mostly stand alone.
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
    return "Windows-1252", "cp1252"


def _decodes(data: bytes, encoding: str) -> bool:
    """Return whether the bytes are a text in this encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
