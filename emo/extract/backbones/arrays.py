"""Arrays that somebody else made, such as word vectors: a column names their files."""

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
"""For the forecast alone."""


@dataclass(frozen=True)
class ArraysOptions:
    """Which column, and what its files hold."""

    column: str | None = field(
        default=None, metadata={"help": "of the manifest; its cells are paths of .npy or .npz"}
    )
    key: str | None = field(
        default=None, metadata={"help": "the array in an .npz; none: its only one"}
    )
    dim: int | None = field(
        default=None, metadata={"help": "D of every file; none: of the first one that is there"}
    )

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ValueError: ``dim`` is below 1.
        """
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"expected dim of 1 or more, got {self.dim}")


class Arrays(Backbone):
    """The rows of .npy and .npz files, as they are, in float32.

    Streams: one, named as the column: (T, D) of the file; (D,) is one token.
    """

    Options: ClassVar[type] = ArraysOptions
    card = BackboneCard(source="yours", licence="yours", streams="column (T, D)")

    def __init__(self, options: ArraysOptions) -> None:
        """Keep the options; there are no weights."""
        self.options = options

    @classmethod
    def fill(cls, options: ArraysOptions, manifest: Manifest) -> ArraysOptions:
        """The width of the first array that can be read."""
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
        raise OptionError(f"arrays, column={column}: {reason}; the width cannot be told")

    @classmethod
    def needs(cls, options: ArraysOptions) -> Needs:
        """The file that the column names."""
        return Needs(array=options.column, array_key=options.key)

    @classmethod
    def recipe(cls, options: ArraysOptions) -> Recipe:
        """One dense stream of float32."""
        column = _column(options)
        if options.dim is None:
            raise OptionError("arrays: say how wide they are: -o dim=D")
        return Recipe(
            "arrays", {column: StreamSpec(options.dim, "float32", "row")}, asdict(options)
        )

    @classmethod
    def tokens(cls, options: ArraysOptions, seconds: float) -> dict[str, float]:
        """As many as there are words in speech; what the rows are is not known."""
        return {_column(options): max(1.0, _WORDS_A_SECOND * seconds)}

    @classmethod
    def load(cls, options: ArraysOptions, *, device: str) -> Self:
        """There is nothing to load; ``device`` does not matter."""
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        """A column of four numbers a word."""
        return cls(ArraysOptions("words", dim=4))

    def prepare(self, media: Media) -> Prepared:
        """Check the width."""
        column = _column(self.options)
        if media.array is None:
            return Prepared({}, {column: media.absent.get("array", "the clip has no array")})
        if media.array.shape[1] != self.options.dim:
            raise MediaError(
                f"column {column!r}: expected (T, {self.options.dim}) as in the recipe, found "
                f"{media.array.shape}"
            )
        return Prepared({column: media.array.astype(np.float32)})

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """The rows are the tokens."""
        return [dict(inputs) for inputs in batch]


def _column(options: ArraysOptions) -> str:
    if not options.column:
        raise OptionError("arrays: say which column names the files: -o column=NAME")
    return options.column
