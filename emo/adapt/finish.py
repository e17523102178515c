"""The end of an adaptation: adapters, merged weights, a run on the new tokens, and a comparison."""

import dataclasses
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import emo
from emo.adapt.again import command_again
from emo.adapt.folder import (
    ADAPTERS,
    CHECKPOINTS,
    RUN_FOLDER,
    result_folder,
    write_adapt_file,
    write_adapters,
    write_weights,
)
from emo.adapt.frozen import Frozen, frozen_run, request_of, scored
from emo.adapt.live import Live, write_tokens
from emo.adapt.method.method import Method
from emo.adapt.module import AdaptModule
from emo.adapt.options import AdaptOptions
from emo.adapt.start import Start
from emo.errors import EmoError
from emo.extract.backbone import recipe_of
from emo.extract.decode.content import read_contents, salted_contents, write_contents
from emo.extract.models.adapted import read_seen_clips
from emo.extract.models.model import Model
from emo.heads.data.data import Data, read_data
from emo.heads.data.seen_clips import ids_of, seen_before
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.clips_file import write_clip_ids
from emo.heads.runs.comparing.baseline import against_baseline, shown_p
from emo.heads.runs.comparing.compare import scored_run
from emo.heads.runs.result import FitResult
from emo.heads.runs.write import write_run
from emo.heads.training.outcome import Round
from emo.manifest import Manifest
from emo.store.adapted import NEW_WEIGHTS
from emo.store.backend.location import Location, location

_LIBRARIES = ("torch", "transformers", "peft", "accelerate")


@dataclass(frozen=True, eq=False)
class Finished:
    """What an adaptation wrote."""

    result: FitResult
    """The run of the adapted backbone with its head."""
    frozen: FitResult
    """The run on the tokens of the base's weights: that of ``--init``, or a fit of the same head.
    """
    lines: tuple[str, ...]
    """What is printed."""


def finish(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path,
    options: AdaptOptions,
    start: Start,
    data: Data,
    models: Mapping[str, Model],
    lives: Mapping[str, Live],
    module: AdaptModule,
    method: Method,
    *,
    inputs: Location,
    rounds: Sequence[Round],
    facts: Mapping[str, Any],
    started: float,
    progress: bool | None,
) -> Finished:
    """Write all that an adaptation leaves, and compare it with frozen backbones.

    Args:
        manifest: the clips.
        features: stores of frozen streams.
        out: folder of the adaptation.
        options: options of the adaptation.
        start: the head at the start.
        data: the clips with the tokens of the base's weights.
        models: the trained backbones, with adapters that are not merged.
        lives: the backbones' options and recipes.
        module: the trained module.
        method: what was trained.
        inputs: store of what the backbones read.
        rounds: the epochs.
        facts: counts and the log, for ``adapt.json``.
        started: monotonic time in seconds at which the adaptation began.
        progress: whether to show bars; None: in a terminal.
    """
    work = out / CHECKPOINTS
    module.eval()
    with result_folder(out) as folder:
        write_clip_ids(folder, data, seen_before(data, start.clips.clip_ids))
        write_contents(folder, _contents(manifest, data, lives))
        document = _document(options, start, lives, facts)
        write_adapt_file(folder, document)
        write_adapters(folder / ADAPTERS, method, models)
        method.merge()
        written = write_weights(folder / NEW_WEIGHTS, models)
        recipes = {
            name: recipe_of(
                live.kind,
                dataclasses.replace(
                    live.options, **{option: str(path) for option, path in written[name].items()}
                ),
            )
            for name, live in lives.items()
        }
        ids = [clip_id for split in data.splits.values() for clip_id in split.ids]
        tokens = work / f"tokens-{'-'.join(each.fingerprint for each in recipes.values())}"
        write_tokens(
            models, recipes, inputs, tokens, ids, options.per_device_train_batch_size,
            seen=dict.fromkeys(recipes, read_seen_clips(folder)), progress=progress,
        )  # fmt: skip
        result = _run(manifest, features, out, start, data, module, tokens, rounds, started)
        (folder / RUN_FOLDER).mkdir()
        write_run(folder / RUN_FOLDER, result)
        frozen = frozen_run(
            manifest, features, location(str(work / "frozen-tokens")), work / "frozen-run", start,
            data, started=started, progress=progress,
        )  # fmt: skip
        compared = _compared(folder / RUN_FOLDER, frozen.folder)
        write_adapt_file(
            folder,
            document
            | {
                "recipes": {name: each.to_json() for name, each in recipes.items()},
                "weights": {
                    name: {option: f"{NEW_WEIGHTS}/{name}/{option}" for option in paths}
                    for name, paths in written.items()
                },
                "metrics": result.all_metrics,
                "frozen": frozen.what,
                "frozen_metrics": frozen.result.all_metrics,
                "seconds": round(time.monotonic() - started, 3),
            },
        )
    placed = {
        name: {option: out / NEW_WEIGHTS / name / option for option in paths}
        for name, paths in written.items()
    }
    again = command_again(manifest, lives, placed)
    return Finished(result, frozen.result, tuple(_lines(result, frozen, compared, again)))


