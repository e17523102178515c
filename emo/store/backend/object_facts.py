"""TODO."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class ObjectFacts:
    """What a listing says of an object; the names are those of ``os.stat``."""

    st_size: int
    st_mtime_ns: int
    etag: str
    """Differs when the object was replaced."""
