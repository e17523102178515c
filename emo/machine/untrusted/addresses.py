"""Cells that say where media lie: a path, a URL, or a member of a tar shard.

A cell is ``clips/a.mp4``, ``s3://bucket/clips/a.mp4``, or ``shard-0001.tar!a.mp4`` (the member
``a.mp4`` of a tar file, which may be a path or a URL). Behind a member's name may stand where its
bytes lie, ``shard-0001.tar!a.mp4@1536+20480``, so that nobody has to search the shard for it.
"""

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from emo.errors import LOGIN

URL_SCHEMES = ("s3", "gs", "az", "https")
"""Kinds of URLs that media and manifests may have."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://?(.*)", re.DOTALL)
"""A URL, also one that lost a slash because it was a ``Path``; a drive of Windows has one letter.
"""
_MEMBER = re.compile(r"(.+?\.tar)!(.+?)(?:@(\d{1,18})\+(\d{1,18}))?", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Parts of a cell that names a media file."""

    file: str
    """Path or URL of the file, or of the tar shard that holds it."""
    member: str | None = None
    """Name of the member in the shard; None: the file itself is meant."""
    offset: int | None = None
    """First byte of the member in the shard; None: the cell does not say."""
    size_bytes: int = 0
    """Bytes of the member, if ``offset`` is given."""


def parse_address(cell: str) -> Address:
    """Cut a cell into its parts.

    >>> parse_address("s3://b/x.tar!a/b.mp4@512+99")
    Address(file='s3://b/x.tar', member='a/b.mp4', offset=512, size_bytes=99)
    """
    found = _MEMBER.fullmatch(cell) if "!" in cell else None
    if found is None:
        return Address(cell)
    file, member, offset, size = found.groups()
    return Address(file, member, int(offset) if offset else None, int(size or 0))


def without_offset(cell: str) -> str:
    """Return a cell without the position of the member, for use as an id."""
    address = parse_address(cell)
    return cell if address.offset is None else f"{address.file}!{address.member}"


def is_url(cell: str) -> bool:
    """Return whether a cell begins like a URL of :data:`URL_SCHEMES`."""
    scheme, mark, _ = cell.partition("://")
    return bool(mark) and scheme.lower() in URL_SCHEMES


def url_of(path: Path | str) -> str | None:
    """Return the URL that a path was made of, with the slash that ``Path`` lost; None: no URL.

    It may be of a kind that is not read, see :func:`checked_url`.

    >>> url_of(Path("s3://bucket/m.csv"))
    's3://bucket/m.csv'
    """
    found = _URL.fullmatch(str(path))
    if found is None:
        return None
    return f"{found[1].lower()}://{found[2].lstrip('/')}"


def hide_secrets(url: str) -> str:
    """Return a URL without user name, password, query and fragment, which may hold secrets.

    >>> hide_secrets("https://me:word@host.org/a.mp4?X-Amz-Signature=0f3c")
    'https://host.org/a.mp4'
    """
    return re.split(r"[?#]", LOGIN.sub(r"\1", url), maxsplit=1)[0]


def check_no_secrets(url: str) -> None:
    """Refuse a URL that holds what may be a secret; the message does not show it.

    Raises:
        ValueError: it has a user name, password or query, or, if it is none of a bucket, a
            fragment.
    """
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    is_https = scheme.lower() == "https"
    # a password with a slash leaves "KEY:SEC" as the host; only https has a number there, the port
    has_password = ":" in host and not (is_https and re.fullmatch(r"[^:]*:\d*|\[.*", host))
    if "@" in host or has_password or "?" in url or (is_https and "#" in url):
        shown = hide_secrets(url)[:200]
        if has_password and ":" in shown.partition("://")[2].partition("/")[0]:
            shown = f"{scheme}://…"
        raise ValueError(
            f"{shown}: a user name, password, query or fragment stands in the "
            "URL; it may be a secret, which must not reach job folders and logs. Leave it out; "
            "credentials of buckets are read from the environment"
        )


def checked_url(url: str) -> str:
    """Return a URL that may stand in a manifest, a job folder and error messages.

    Raises:
        ValueError: another scheme, no host or name, or something in it may be a secret.
    """
    shown = hide_secrets(url)
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in URL_SCHEMES:
        expected = "://, ".join(URL_SCHEMES)
        raise ValueError(f"{shown[:200]} is a URL of a kind that is not read; use {expected}://")
    host, _, name = rest.partition("/")
    check_no_secrets(url)
    if not host or not name.strip("/") or not url.isprintable():
        owner = "HOST" if scheme == "https" else "BUCKET"
        raise ValueError(f"{shown[:200]!r}: expected {scheme}://{owner}/NAME")
    try:
        _ = urlsplit(f"{scheme}://{host}").port
    except ValueError as error:
        raise ValueError(f"{shown[:200]!r}: not a URL: {error}") from error
    if ".." in name.split("!")[0].split("/"):
        raise ValueError(f"{shown[:200]}: '..' in a URL is not followed")
    return f"{scheme}://{host}/{name}"


def under_prefix(cell: str, prefix: str) -> str:
    """Return the URL of a cell that is relative to a URL, or the cell if it is a URL itself."""
    return cell if is_url(cell) else f"{prefix.rstrip('/')}/{cell}"


def below(cell: str, prefix: str) -> str:
    """Return a cell relative to the URL ``prefix``, without ``.`` and ``..``.

    Raises:
        ValueError: it leads out of the prefix.
    """
    address = parse_address(cell)
    plain = posixpath.normpath(address.file)
    if plain.startswith(("/", "../")) or plain in (".", "..") or "\0" in cell or "?" in plain:
        raise ValueError(
            f"{hide_secrets(cell)[:200]!r} leaves {prefix}, where the media lie; write paths "
            "relative to it, or whole URLs"
        )
    return plain + cell[len(address.file) :]
