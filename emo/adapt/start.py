"""The head that an adaptation starts with: random, or that of a run (`--init`, linear probe first).

A random head distorts the features while it is learnt (Kumar et al. 2022, arXiv:2202.10054).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from emo import plugins
from emo.adapt.options import AdaptOptions
from emo.errors import FitError
from emo.heads.data.data import Data
from emo.heads.data.scaling import Scaling
from emo.heads.data.speakers import BY_SPEAKER
from emo.heads.fitting.request import Build
from emo.heads.fitting.warm_start import InitialWeights
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.runs.clips_file import read_clip_ids
from emo.heads.runs.run import Run
from emo.heads.training.losses import make_loss

_PROBE = "head linear with -o std=no -o fusion=early"


@dataclass(frozen=True, eq=False)
class Start:
    """What is known of the head before any clip is read."""

    kind: type[Head]
    """Class of the head."""
    fit: FitOptions
    """Options of the fit, with the head and its options."""
    run: Run | None = None
    """The run of ``--init``."""
    clips: InitialWeights = field(default_factory=InitialWeights)
    """The clips that the run has seen."""

    @property
    def head_options(self) -> Any:
        """Instance of the head's options."""
        return plugins.parse_options(self.kind.Options, self.fit.head_options, self.fit.head)

    @property
    def scalings(self) -> Mapping[str, Scaling]:
        """Scalings of the run's streams, which are used again."""
        return self.run.scalings if self.run else {}

    def check(self, data: Data) -> None:
        """Check that the run of ``--init`` reads these streams and predicts these targets.

        Raises:
            FitError: it does not, or it has seen clips that are evaluated here.
        """
        self.clips.check_splits(data)
        if self.run is None:
            return
        where = f"--init {self.run.path}"
        if list(self.run.streams) != list(data.dims):
            raise FitError(
                f"{where}: that run reads {', '.join(self.run.streams)}, this adaptation "
                f"{', '.join(data.dims)}; they must be the same, in this order"
            )
        for source in data.sources:
            theirs = self.run.recipes[source.name.partition("/")[0]]
            if theirs.fingerprint != source.recipe.fingerprint:
                raise FitError(
                    f"{where}: another recipe made its {source.name}: "
                    f"{'; '.join(theirs.differences(source.recipe))}"
                )
        wanted = [(each.name, each.task, each.classes) for each in data.targets]
        found = [(each.name, each.task, each.classes) for each in self.run.targets]
        if wanted != found:
            raise FitError(f"{where}: that run predicts {_targets(found)}, this adaptation "
                           f"{_targets(wanted)}")  # fmt: skip

    def build(self, data: Data, seed: int) -> Head:
        """Return the head with its first weights.

        Args:
            data: the clips, with the tokens of the base's weights.
            seed: seed of random weights.
        """
        build = Build(self.kind, data.dims, data.widths, self.head_options)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            head = build()
            if self.run is not None:
                head.load_state_dict(self.run.head.state_dict())
            else:
                train, val = (head.pool(data.splits[name].batch) for name in ("train", "val"))
                head.path(train, val, make_loss(train, self.fit.loop))
        return head


def start_of(options: AdaptOptions, live: tuple[str, ...], *, has_head: bool) -> Start:
    """Return the head's class and options, from the run of ``--init`` if there is one.

    Args:
        options: options of the adaptation.
        live: names of the live streams.
        has_head: whether the head was chosen by the user, not by default.

    Raises:
        FitError: a head that cannot be trained by gradient steps together with a backbone, or a
            run of another head.
    """
    fit, run, clips = options.fit, None, InitialWeights()
    for name, words in fit.scaling.items():
        if words == BY_SPEAKER and (name in live or name.partition("/")[0] in live):
            raise FitError(
                f"--scaling {name}=speaker: a live stream cannot be scaled by speaker, because its "
                "tokens change with each step"
            )
    if options.init:
        run = Run.load(Path(options.init))
        clips = InitialWeights((), {run.path: read_clip_ids(run.path)})
        fit = _with_head_of(run, fit, has_head=has_head)
    kind = plugins.load(plugins.HEADS, fit.head, Head)  # type: ignore[type-abstract]
    _check_kind(kind, fit)
    return Start(kind, fit, run, clips)


def _with_head_of(run: Run, fit: FitOptions, *, has_head: bool) -> FitOptions:
    """Return the options with the head of a run; a solved linear probe becomes one of steps."""
    name, own = run.document["head"]["name"], dict(run.document["head"]["options"])
    where = f"--init {run.path}"
    if has_head and fit.head != name:
        raise FitError(f"{where}: expected a run of head {fit.head}, found one of {name}")
    if run.head.is_solved:
        if (
            name != "linear"
            or own.get("std")
            or (own.get("fusion") != "early" and len(run.streams) > 1)
        ):
            raise FitError(
                f"{where}: a solved head is a start only if it is {_PROBE}, which is one linear "
                "layer on the means of tokens"
            )
        own |= {"solver": "adamw"}
    if any(scaling.by_speaker is not None for scaling in run.scalings.values()):
        raise FitError(f"{where}: that run scales a stream by speaker, which changes with a live "
                       "stream; fit it without")  # fmt: skip
    texts = {key: plugins.option_word(value) for key, value in own.items()}
    given = fit.head_options if has_head else {}
    other = [key for key, value in given.items() if texts.get(key, value) != value
             and key != "solver"]  # fmt: skip
    if other:
        raise FitError(f"{where}: that run has {other[0]}={texts[other[0]]}; leave the head's "
                       "options out")  # fmt: skip
    return fit.replace(head=name, head_options=texts)


def _check_kind(kind: type[Head], fit: FitOptions) -> None:
    """Raise FitError for heads of dialogues and heads that a solver finds."""
    if kind.unit == "dialogue":
        raise FitError(
            f"head {fit.head} reads whole dialogues; emo adapt trains heads of single clips. "
            "Adapt with another head, extract again, then fit this one"
        )
    own: Any = plugins.parse_options(kind.Options, fit.head_options, fit.head)
    solver = getattr(own, "solver", "adamw")
    if solver != "adamw":
        raise FitError(
            f"head {fit.head}: a solver finds its weights, which a changing backbone does not "
            f"allow. Use -o {fit.head}.solver=adamw, or start from a run of it: fit {_PROBE}, "
            "then --init RUN"
        )


def _targets(found: Sequence[tuple[str, str, tuple[str, ...]]]) -> str:
    return "; ".join(f"{name} ({task}, {len(classes)} classes)" for name, task, classes in found)
