"""How long a request for media may take in this process (``--timeout``)."""

_seconds: list[float | None] = [None]


def set_media_timeout(seconds: float | None) -> None:
    """Let requests for media take at most so many seconds; None: the usual ones."""
    _seconds[0] = seconds


def media_timeout() -> float | None:
    """Return the most seconds of a request for media; None: the usual ones."""
    return _seconds[0]
