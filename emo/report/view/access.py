"""Decide whether a request may see anything: its Host and the token in its path."""

import hmac
import re
import secrets
from collections.abc import Sequence

_OWN_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
"""Names of this machine for itself. The port is free: a tunnel (`ssh -L`) has another one."""
_PATH = re.compile(r"/([\w-]+)/([a-z0-9/.]*)", re.ASCII)
"""A token and an address of ours, which need no escapes: ``%2e``, ``\\`` and the like never fit."""


def new_token() -> str:
    """Return a token that cannot be guessed, with 256 random bits."""
    return secrets.token_urlsafe(32)


def is_own_host(hosts: Sequence[str]) -> bool:
    """Return whether the header ``Host`` names this machine, once.

    A page of a stranger can make its own name lead to 127.0.0.1 (DNS rebinding). Browsers then
    send that name.

    >>> is_own_host(["localhost:8000"]), is_own_host(["evil.example"]), is_own_host([])
    (True, False, False)
    """
    return len(hosts) == 1 and _OWN_HOST.fullmatch(hosts[0].strip()) is not None


def address_behind(token: str, path: str) -> str | None:
    """Return the part of a request's path behind the token; None: it has another token, or none.

    >>> address_behind("k3y", "/k3y/clip/1"), address_behind("k3y", "/key/clip/1")
    ('clip/1', None)
    >>> address_behind("k3y", "/k3y/../secret"), address_behind("k3y", "/k3y/%2e%2e/secret")
    (None, None)
    """
    found = _PATH.fullmatch(path)
    if found is None or not hmac.compare_digest(found[1], token) or ".." in found[2]:
        return None
    return found[2]
