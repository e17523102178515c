"""Read WebVTT subtitles (.vtt).

Source: W3C, "WebVTT: The Web Video Text Tracks Format". ``<v Anna>`` names the speaker.
"""

import html
import re
from pathlib import Path
from typing import ClassVar, Literal

from emo.errors import ManifestError
from emo.manifest.annotations.cues import cues
from emo.manifest.annotations.format import AnnotationFormat, Annotations, Stretch, read_text

_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_TAG = re.compile(r"<[^>]*>")
_BLOCK = re.compile(r"^(?:NOTE|STYLE|REGION)\b.*?(?=\n[ \t]*\n|\Z)", re.MULTILINE | re.DOTALL)


class Vtt(AnnotationFormat):
    """WebVTT subtitles: the words of each are the text of a clip, ``<v Anna>`` the speaker."""

    extensions: ClassVar[tuple[str, ...]] = (".vtt",)
    holds: ClassVar[Literal["label", "text"]] = "text"

    @classmethod
    def read(cls, path: Path) -> Annotations:
        """Read the cues without notes, styles and markup."""
        text = read_text(path).replace("\r\n", "\n")
        if not text.startswith("WEBVTT"):
            raise ManifestError(f"{path}: expected WEBVTT at the beginning of the first line")
        stretches = []
        for start, end, lines in cues(_BLOCK.sub("", text), path):
            words = " ".join(lines)
            voices = dict.fromkeys(map(str.strip, _VOICE.findall(words)))
            speaker = html.unescape(next(iter(voices))) if len(voices) == 1 else ""
            said = html.unescape(_TAG.sub("", words)).strip()
            stretches.append(Stretch(start, end, said, speaker=speaker))
        return Annotations(stretches)
