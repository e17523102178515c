"""`emo fit-head --ablate`: one run for every subset of the streams, in one table."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from emo.errors import FitError
from emo.heads.compare import Comparison, compare_runs
from emo.heads.cross import cross_validate
from emo.heads.files import RUN_FILE, read_document
from emo.heads.fit import FitOptions, fit_head
from emo.heads.folder import told
from emo.heads.seeds import Asked, asked_of
from emo.heads.streams import open_sources
from emo.manifest import Manifest
from emo.store.place import Place

MOST_STREAMS = 6
"""More would be over 63 runs."""


def ablate(
    manifest: Manifest,
    features: Sequence[Place],
    out: Path,
    options: FitOptions,
    *,
    by: str | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> Comparison:
    """Fit a head on every subset of the streams; each run is a folder in ``out``.

    Args:
        manifest: the clips.
        features: stores from ``emo extract``.
        out: the folder of the runs, named ``audio+text`` and so on.
        options: what is asked of each run; its streams are those of which subsets are taken.
        by: as of :func:`emo.heads.cross.cross_validate`; None: the manifest's splits.
        resume: keep the runs that are there, which an interrupted ablation wrote.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: as of a fit; and fewer than 2 or more than ``MOST_STREAMS`` streams.
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
    runs = []
    for subset in _subsets(streams):
        runs.append(out / "+".join(name.replace("/", "-") for name in subset))
        masked = tuple(name for name in options.spec_augment if name in subset)
        missing = options.missing and len(subset) > 1
        own = dataclasses.replace(options, streams=subset, spec_augment=masked, missing=missing)
        if resume and _is_done(runs[-1], asked_of(manifest, features, None, own)):
            continue
        if by is None:
            fit_head(manifest, features, runs[-1], own, resume=resume, progress=progress)
        else:
            cross_validate(
                manifest, features, runs[-1], own, by=by, resume=resume, progress=progress
            )
    return compare_runs(runs)


def _is_done(run: Path, asked: Asked) -> bool:
    """The folder is a finished run of the same options on the same manifest."""
    if not (run / RUN_FILE).is_file():
        return False
    found, wanted = read_document(run), told(asked.options, dataclasses.asdict(asked.head_options))
    return (
        all(found.get(name) == value for name, value in wanted.items())
        and tuple(target["name"] for target in found["targets"]) == asked.options.targets
        and found["manifest"]["sha256"] == asked.manifest.sha256
    )


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The single ones first, all together last."""
    for count in range(1, len(names) + 1):
        yield from itertools.combinations(names, count)
