"""Adapt backbones from Python, as `emo adapt` does."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.api.clips import Clips, clips_of
from emo.api.extracting import Requested, backbone
from emo.api.runs import FittedRun
from emo.api.store import Store, locations
from emo.errors import EmoError, OptionError
from emo.store.backend.https import allow_hosts
from emo.store.backend.location import location

if TYPE_CHECKING:
    import pandas as pd

_FOLDERS = ("adapt.json", "run")


class Adaptation:
    """A folder of `emo adapt`, whether it was made here or by the command.

    Example::

        adapted = emo.adapt_backbones(m, ["languagebind"], "adapted", target_modules=["q_proj"])
        adapted.run.scores          # of the new tokens with the trained head
        adapted.frozen              # the same scores with the base's weights
        emo.extract_features(m, "features", [adapted.backbone(name="tuned")])
    """

    def __init__(self, path: str | Path) -> None:
        """Read a finished adaptation.

        Raises:
            EmoError: the folder holds none.
        """
        self.path = Path(path)
        for name in _FOLDERS:
            if not (self.path / name).exists():
                raise EmoError(f"{path}: {name} is not there, so it is no finished adaptation")
        text = (self.path / "adapt.json").read_text(encoding="utf-8")
        self.document: dict[str, Any] = json.loads(text)

    @cached_property
    def run(self) -> FittedRun:
        """The run of the new tokens with the trained head."""
        return FittedRun(self.path / "run")

    @property
    def frozen(self) -> dict[str, dict[str, float]]:
        """Mean scores of the same head on the base's tokens, by split, of the first target."""
        target = self.run.targets[0]
        found = self.document["frozen_metrics"][target]
        return {split: dict(each["mean"]) for split, each in found.items()}

    @property
    def weights(self) -> dict[str, dict[str, Path]]:
        """Recipe -> option of the backbone -> folder of the new weights."""
        return {
            recipe: {option: self.path / folder for option, folder in options.items()}
            for recipe, options in self.document["weights"].items()
        }

    def backbone(self, recipe: str | None = None, *, name: str = "", **options: Any) -> Requested:
        """Return an adapted backbone for :func:`emo.extract_features`.

        Args:
            recipe: which of several adapted backbones; None: the only one.
            name: name of the recipe in the store; empty: that of the adaptation.
            options: options of the backbone in place of those of the adaptation.

        Raises:
            OptionError: there is no such backbone, or there are several.
        """
        known = list(self.document["backbones"])
        if recipe is None and len(known) == 1:
            (recipe,) = known
        if recipe is None or recipe not in known:
            raise OptionError(f"recipe: expected one of {', '.join(known)}, got {recipe}")
        made = self.document["backbones"][recipe]
        own = {option: str(path) for option, path in self.weights[recipe].items()}
        return backbone(
            made["plugin"], name=name or recipe, **{**made["options"], **own, **options}
        )


def adapt_backbones(
    clips: "Clips | pd.DataFrame",
    backbones: str | Requested | Sequence[str | Requested],
    out: str | Path = "adapted",
    *,
    features: "str | Path | Store | Sequence[str | Path | Store]" = (),
    head: str | None = None,
    head_options: Mapping[str, Any] = MappingProxyType({}),
    streams: Sequence[str] | str = (),
    targets: Sequence[str] | str = (),
    tasks: Mapping[str, str] | str = MappingProxyType({}),
    preset: str | None = None,
    inputs: str | Path | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: str | Path | None = None,
    allow_host: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Adaptation:
    """Train backbones and a head on labels, and write new weights and a run.

    Args:
        clips: a manifest, a DataFrame, or the path of a table.
        backbones: one or several: names of `emo list backbones`, or results of
            :func:`emo.backbone`; empty: those of the preset.
        out: folder of the adaptation.
        features: stores of frozen streams.
        head: a name of `emo list heads`; None: the preset's, or ``mean_pool``.
        head_options: options of the head by name.
        streams: frozen streams to read; empty: all.
        targets: columns to predict; empty: ``label``.
        tasks: task of each target, or one word for all; empty: the task that the cells suggest.
        preset: one of `emo list presets` whose name begins with ``adapt-``.
        inputs: store of what the backbones read; None: in ``out``.
        columns: columns of ``clips`` under other names.
        root: folder of the media.
        allow_host: hosts from which media and manifests may be read by https, from now on in this
            process.
        overwrite: replace an adaptation in ``out``.
        resume: go on with the newest complete checkpoint in ``out``.
        progress: whether to show bars; None: in a terminal or a notebook.
        options: further options of `emo adapt`, such as ``method="full"``, ``lora_r=16``,
            ``target_modules=["q_proj"]``, ``learning_rate=1e-4``, ``num_train_epochs=5``.

    Raises:
        EmoError: the command `emo adapt` would end with this sentence, or a signal stopped it.
    """
    from emo.adapt.adapt import adapt
    from emo.adapt.options import AdaptOptions
    from emo.adapt.planning.presets import find_adapt_preset
    from emo.adapt.words import adapt_options

    allow_hosts(allow_host)
    base = AdaptOptions.of(**find_adapt_preset(preset).fields) if preset else AdaptOptions()
    several = [backbones] if isinstance(backbones, str | Requested) else list(backbones)
    asked = [_requested(each) for each in several]
    words = [
        f"{each.name}.{option}={plugins.option_word(value)}"
        for each in asked
        for option, value in each.options.items()
    ]
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
             for name, value in options.items()}  # fmt: skip
    if head is not None:
        given["head"] = head
    if streams:
        given["streams"] = (streams,) if isinstance(streams, str) else tuple(streams)
    if isinstance(given.get("target_modules"), str):
        given["target_modules"] = (given["target_modules"],)
    weights: Mapping[str, float] = dict(given.pop("target_weights", {}))
    name = head or base.fit.head
    made = adapt_options(
        given,
        backbones=[f"{each.plugin}:{each.name}" for each in asked],
        option=[*words, *(f"{name}.{option}={plugins.option_word(value)}"
                          for option, value in head_options.items())],
        targets=(targets,) if isinstance(targets, str) else tuple(targets),
        tasks=[tasks] if isinstance(tasks, str) else [f"{k}={v}" for k, v in tasks.items()],
        weights=[f"{target}={factor}" for target, factor in weights.items()],
        base=base,
    )  # fmt: skip
    report = adapt(
        clips_of(clips, columns, root), locations(features) if features else (), Path(out), made,
        inputs=None if inputs is None else location(str(inputs)), resume=resume,
        overwrite=overwrite, has_head=head is not None or preset is not None, progress=progress,
    )  # fmt: skip
    if report.exit_code:
        raise EmoError("; ".join(report.lines) or "stopped by a signal; resume=True goes on")
    return Adaptation(report.out)


def _requested(wanted: str | Requested) -> Requested:
    return backbone(wanted) if isinstance(wanted, str) else wanted
