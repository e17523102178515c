"""Draw the confusion of classes so that names stay legible: sizes, fonts, rotation, cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import OptionError
from emo.heads.runs.figures.class_names import ClassNames, class_names, columns_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NORMALISATIONS = ("true", "pred", "all", "none")
"""What cells are divided by: the sum of their row, of their column, of all; or nothing."""
MOST_COUNTED = 12
"""Largest number of classes whose cells hold numbers."""
_LEGENDS = {
    "true": "share of the true class", "pred": "share of the predicted class",
    "all": "share of all clips", "none": "clips",
}  # fmt: skip
_CELL, _COUNTED_CELL = 0.24, 0.78
"""Width of a cell in inches without and with numbers."""
_LETTER = 0.64 / 72
"""Width of a letter in inches for each point of the font's size."""
_LEAST_POINTS, _MOST_POINTS = 5.0, 9.0
"""Sizes of the font of the names of classes."""
_AROUND, _AROUND_BARE = (1.9, 1.2), (0.6, 0.8)
"""Inches beside the matrix, and above and below it: with the legend of its colours, and without."""
_EVEN_LUMINANCE = 0.179
"""Luminance of a colour on which black and white have the same contrast."""
_STEEP = 16
"""Letters from which names below the matrix stand upright."""


@dataclass(frozen=True)
class ConfusionLayout:
    """Sizes of a figure of confusion."""

    width: float
    """Width of the figure in inches."""
    height: float
    """Height of the figure in inches."""
    points: float
    """Size of the font of the names of classes."""
    cell: float
    """Width of a cell in inches, about."""
    names: ClassNames
    """Names of the classes."""
    totals: tuple[str, ...] = ()
    """What stands behind the names of true classes; empty: nothing."""
    has_colours: bool = True
    """Whether there is room for the legend of the colours."""

    @property
    def is_legible(self) -> bool:
        """Whether no two names overlap."""
        return self.cell >= self.points * 1.2 / 72


def plan_of(
    classes: Sequence[str],
    totals: Sequence[str] = (),
    *,
    width: float | None = None,
    height: float | None = None,
) -> ConfusionLayout:
    """Choose sizes at which no two names overlap.

    Without a width or height the figure is as large as it must be. In a given size the font shrinks
    to 5 points; then numbers of clips and the legend of the colours are left out; then classes are
    numbered.

    Args:
        classes: names of the classes.
        totals: what stands behind the names at the left, such as `` (12)``.
        width: width of the figure in inches; None: as it must be.
        height: height of the figure in inches; None: as it must be.
    """
    names, numbers = class_names(classes), class_names(classes, is_numbered=True)
    count = len(classes)
    usual = _COUNTED_CELL if count <= MOST_COUNTED else _CELL
    for shown, behind in ((names, totals), (names, ()), (numbers, ())):
        left, below = _letters(shown.shown, behind)
        has_colours = shown is names and len(behind) == len(totals)
        around = _AROUND if has_colours else _AROUND_BARE
        for points in np.arange(_MOST_POINTS, _LEAST_POINTS - 0.1, -0.5).tolist():
            beside = left * points * _LETTER + around[0]
            above = below * points * _LETTER + around[1]
            room = [width and (width - beside) / count, height and (height - above) / count]
            cell = min([each for each in room if each is not None], default=usual)
            plan = ConfusionLayout(
                width or max(4.2, beside + count * cell), height or max(3.6, above + count * cell),
                points, cell, shown, tuple(behind), has_colours,
            )  # fmt: skip
            if plan.is_legible:
                return plan
    return plan


def _letters(names: Sequence[str], totals: Sequence[str]) -> tuple[float, float]:
    """Return the letters of the longest name at the left, and how high those below stand."""
    longest = max(map(columns_of, names), default=1)
    left = longest + max(map(len, totals), default=0)
    return left, longest if _is_steep(names) else 0.6 * longest + 1


