"""`emo fit-head --head all`: fit every head that suits the clips, and rank the runs by val."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import EmoError, FitError, OptionError, PluginError
from emo.heads.data.data import Data
from emo.heads.data.seen_clips import check_unseen, ids_of
from emo.heads.fitting.ablate import question_of_request
from emo.heads.fitting.fit import fit_head, read_request_data
from emo.heads.fitting.request import Build, FitRequest, check_request, fit_request
from emo.heads.fitting.several.forecast import forecast_minutes
from emo.heads.fitting.several.ranked import HeadRuns, Tried
from emo.heads.options import FitOptions, LoopOptions
from emo.heads.runs.files import RUN_FILE, file_name, read_document
from emo.manifest import Manifest
from emo.store.backend.location import Location

EVERY_HEAD = "all"
"""What stands for every head of `emo list heads`."""


def heads_of(words: Sequence[str]) -> tuple[str, ...]:
    """Return the heads that are meant, each once; ``all`` stands for every head there is.

    >>> heads_of(["linear", "mean_pool", "linear"])
    ('linear', 'mean_pool')

    Raises:
        PluginError: there is no such head.
    """
    every = plugins.available(plugins.HEADS)
    for word in words:
        if ":" not in word and word not in (*every, EVERY_HEAD):
            raise PluginError(plugins.unknown("head", word, [*every, EVERY_HEAD]))
    return tuple(
        dict.fromkeys(name for word in words for name in (every if word == EVERY_HEAD else [word]))
    )


def fit_all(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path,
    options: Mapping[str, FitOptions],
    *,
    most_minutes: float | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> HeadRuns:
    """Fit several heads on the same clips; each run is a folder in ``out``.

    A head that does not suit the clips is skipped, and one that fails does not stop the others;
    the result says why.

    Args:
        manifest: the clips.
        features: locations of stores from ``emo extract``.
        out: folder of the runs; each run's folder has the name of its head.
        options: options of each head's fit, by the head's name.
        most_minutes: heads whose forecast is longer are skipped, see
            :func:`emo.heads.fitting.several.forecast.forecast_minutes`; None: no limit.
        resume: keep the finished runs of an interrupted call.
        progress: whether to show bars on stderr; None: only if stderr is a terminal.

    Raises:
        OptionError: ``out`` is a run, or there is no head.
        FitError: no head was fitted; the message has the reasons.
        EmoError: the clips cannot be read, or an option is wrong.
    """
    if not options:
        raise OptionError("no head to fit; see emo list heads")
    if (out / RUN_FILE).exists():
        raise OptionError(f"{out} is a run; several heads make a folder of runs: choose another")
    data: dict[str, Data] = {}
    checked = [
        _checked(Tried(name, out / file_name(name)), manifest, features, own, data, most_minutes)
        for name, own in options.items()
    ]
    data.clear()  # each fit reads its own
    tried = [
        found if request is None
        else _fitted(found, request, within=out, resume=resume, progress=progress)
        for found, request in checked
    ]  # fmt: skip
    result = HeadRuns(tuple(tried))
    if not result.ranked:
        raise FitError(f"no head was fitted: {'; '.join(result.reasons())}")
    return result


def _checked(
    found: Tried, manifest: Manifest, features: Sequence[Location], options: FitOptions,
    data: dict[str, Data], most_minutes: float | None,
) -> tuple[Tried, FitRequest | None]:  # fmt: skip
    """Return a head with the request of its fit, or with the reason why it is skipped.

    Args:
        found: the head.
        manifest: the clips.
        features: locations of stores.
        options: options of the fit.
        data: clips by what a head reads at once, ``clip`` or ``dialogue``; they are read here if
            they are not there.
        most_minutes: see :func:`fit_all`.

    Raises:
        OptionError: an option of this head is wrong.
        EmoError: the clips cannot be read, whatever the head.
    """
    try:
        request = fit_request(manifest, features, None, options)
    except OptionError:
        raise
    except EmoError as error:
        return found.ended("skipped", str(error)), None
    unit = request.kind.unit
    if unit not in data:
        data[unit] = read_request_data(request)
    request, notes = without_unused(request, data[unit])
    found = dataclasses.replace(found, notes=notes)
    try:
        reason = _misfit(request, data[unit], most_minutes)
    except EmoError as error:
        reason = str(error)
    return (found.ended("skipped", reason), None) if reason else (found, request)


def without_unused(request: FitRequest, data: Data) -> tuple[FitRequest, tuple[str, ...]]:
    """Return a request without options that its head's solver would not use, and notes on them.

    For one head such an option is an error; among several heads it is meant for the others.
    """
    defaults, loop = LoopOptions(), request.options.loop
    unused: dict[str, Any] = {
        name: getattr(defaults, name)
        for name in request.kind.unused_options(request.head_options, streams=len(data.dims))
        if getattr(loop, name) != getattr(defaults, name)
    }
    if not unused:
        return request, ()
    words = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
    replaced = dataclasses.replace(request, options=request.options.replace(**unused))
    return replaced, (f"it is solved, not trained by steps: {words} not used",)


def _misfit(request: FitRequest, data: Data, most_minutes: float | None) -> str:
    """Return why a head is not fitted on these clips; empty: nothing speaks against it.

    Raises:
        EmoError: the head does not suit the clips.
    """
    check_request(request.kind, data, request.options)
    request.initial.check_splits(data)
    check_unseen(data.sources, ids_of(data), allow_seen=request.options.allow_seen)
    Build(request.kind, data.dims, data.widths, request.head_options, request.initial)()
    if most_minutes is None:
        return ""
    minutes = forecast_minutes(request, data)
    if minutes <= most_minutes:
        return ""
    shown = f"{minutes:.1f}" if minutes >= 1 else f"{minutes:.2g}"
    return f"it would take {shown} minutes at most, more than {most_minutes:g}"


def _fitted(
    found: Tried, request: FitRequest, *, within: Path, resume: bool, progress: bool | None
) -> Tried:
    """Fit one head, or keep its finished run; return how that ended."""
    run, options = found.run, request.options
    if resume and (run / RUN_FILE).is_file():
        question = question_of_request(request.manifest, request.features, options, None)
        if read_document(run).get("question") == question:
            return found.ended("fitted")
    try:
        fit_head(request.manifest, request.features, run, options, within=within, resume=resume,
                 progress=progress)  # fmt: skip
    except EmoError as error:
        return found.ended("failed", str(error))
    except Exception as error:  # the head's own code
        where = plugins.where_in_own_code(error)
        text = plugins.error_text(error)
        return found.ended("failed", f"{where}: {text}" if where else text)
    return found.ended("fitted")
