"""`emo adapt --dry-run`: forecast an adaptation of the clips of a manifest."""

from collections.abc import Sequence
from contextlib import suppress

from emo.adapt.options import AdaptOptions
from emo.adapt.planning.forecast import ClipCounts, Forecast, forecast
from emo.errors import EmoError
from emo.extract.decode.decode import probe_seconds
from emo.extract.decode.source import source_of
from emo.extract.run import PROBED_CLIPS
from emo.heads.data.load import tasks_of_targets
from emo.heads.data.select import labelled_clips
from emo.heads.data.splits import assign_splits
from emo.heads.data.targets import fit_target, strata_of
from emo.heads.head import Width
from emo.manifest import Manifest
from emo.store.backend.location import Location
from emo.store.store import Store

USUAL_SECONDS = 3.0
"""Length of a clip where no file tells it: that of MELD's utterances."""


def dry_run(
    manifest: Manifest,
    features: Sequence[Location],
    options: AdaptOptions,
    *,
    world_size: int = 1,
) -> Forecast:
    """Forecast an adaptation; no weights are read, nothing is computed or written.

    ClipCounts that turn out to have no features are counted, too.

    Args:
        manifest: the clips.
        features: stores of frozen streams.
        options: options of the adaptation.
        world_size: number of processes.

    Raises:
        EmoError: an unknown target, splits from which nothing can be learnt, or options that name
            no backbone, layer or parameter.
    """
    train, widths = _train_clips(manifest, options)
    if options.max_train_samples is not None:
        train = min(train, options.max_train_samples)
    clips = ClipCounts(train, len(manifest.clips), typical_seconds(manifest))
    return forecast(
        options, clips, widths, frozen=_frozen_dims(features, options), world_size=world_size
    )


def typical_seconds(manifest: Manifest) -> float:
    """Return the mean length of a few clips; 3 seconds where no file tells it."""
    found = []
    for clip in manifest.clips[:: max(1, len(manifest.clips) // PROBED_CLIPS)]:
        with suppress(EmoError, OSError):  # it is only a forecast
            found.append(probe_seconds(source_of(clip, manifest.root)))
    known = [seconds for seconds in found if seconds]
    return sum(known) / len(known) if known else USUAL_SECONDS


def _train_clips(manifest: Manifest, options: AdaptOptions) -> tuple[int, dict[str, Width]]:
    """Return how many clips are trained on, and the number of logits of each target."""
    fit = options.fit
    tasks = tasks_of_targets(manifest, fit.targets, fit.tasks)
    clips, _ = labelled_clips(manifest, tasks, "clip")
    first, task = next(iter(tasks.items()))
    strata = strata_of(task, [clip.targets.get(first) for clip in clips])
    splits = assign_splits(
        clips, strata, seed=fit.first_seed, are_classes=task == "classify", cut=fit.cut
    )
    rows = splits.rows["train"]
    return len(rows), {
        name: fit_target(name, kind, [clips[row].targets.get(name) for row in rows]).width
        for name, kind in tasks.items()
    }


def _frozen_dims(features: Sequence[Location], options: AdaptOptions) -> dict[str, int]:
    """Return the width of each stream of the stores, or of those that the options name."""
    every = {
        f"{name}/{stream}": spec.dim
        for path in features
        for name, folder in Store(path).recipes.items()
        for stream, spec in folder.recipe.streams.items()
    }
    wanted = options.fit.streams
    if not wanted:
        return every
    return {
        name: dim for name, dim in every.items() if {name, name.partition("/")[0]} & set(wanted)
    }
