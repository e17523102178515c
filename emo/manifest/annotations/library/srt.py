"""Read SubRip subtitles (.srt)."""

import re
from pathlib import Path
from typing import ClassVar, Literal

from emo.manifest.annotations.cues import cues
from emo.manifest.annotations.format import AnnotationFormat, Annotations, Stretch, read_text

_MARKUP = re.compile(r"</?(?:b|i|u|s|font)(?:\s[^>]*)?>|\{\\[^}]*\}", re.IGNORECASE)


class Srt(AnnotationFormat):
    """SubRip subtitles: the words of each are the text of a clip."""

    extensions: ClassVar[tuple[str, ...]] = (".srt",)
    holds: ClassVar[Literal["label", "text"]] = "text"

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read the subtitles without their markup."""
        return Annotations(
            [
                Stretch(start, end, _MARKUP.sub("", " ".join(words)).strip())
                for start, end, words in cues(read_text(path), path)
            ]
        )
