"""SVG pictures as text: curves, scatters and calibration; colours come from the page's style."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from emo.errors import line_of
from emo.report.board import ticks_of

COLOURS = 12
"""Number of colours of series in the style, ``k0`` to ``k11``."""
_WIDTH, _HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 38


@dataclass(frozen=True)
class Drawing:
    """A picture with its caption."""

    title: str
    """What it shows."""
    svg: str
    """The picture as SVG; all names in it are escaped."""
    text: str = ""
    """Caption."""
    legend: tuple[tuple[str, str], ...] = ()
    """Style class and name of each series."""


@dataclass(frozen=True)
class Axes:
    """The two axes of a picture, and where they lie in it."""

    x: tuple[float, float]
    """Ends of the horizontal axis."""
    y: tuple[float, float]
    """Ends of the vertical axis."""
    names: tuple[str, str] = ("", "")
    """Names of the axes."""
    has_ticks: bool = True
    """Whether numbers are written beside the axes."""

    def across(self, value: float) -> float:
        """Return the horizontal at of a value in the picture."""
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(self, value: float) -> float:
        """Return the vertical at of a value in the picture."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def ends_of(values: Iterable[float]) -> tuple[float, float]:
    """Return ends of an axis that has room for all values that are finite."""
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    margin = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def picture(axes: Axes, parts: Sequence[str], label: str) -> str:
    """Return axes with some parts inside as SVG.

    Args:
        axes: the axes.
        parts: SVG of what is drawn.
        label: what the picture shows, for screen readers.
    """
    return (
        f'<svg class="pic" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(line_of(label))}">{"".join([*_frame(axes), *parts])}</svg>'
    )


def _frame(axes: Axes) -> list[str]:
    """Return grid, numbers and names of the axes as SVG."""
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    if axes.has_ticks:
        for tick in ticks_of(axes.y):
            at = axes.down(tick)
            parts.append(f'<path class="grid" d="M{_LEFT} {at}H{right}"/>')
            parts.append(f'<text class="tick e" x="{_LEFT - 6}" y="{at + 4}">{tick:g}</text>')
        for tick in ticks_of(axes.x):
            at = axes.across(tick)
            parts.append(f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>')
            parts.append(f'<text class="tick m" x="{at}" y="{bottom + 15}">{tick:g}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    middle, height = (_LEFT + right) / 2, (_TOP + bottom) / 2
    if axes.names[0]:
        parts.append(f'<text class="tick m" x="{middle}" y="{_HEIGHT - 5}">'
                     f"{escape(axes.names[0])}</text>")  # fmt: skip
    if axes.names[1]:
        parts.append(f'<text class="tick m" transform="translate(11 {height}) rotate(-90)">'
                     f"{escape(axes.names[1])}</text>")  # fmt: skip
    return parts


def line(axes: Axes, xs: Sequence[float], ys: Sequence[float], style: str) -> str:
    """Return a line through points as SVG; points that are not finite are left out."""
    points = [
        f"{axes.across(x)} {axes.down(y)}" for x, y in zip(xs, ys, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]  # fmt: skip
    return f'<path class="line {style}" d="M{"L".join(points)}"/>' if points else ""


def dots(axes: Axes, xs: Sequence[float], ys: Sequence[float], style: str) -> str:
    """Return points as SVG: one path for all of a style, so that thousands stay small."""
    points = [
        f"M{axes.across(x):g} {axes.down(y):g}h0" for x, y in zip(xs, ys, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]  # fmt: skip
    return f'<path class="dots {style}" d="{"".join(points)}"/>' if points else ""


def names_at(axes: Axes, points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return names at points as SVG; of names that would overlap, the later ones are moved down."""
    parts: list[str] = []
    taken: list[tuple[float, float]] = []
    for name, (x, y) in sorted(points.items(), key=lambda item: -item[1][1]):
        across, down = axes.across(x), axes.down(y)
        for _ in range(len(points)):
            if all(abs(down - other) > 13 or abs(across - beside) > 70 for beside, other in taken):
                break
            down = round(down + 13, 1)
        down = min(down, _HEIGHT - _BOTTOM - 4)
        taken.append((across, down))
        words = escape(cut_middle(line_of(name)))
        parts.append(f'<text class="name m" x="{across}" y="{down + 4}">{words}</text>')
    return parts


def cut_distinct(names: Sequence[str], most: int = 24) -> list[str]:
    """Return names cut to a number of letters; those that would be equal get their number.

    >>> cut_distinct(["aaa1bbb", "aaa2bbb", "c"], 5)
    ['aa…b 1', 'aa…b 2', 'c']
    """
    cut = [cut_middle(name, most) for name in names]
    counts = Counter(cut)
    return [
        each if counts[each] == 1
        else f"{cut_middle(name, max(3, most - 1))} {number}"
        for number, (each, name) in enumerate(zip(cut, names, strict=True), 1)
    ]  # fmt: skip


def cut_middle(name: str, most: int = 24) -> str:
    """Return a long name cut in the middle, so that names with equal beginnings stay distinct.

    >>> cut_middle("a" * 20 + "b" * 20, 11)
    'aaaaa…bbbbb'
    """
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[: most - 1 - half]}…{name[-half:]}"
