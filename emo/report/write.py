"""`emo report`: read the facts of runs, embed what is shown of their clips, write the page."""

from collections.abc import Sequence
from pathlib import Path

from emo.errors import OptionError
from emo.machine.table import format_bytes
from emo.machine.whole_file import whole_file
from emo.report.facts import read_report
from emo.report.media import NO_MEDIA
from emo.report.options import ReportOptions
from emo.report.page import render_page


def write_report(runs: Sequence[Path], out: Path, options: ReportOptions) -> list[str]:
    """Write the page of some runs, and return notes for its author.

    Args:
        runs: folders of runs.
        out: the file.
        options: what the page shows.

    Raises:
        EmoError: a folder holds no run, an option cannot be met, or the file cannot be written.
    """
    facts = read_report(runs, options)
    media, shows = NO_MEDIA, []
    if options.media:
        from emo.report.embedded import embedded_media

        media = embedded_media(facts, options)
        kinds = ", ".join(media.kinds)
        shows = [f"it shows people ({kinds}): send it to nobody who may not see them"]
        if not kinds:
            shows = [f"no clip that it shows has any {' or '.join(options.media)}"]
    write_html(render_page(facts, media=media), out)
    size = format_bytes(out.stat().st_size)
    return [size, *shows, *facts.notes]


def write_html(text: str, out: Path) -> None:
    """Write a page as a whole file.

    Raises:
        OptionError: it cannot be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out, OptionError) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
