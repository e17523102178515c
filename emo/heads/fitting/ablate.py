"""`emo fit-head --ablate`: fit one run for each subset of the streams, and compare them."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from emo import plugins
from emo.errors import FitError
from emo.heads.data.streams import open_sources
from emo.heads.fitting.fit import FitOptions, fit_head, read_request_data
from emo.heads.fitting.folds.cross_validate import cross_validate, hash_of_folds_run
from emo.heads.fitting.request import fit_request
from emo.heads.runs.comparing.compare import Comparison, compare_runs
from emo.heads.runs.files import RUN_FILE, read_document
from emo.heads.training.fingerprint import hash_of_question, hash_of_run, question_of
from emo.manifest import Manifest
from emo.store.backend.location import Location

MOST_STREAMS = 6
"""Largest number of streams; 6 have 63 subsets."""


def ablate(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path,
    options: FitOptions,
    *,
    by: str | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> Comparison:
    """Fit a head on each subset of the streams; each run is a folder in ``out``.

    Args:
        manifest: the clips.
        features: locations of stores from ``emo extract``.
        out: folder of the runs; each run's folder is named after its streams.
        options: options of each run; its streams are those of which subsets are taken.
        by: how folds are made, see
            :func:`emo.heads.fitting.folds.cross_validate.cross_validate`; None:
            no cross-validation, the manifest's splits.
        resume: keep the finished runs of an interrupted ablation.
        progress: whether to show a bar on stderr; None: only if stderr is a terminal.

    Raises:
        EmoError: a fit failed; or there are fewer than 2 or more than ``MOST_STREAMS`` streams, or
            options of a stream that is not among them.
    """
    sources, _ = open_sources(features, options.streams)
    streams = [source.name for source in sources]
    if not 2 <= len(streams) <= MOST_STREAMS:
        raise FitError(
            f"--ablate: expected 2 to {MOST_STREAMS} streams, got {len(streams)} "
            f"({', '.join(streams)}); choose with --stream and --features"
        )
    if (out / RUN_FILE).exists():
        raise FitError(f"{out} is a run; --ablate makes a folder of runs: choose another --out")
    for option, names in (
        ("spec-augment", options.loop.spec_augment),
        ("scaling", options.scaling),
    ):
        for name in set(names) - set(streams):
            raise FitError(plugins.unknown(f"stream of --{option}", name, streams))
    notes = []
    subsets = list(_subsets(streams))
    runs = [out / "+".join(name.replace("/", "-") for name in subset) for subset in subsets]
    # all streams together first: that run checks whether too many clips have no features
    for subset, run in reversed(list(zip(subsets, runs, strict=True))):
        own = _of_subset(options, subset, is_whole=subset == subsets[-1])
        if resume and (run / RUN_FILE).is_file():
            found = read_document(run).get("question")
            if found == question_of_request(manifest, features, own, by):
                continue
            why = "had other options or clips" if found else "does not say its options and clips"
            notes.append(f"{run} {why}: fitted again")
        if by is None:
            fit_head(manifest, features, run, own, within=out, resume=resume, progress=progress)
        else:
            cross_validate(
                manifest, features, run, own, by=by, within=out, resume=resume, progress=progress
            )
    compared = compare_runs(runs, interval_over=options.interval_over)
    return dataclasses.replace(compared, notes=(*notes, *compared.notes))


def _of_subset(options: FitOptions, subset: tuple[str, ...], *, is_whole: bool) -> FitOptions:
    """Return the options of one run, which name no stream outside its subset.

    Clips without any stream of a smaller subset are left out of its run, however many they are.
    """
    return options.replace(
        streams=subset,
        spec_augment=tuple(name for name in options.loop.spec_augment if name in subset),
        scaling={name: words for name, words in options.scaling.items() if name in subset},
        missing=options.missing and len(subset) > 1,
        allow_missing=options.allow_missing if is_whole else 1.0,
    )


def question_of_request(
    manifest: Manifest, features: Sequence[Location], options: FitOptions, by: str | None
) -> str:
    """Return the hash that a run of this request has as ``question`` in its ``run.json``."""
    request = fit_request(manifest, features, None, options)
    if by is not None:
        return hash_of_folds_run(request, by)
    question = question_of(read_request_data(request), request.options)
    return hash_of_run(hash_of_question(question), request.options)


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield all subsets: the single streams first, all streams together last."""
    for count in range(1, len(names) + 1):
        yield from itertools.combinations(names, count)