def _is_steep(names: Sequence[str]) -> bool:
    """Return whether the names below the matrix stand upright."""
    return len(names) > MOST_COUNTED or max(map(columns_of, names), default=0) > _STEEP


def draw_confusion(
    axes: "Axes",
    counts: np.ndarray,
    plan: ConfusionLayout,
    *,
    normalize: str = "true",
    fmt: str = "",
    title: str = "",
) -> None:
    """Draw true by predicted classes on some axes.

    Args:
        axes: where to draw.
        counts: clips, float64 (C, C): rows are true, columns predicted classes.
        plan: sizes and names.
        normalize: one of ``NORMALISATIONS``.
        fmt: format of the numbers in the cells, such as ``{:.0%}``; empty: shares as per cent with
            the number of clips below, or the number of clips alone; above ``MOST_COUNTED`` classes
            and in small cells there are none.
        title: the title; empty: none.
    """
    values = normalised(counts, normalize)
    is_share = normalize != "none"
    most = 1.0 if is_share else float(values.max()) or 1.0
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=most)
    has_numbers = bool(fmt) or (len(counts) <= MOST_COUNTED and plan.cell >= 0.5)
    for row, column in np.ndindex(*values.shape) if has_numbers else ():
        count = clips_text(float(counts[row, column]))
        usual = f"{values[row, column]:.0%}\n{count}" if is_share else count
        axes.text(
            column, row, fmt.format(values[row, column]) if fmt else usual,
            ha="center", va="center", fontsize=min(8.0, plan.cell * 72 / 4.5),
            color=_readable_on(image.cmap(image.norm(values[row, column]))),
            in_layout=False,  # it lies within the image
        )  # fmt: skip
    font: dict[str, Any] = {"fontsize": plan.points, "family": list(plan.names.families),
            "parse_math": False}  # fmt: skip
    below: dict[str, Any] = {"rotation": 90, "ha": "center"} if _is_steep(plan.names.shown) else {
        "rotation": 35, "ha": "right", "rotation_mode": "anchor",
    }  # fmt: skip
    axes.set_xticks(range(len(counts)), plan.names.shown, **font, **below)
    behind = plan.totals or [""] * len(counts)
    left = [f"{name}{total}" for name, total in zip(plan.names.shown, behind, strict=True)]
    axes.set_yticks(range(len(counts)), left, **font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (clips)" if plan.totals else "true")
    if title:
        axes.set_title(title, fontsize=10)
    if plan.has_colours:
        axes.figure.colorbar(image, ax=axes, shrink=0.8, label=_LEGENDS[normalize])


def _readable_on(colour: Any) -> str:
    """Return black or white: the one with the higher contrast to a colour, at least 4.5 to 1.

    Args:
        colour: red, green, blue (and opacity), 0 to 1. The formula of luminance is that of WCAG 2.
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "white" if luminance < _EVEN_LUMINANCE else "black"


def normalised(counts: np.ndarray, how: str) -> np.ndarray:
    """Return counts, float64 (C, C), as they are or as shares; a row of zeros stays zero.

    Raises:
        OptionError: ``how`` is none of ``NORMALISATIONS``.
    """
    match how:
        case "none":
            return counts
        case "true":
            return _divided(counts, counts.sum(1, keepdims=True))
        case "pred":
            return _divided(counts, counts.sum(0, keepdims=True))
        case "all":
            return _divided(counts, counts.sum(keepdims=True))
    raise OptionError(f"normalize: expected {', '.join(NORMALISATIONS)}, got {how!r}")


def _divided(counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Divide counts by sums; where a sum is 0 the counts are, too."""
    return np.asarray(counts / np.where(sums > 0, sums, 1), dtype=np.float64)


def clips_text(clips: float) -> str:
    """Return a number of clips, or a mean of such numbers, as text."""
    return f"{clips:,.0f}" if float(clips).is_integer() else f"{clips:,.1f}"
