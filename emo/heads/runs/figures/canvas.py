"""Make figures without a screen, and write them as PNG, PDF or SVG."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import OptionError

DPI = 130
"""Pixels per inch."""
PNG_COMPRESSION = 2
"""Compression level of zlib: some 10 kB more than with its default, in a third of the time."""
ENDINGS = (".pdf", ".svg", ".png")
"""Endings of files that a figure can be written to."""


def new_figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """Make a figure without pyplot, which has global state and may need a screen.

    Args:
        width: width in inches.
        height: height in inches.
        columns: number of axes side by side.
        rows: number of axes one above the other.

    Returns:
        The figure; and its axes, or an array of them if there are several.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a second to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns)


def as_plain_text(artist: Any) -> None:
    """Show the texts of a figure or of axes as they are: a label such as ``$x$`` is no formula.

    A label that is no valid formula, such as ``$\\frac{$``, would end the plot with an error.
    """
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        text.set_parse_math(False)


def save_png(figure: Any, path: Path) -> None:
    """Write a figure as PNG; savefig would draw it twice, because its layout needs a drawing."""
    from PIL import Image  # comes with matplotlib

    as_plain_text(figure)
    with warnings.catch_warnings():  # letters that the font lacks are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # uint8 (H, W, 3), opaque
    Image.fromarray(pixels).save(path, dpi=(DPI, DPI), compress_level=PNG_COMPRESSION)


def check_picture(path: Path) -> None:
    """Check that a figure can be written to a path.

    Raises:
        OptionError: its ending is none of ``ENDINGS``.
    """
    if path.suffix.lower() not in ENDINGS:
        raise OptionError(f"--out {path}: expected a name that ends in {', '.join(ENDINGS)}")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as its path's ending says; the same figure gives the same bytes.

    Letters of a PDF can be selected and searched; those of an SVG are outlines, so that it looks
    the same where the fonts are not installed.

    Raises:
        OptionError: another ending.
    """
    import matplotlib

    check_picture(path)
    as_plain_text(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.lower()
    when: Any = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}[kind]
    looks: Any = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "emo"}
    with matplotlib.rc_context(looks), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, dpi=2 * DPI, metadata=when)
