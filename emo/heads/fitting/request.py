"""A fit's request: manifest, stores, options and the head's class, checked before reading clips."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import FitError, OptionError
from emo.heads.data.data import Data
from emo.heads.data.streams import open_sources
from emo.heads.fitting.unused_options import check_options_used
from emo.heads.fitting.warm_start import InitialWeights, read_initial_weights
from emo.heads.head import Head
from emo.heads.options import FitOptions, LoopOptions
from emo.manifest import Manifest
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class FitRequest:
    """All that a run is made from, except the clips' tokens."""

    manifest: Manifest
    features: tuple[Location, ...]
    """Locations of the stores."""
    options: FitOptions
    """Options of the fit; of the head's own options those that are not the defaults."""
    kind: type[Head]
    """Class of the head."""
    head_options: Any
    """An instance of ``kind.Options``."""
    initial: InitialWeights
    """Weights from the runs of ``--init``."""
    out: Path | None
    """Folder of the run; None: nothing is written."""


@dataclass(frozen=True, eq=False)
class Build:
    """Makes the untrained head of a fit; it can be pickled."""

    kind: type[Head]
    """Class of the head."""
    dims: Mapping[str, int]
    """Width D of each stream's tokens."""
    widths: Mapping[str, int]
    """Number of logits C of each target."""
    options: Any
    """An instance of ``kind.Options``."""
    initial: InitialWeights = field(default_factory=InitialWeights)
    """Weights from the runs of ``--init``."""

    def __call__(self) -> Head:
        """Return a new head; its random weights are drawn from torch's generator."""
        return self.initial.copy_to(self.kind(self.dims, self.widths, options=self.options))


def fit_request(
    manifest: Manifest, features: Sequence[Location], out: Path | None, options: FitOptions
) -> FitRequest:
    """Load the head's class, parse its options and read the runs of ``--init``.

    Args:
        manifest: the clips.
        features: locations of stores from ``emo extract``.
        out: folder of the run; None: nothing is written.
        options: options of the fit.

    Raises:
        EmoError: an unknown head or option, options that contradict each other, or runs of
            ``--init`` that do not fit.
    """
    if options.init and options.search:
        raise OptionError(
            "--init and --search: a search would choose other sizes of layers than the runs have; "
            "leave one of them out"
        )
    if out is not None and not out.name:
        raise OptionError(f"--out {out}: expected a folder for this run alone, such as runs/first")
    kind = plugins.load(plugins.HEADS, options.head, Head)  # type: ignore[type-abstract]
    head_options: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    initial = read_initial_weights(options.init, kind, options.head)
    if initial.streams:
        initial.check_streams(open_sources(features, options.streams)[0])
        initial.check_scaling(options.scaling)
    options = options.replace(head_options=_changed(kind, options.head_options, head_options))
    return FitRequest(manifest, tuple(features), options, kind, head_options, initial, out)


def with_options(request: FitRequest, options: FitOptions) -> FitRequest:
    """Return a request with other options, such as those that a search found.

    Args:
        request: the request.
        options: options of the fit, of the same head.
    """
    own: Any = plugins.parse_options(request.kind.Options, options.head_options, options.head)
    options = options.replace(head_options=_changed(request.kind, options.head_options, own))
    return dataclasses.replace(request, options=options, head_options=own)


def _changed(kind: type[Head], texts: Mapping[str, str], parsed: Any) -> dict[str, str]:
    """Return the typed options of a head that are not its defaults, each written in one way.

    ``-o dropout=0.10`` and ``-o dropout=0.1`` are the same question, and so is a typed default.

    Args:
        kind: class of the head.
        texts: the options as text.
        parsed: the instance of ``kind.Options`` that they give.
    """
    defaults = {each.name: each.default for each in dataclasses.fields(kind.Options)}
    found = {}
    for typed in texts:  # an option's name in an earlier version stays, and so does the hash
        (name,) = plugins.current_names(kind.Options, {typed: ""})
        value = getattr(parsed, name)
        if value != defaults[name]:
            found[typed] = plugins.option_word(value)
    return found


def check_request(kind: type[Head], data: Data, options: FitOptions) -> None:
    """Check that the head can predict the targets and use the options, before any training.

    Args:
        kind: class of the head.
        data: the clips of the fit.
        options: options of the fit.

    Raises:
        FitError: a task, stream or augmentation that the head does not support.
        OptionError: an option that the head's solver would not use.
    """
    for target in data.targets:
        if target.task not in kind.tasks:
            raise FitError(
                f"head {options.head} does not serve {target.task} targets ({target.name}); it "
                f"serves {', '.join(kind.tasks)}. See emo list heads."
            )
    if options.loop.choose_by and any(target.task != "classify" for target in data.targets):
        targets = ", ".join(f"{target.name} ({target.task})" for target in data.targets)
        raise OptionError(
            f"--choose-by {options.loop.choose_by}: expected targets of classes alone, got "
            f"{targets}; leave it out"
        )
    if options.loop.loss != LoopOptions().loss and all(
        target.task != "regress" for target in data.targets
    ):
        raise OptionError(
            f"--loss {options.loop.loss}: it is the loss of numbers, and no target has the task "
            "regress; leave it out"
        )
    if options.loop.refit and not kind.can_refit:
        raise OptionError(
            f"--refit: head {options.head} is trained by steps; only a head that a solver solves, "
            "such as linear, can be refit on train and val. Leave it out."
        )
    if kind.unit == "dialogue" and not any(split.dialogues for split in data.splits.values()):
        raise FitError(
            f"head {options.head} reads whole dialogues, and no clip has one. Fill the manifest's "
            "column dialogue (or name yours: --column dialogue=THEIRS), or choose another head."
        )
    own: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    check_options_used(kind, own, options, streams=len(data.dims))
    if options.loop.mixup and kind.unit == "dialogue":
        raise FitError(
            f"head {options.head} reads whole dialogues, which --mixup cannot mix. Leave --mixup "
            "out, or choose another head."
        )
    for stream in options.loop.spec_augment:
        if stream not in data.dims:
            raise FitError(plugins.unknown("stream of --spec-augment", stream, data.dims))
    changes = {
        "--spec-augment": options.loop.spec_augment,
        "--modality-dropout": options.loop.modality_dropout,
    }
    given = [name for name, value in changes.items() if value]
    if kind.joins_streams and given:
        raise FitError(
            f"head {options.head} joins its streams once, before training: "
            f"{' and '.join(given)} would change nothing. Leave it out, or choose another head."
        )
