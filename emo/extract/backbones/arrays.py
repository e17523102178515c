"""Read ready-made arrays, such as word vectors, from files that a manifest column names."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from emo.errors import MediaError, OptionError
from emo.extract.backbone import Backbone, BackboneCard, Inputs, Prepared
from emo.extract.decode.array_file import read_array
from emo.extract.media import Media, Needs
from emo.manifest import Manifest
from emo.store.recipe import Recipe, StreamSpec

_WORDS_A_SECOND = 2.5
"""Rate of speech, used only for the size forecast."""


@dataclass(frozen=True)
class ArraysOptions:
    """Options of :class:`Arrays`."""

    column: str | None = field(
        default=None,
        metadata={"help": "manifest column whose cells are paths of .npy or .npz files"},
    )
    key: str | None = field(
        default=None, metadata={"help": "name of the array in an .npz; none: its only array"}
    )
    dim: int | None = field(
        default=None, metadata={"help": "width D of every array; none: that of the first file"}
    )

    def __post_init__(self) -> None:
        """Check the range of ``dim``.

        Raises:
            ValueError: ``dim`` is below 1.
        """
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"expected dim of 1 or more, got {self.dim}")


class Arrays(Backbone):
    """Your own .npy and .npz arrays. They become tokens unchanged, in float32.

    Streams: one with the column's name, (T, D) as in the file; an array (D,) is one token.
    """

    Options: ClassVar[type] = ArraysOptions
    card = BackboneCard(source="yours", licence="yours", parameters="none", streams="column (T, D)")

    def __init__(self, options: ArraysOptions) -> None:
        """Keep the options."""
        self.options = options

    @classmethod
    def fill(cls, options: ArraysOptions, manifest: Manifest) -> ArraysOptions:
        """Set ``dim`` to the width of the first array that can be read, unless it is given.

        Raises:
            OptionError: no array can be read.
        """
        column = _column(options)
        if options.dim is not None:
            return options
        reason = f"no clip has anything in a column {column!r}"
        for clip in manifest.clips:
            if clip.targets.get(column):
                found = read_array(clip.targets, manifest.root, cls.needs(options))
                if isinstance(found, np.ndarray):
                    return replace(options, dim=found.shape[1])
                reason = found
        raise OptionError(
            f"arrays, column={column}: {reason}; so the width is unknown: give it with -o dim=D"
        )

    @classmethod
    def needs(cls, options: ArraysOptions) -> Needs:
        """Require the array file that the column names."""
        return Needs(array=options.column, array_key=options.key)

    @classmethod
    def recipe(cls, options: ArraysOptions) -> Recipe:
        """Return one dense float32 stream.

        Raises:
            OptionError: ``column`` or ``dim`` is not set.
        """
        column = _column(options)
        if options.dim is None:
            raise OptionError("arrays: the width is unknown: give it with -o dim=D")
        return Recipe(
            "arrays", {column: StreamSpec(options.dim, "float32", "row")}, asdict(options)
        )

    @classmethod
    def tokens(cls, options: ArraysOptions, seconds: float) -> dict[str, float]:
        """Return a guess of T: the number of words in speech of that length."""
        return {_column(options): max(1.0, _WORDS_A_SECOND * seconds)}

    @classmethod
    def load(cls, options: ArraysOptions, *, device: str) -> Self:
        """Return the backbone; there are no weights, and ``device`` is not used."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """Return a backbone that reads arrays (T, 4) of the column ``words``."""
        return cls(ArraysOptions("words", dim=4))

    def prepare(self, media: Media) -> Prepared:
        """Check the width of the clip's array (T, D) and convert it to float32.

        Raises:
            MediaError: the array has another width than the recipe.
        """
        column = _column(self.options)
        if media.array is None:
            return Prepared({}, {column: media.absent.get("array", "the clip has no array")})
        if media.array.shape[1] != self.options.dim:
            raise MediaError(
                f"column {column!r}: expected (T, {self.options.dim}) as in the recipe, found "
                f"{media.array.shape}"
            )
        return Prepared({column: media.array.astype(np.float32, copy=False)})

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the arrays unchanged: float32 (T, D) for each clip."""
        return [dict(inputs) for inputs in batch]


def _column(options: ArraysOptions) -> str:
    if not options.column:
        raise OptionError("arrays: the column with the file names is not set: -o column=NAME")
    return options.column
