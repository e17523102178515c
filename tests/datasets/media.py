"""What the small downloads are made of: media of several formats, and tables."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Media:
    """Real clips and pictures of several formats, to be copied."""

    mp4: Path
    flv: Path
    wav: Path
    avi: Path
    jpg: Path
    png: Path

    def put(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(getattr(self, path.suffix[1:]), path)


@dataclass(frozen=True)
class Made:
    clips: int
    words: tuple[str, ...] = ()
    """Options without which the command calls the download incomplete."""
    has_media: bool = True
    """False: the data set is texts alone."""


def table(path: Path, header: str, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
