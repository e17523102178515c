"""Size, time and version of an object in a bucket."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectFacts:
    """What a listing says about an object; fields are named like those of ``os.stat``."""

    st_size: int
    """Size in bytes."""
    st_mtime_ns: int
    """Time of the last change, in nanoseconds since 1970."""
    etag: str
    """Version of the object: another one after it was replaced; empty: not known."""
