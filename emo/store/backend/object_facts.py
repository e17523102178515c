"""Size, time and version of an object in a bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """Facts about an object in a bucket, from a listing; fields are named like those of
    ``os.stat``."""

    st_size: int
    """Size in bytes."""
    st_mtime_ns: int
    """Time of the last change, in nanoseconds since 1970."""
    etag: str
    """Text that identifies the object's version and changes when it is replaced; empty: not known.
    """