def _run(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path,
    start: Start,
    data: Data,
    module: AdaptModule,
    tokens: Path,
    rounds: Sequence[Round],
    started: float,
) -> FitResult:
    """Score the trained head on the tokens of the merged weights."""
    stores = [location(str(tokens)), *features]
    found = read_data(manifest, stores, start.fit, scalings=data.scalings)
    found = dataclasses.replace(found, seen=data.seen, notes=(*found.notes, *data.seen))
    request = request_of(manifest, features, start, out / RUN_FOLDER)
    return scored(found, module.head.cpu(), request, rounds, started)


def _contents(manifest: Manifest, data: Data, lives: Mapping[str, Live]) -> dict[str, str]:
    """Return the contents of all clips that the new weights have seen."""
    found: dict[str, str] = {}
    for live in lives.values():
        for folder in live.kind.adaptations(live.options):
            found |= read_contents(folder)
    return found | salted_contents(manifest.clips, ids_of(data), manifest.root)


def _document(
    options: AdaptOptions, start: Start, lives: Mapping[str, Live], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is known before anything is written."""
    return {
        "options": options.flat() | {"head": start.fit.head},
        "backbones": {
            name: {"plugin": live.request.plugin, "options": live.request.options,
                   "base": live.request.recipe.to_json()}
            for name, live in lives.items()
        },
        **{name: value for name, value in facts.items() if name != "question"},
        "versions": {"emo": emo.__version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in _LIBRARIES},
        "device": str(torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"),
    }  # fmt: skip


def _compared(adapted: Path, frozen: Path) -> str:
    """Return the paired difference of the two runs on the same clips, or why there is none."""
    try:
        tests = against_baseline(scored_run(frozen, None), [scored_run(adapted, None)])
    except EmoError as error:
        return f"not compared: {error}"
    found = tests.tests[0]
    low, high = found.difference.interval
    mean = found.difference.second - found.difference.first
    return (
        f"difference {mean:+.3f}, 95 % interval {low:+.3f} – {high:+.3f}, p "
        f"{shown_p(found.difference.p)} (paired bootstrap over {found.paired.drawn})"
    )


def _lines(result: FitResult, frozen: Frozen, compared: str, again: str) -> list[str]:
    """Return the table of the run, the frozen score beside it, and what to do next."""
    target = result.data.targets[0]
    headline = HEADLINES[target.task]
    split = "test" if "test" in result.metrics else "val"
    scores = {
        name: each.metrics[split]["mean"][headline]
        for name, each in (("frozen", frozen.result), ("adapted", result))
    }
    beside = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    history = result.outcomes[0].history
    kept = result.outcomes[0].best.round
    lines = [result.table(), "", f"kept epoch {kept} of {len(history)}"]
    lines += [
        f"{title_of(headline)} of {target.name} on {split}: {beside}",
        f"frozen: {frozen.what}",
    ]
    lines += [compared, "", "extract again:", f"  {again}"]
    return lines
