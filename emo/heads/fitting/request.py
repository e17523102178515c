"""TODO."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import FitError, OptionError
from emo.heads.data.data import Data
from emo.heads.data.streams import open_sources
from emo.heads.fitting.unused_options import check_read
from emo.heads.fitting.warm_start import Initials, read_initials
from emo.heads.head import LIBRARY, Head
from emo.heads.options import FitOptions
from emo.manifest import Manifest
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class FitRequest:
    """What a run is made from, beside the clips themselves."""

    manifest: Manifest
    features: tuple[Location, ...]
    options: FitOptions
    kind: type[Head]
    head_options: Any
    """An instance of ``kind.Options``."""
    initials: Initials
    """Weights that parts of the head start with."""
    out: Path | None


@dataclass(frozen=True, eq=False)
class Build:
    """Makes the untrained head of a fit."""

    kind: type[Head]
    dims: Mapping[str, int]
    widths: Mapping[str, int]
    options: Any
    """An instance of ``kind.Options``."""
    initials: Initials = field(default_factory=Initials)

    def __call__(self) -> Head:
        """Another one at each call, drawn from torch's generator."""
        return self.initials.fill(self.kind(self.dims, self.widths, options=self.options))


def fit_request(
    manifest: Manifest, features: Sequence[Location], out: Path | None, options: FitOptions
) -> FitRequest:
    """With the head's class and its options, which are checked, and the runs to start from."""
    if options.init and options.search:
        raise OptionError("--init and --search: a search would choose other sizes than the runs'")
    if out is not None and not out.name:
        raise OptionError(f"--out {out}: expected a folder of the run's own, such as runs/first")
    kind = plugins.load(LIBRARY, options.head, Head)  # type: ignore[type-abstract]
    head_options: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    initials = read_initials(options.init, kind, options.head)
    if initials.found:
        initials.check_streams(open_sources(features, options.streams)[0])
    return FitRequest(manifest, tuple(features), options, kind, head_options, initials, out)


def check_served(kind: type[Head], data: Data, options: FitOptions) -> None:
    """Refuse what the head cannot learn, before anything is trained."""
    served = {target.name: target.task for target in data.targets}
    for name, task in served.items():
        if task not in kind.tasks:
            raise FitError(
                f"head {options.head} does not serve {task} targets ({name}); it serves "
                f"{', '.join(kind.tasks)}. See emo list heads."
            )
    own: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    check_read(kind, own, options, streams=len(data.dims))
    if options.mixup and kind.unit == "dialogue":
        raise FitError(f"head {options.head} reads whole dialogues, which mixup cannot mix")
    for stream in options.spec_augment:
        if stream not in data.dims:
            raise FitError(plugins.unknown("stream of --spec-augment", stream, data.dims))
    changes = {
        "--spec-augment": options.spec_augment,
        "--modality-dropout": options.modality_dropout,
    }
    asked = [name for name, value in changes.items() if value]
    if kind.joins_streams and asked:
        raise FitError(
            f"head {options.head} joins its streams once, before training: "
            f"{' and '.join(asked)} would change nothing. Leave it out, or choose another head."
        )
