"""What of a clip's content a page shows, and from where: nothing, embedded, or served."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ClipMedia:
    """The content of one clip; addresses are ``data:`` URIs or relative to the page."""

    words: str = ""
    """Words of the clip; empty: not shown."""
    frames: tuple[str, ...] = ()
    """Addresses of still pictures, in the order of time."""
    sound: str = ""
    """Address of the sound; empty: not shown."""
    video: str = ""
    """Address of the video; empty: not shown."""
    note: str = ""
    """Why something is missing, for the reader; empty: nothing is."""


class MediaProvider(ABC):
    """Where the media of a page's clips are."""

    policy: Mapping[str, str] = MappingProxyType({})
    """Sources that the page may load, by directive of the Content Security Policy."""
    clip_link: str = ""
    """Address of a clip's own page, with ``{number}``; empty: there is none."""
    banner: str = ""
    """Sentence at the top and bottom of the page on what it shows; empty: none."""

    words: Sequence[str] = ()
    """Words of each clip of the page, which its table shows and searches; empty: not shown."""

    @abstractmethod
    def of_clip(self, number: int) -> ClipMedia:
        """Return the content of a clip, by its number in ``ReportFacts.clips``."""


class _NoMedia(MediaProvider):
    """Nothing of any clip's content."""

    def of_clip(self, number: int) -> ClipMedia:
        """Return nothing."""
        return ClipMedia()


NO_MEDIA: MediaProvider = _NoMedia()
"""The page shows nothing of a clip's content."""
