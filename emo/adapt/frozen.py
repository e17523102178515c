"""The score of frozen backbones, beside which that of the adapted ones is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo import plugins
from emo.adapt.start import Start
from emo.errors import OptionError
from emo.heads.data.data import Data
from emo.heads.data.targets import score_unit
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.request import FitRequest
from emo.heads.fitting.seeds import result_of
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.runs.result import FitResult
from emo.heads.runs.write import write_run
from emo.heads.training.inference import outputs_of
from emo.heads.training.outcome import Outcome, Round
from emo.manifest import Manifest
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class Frozen:
    """The run on the tokens of the base's weights that an adaptation is compared with."""

    result: FitResult
    """The run."""
    folder: Path
    """Where it was written."""
    what: str
    """Which head it is: that of ``--init``, a solved one, or a new one, for people."""


def frozen_run(
    manifest: Manifest,
    features: Sequence[Location],
    tokens: Location,
    folder: Path,
    start: Start,
    data: Data,
    *,
    started: float,
    progress: bool | None,
) -> Frozen:
    """Score frozen backbones on the clips of an adaptation, and write the run.

    With ``--init`` it is the head of that run, from which the adaptation began. Else the head is
    fitted as `emo fit-head` does; one that a solver finds exactly is solved.

    Args:
        manifest: the clips.
        features: stores of frozen streams.
        tokens: store of the tokens of the base's weights.
        folder: where the run is written.
        start: the head at the start.
        data: the clips with the tokens of the base's weights.
        started: monotonic time in seconds at which the adaptation began.
        progress: whether to show bars; None: in a terminal.
    """
    if start.run is not None:
        request = request_of(manifest, features, start, folder)
        result = scored(data, start.run.head, request, (), started)
        folder.mkdir(parents=True)
        write_run(folder, result)
        return Frozen(result, folder, f"the run of --init, {start.run.path}")
    fit, what = _as_solved(start)
    result = fit_head(manifest, [tokens, *features], folder, fit, progress=progress)
    return Frozen(result, folder, f"a head {fit.head} fitted on the base's tokens{what}")


def _as_solved(start: Start) -> tuple[FitOptions, str]:
    """Return the options of the fit, without ``solver=adamw`` where a solver is the default."""
    own = dict(start.fit.head_options)
    if own.pop("solver", None) is None:
        return start.fit, ""
    try:
        plugins.parse_options(start.kind.Options, own, start.fit.head)
    except OptionError:  # options that the solver does not allow, such as bias=no
        return start.fit, ""
    return start.fit.replace(head_options=own), ", solved exactly"


def request_of(
    manifest: Manifest, features: Sequence[Location], start: Start, out: Path
) -> FitRequest:
    """Return the request of a run with the head of an adaptation."""
    return FitRequest(
        manifest, tuple(features), start.fit, start.kind, start.head_options, start.clips, out
    )


def scored(
    data: Data, head: Head, request: FitRequest, rounds: Sequence[Round], started: float
) -> FitResult:
    """Score a trained head on clips.

    Args:
        data: the clips with their tokens.
        head: the head, on the CPU.
        request: what the run is of.
        rounds: the epochs of its training; empty: it was not trained here.
        started: monotonic time in seconds at which the adaptation began.
    """
    state = {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
    seed = rounds[-1].seed if rounds else request.options.first_seed
    last = rounds or (Round(seed, 1, float("nan"), float("nan"), float("nan"), is_best=True),)
    outcome = Outcome(seed, state, tuple(last), is_exact=False).times(score_unit(data.targets))
    outputs = {
        (split, ""): {
            target: np.stack([table])
            for target, table in outputs_of(head, each.batch, data.targets).items()
        }
        for split, each in data.splits.items()
    }
    return result_of(data, request, (outcome,), outputs, started)
