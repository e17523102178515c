"""What a page shows, as the options of `emo report` say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emo.errors import OptionError

SHOWN_MEDIA = ("words", "frames", "sound", "video")
"""Kinds of a clip's content that ``--media`` can put on the page."""
MOST_CARDS = 200
"""Largest number of mistakes on the page."""


@dataclass(frozen=True)
class ReportOptions:
    """What a page shows."""

    title: str = ""
    """Title of the page; empty: the names of the runs."""
    target: str | None = None
    """Target that is shown; None: all targets of the runs."""
    manifest: Path | None = None
    """Manifest of the clips; None: that of each run, if it is unchanged."""
    root: Path | None = None
    """Folder of the media; None: that of the manifest."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of ``manifest`` under other names: our name -> the file's."""
    by: tuple[str, ...] = ()
    """Columns by whose values results are shown; empty: speaker if there is one."""
    features: tuple[str, ...] = ()
    """Stores with the tokens of the runs, for the map and for what the head looks at."""
    media: tuple[str, ...] = ()
    """What of a clip's content is shown: some of ``SHOWN_MEDIA``."""
    cards: int = 12
    """Number of mistakes that are shown as cards."""
    is_anonymous: bool = False
    """Whether ids, speakers and dialogues are numbered."""

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            OptionError: an unknown kind of media, a number out of range, or content of clips on a
                page that shall be anonymous.
        """
        odd = [name for name in self.media if name not in SHOWN_MEDIA]
        if odd:
            raise OptionError(f"--media {odd[0]}: expected {', '.join(SHOWN_MEDIA)}")
        words = [column for column in self.by if column.removeprefix("@") == "text"]
        if words and "words" not in self.media:
            raise OptionError(
                f"--by {words[0]}: the page would show the words of clips; add --media words"
            )
        if not 0 <= self.cards <= MOST_CARDS:
            raise OptionError(f"--cards {self.cards}: expected 0 to {MOST_CARDS}")
        if self.is_anonymous and self.media:
            raise OptionError(
                "--anonymous and --media: words, faces and voices tell who somebody is; leave one "
                "of them out"
            )
