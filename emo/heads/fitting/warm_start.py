"""`--init RUN`: start the modules that read one stream each with the weights of other runs.

This is how a multimodal head starts from unimodal ones, as in the team's QIA2020 project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from emo.errors import LISTED_NAMES, FitError
from emo.heads.data.data import Data
from emo.heads.data.scaling import Scaling
from emo.heads.data.seen_clips import ids_of, overlaps
from emo.heads.data.streams import StreamSource
from emo.heads.head import Head
from emo.heads.runs.clips_file import read_clip_ids
from emo.heads.runs.run import Run
from emo.store.adapted import ClipIds
from emo.store.recipe import Recipe


@dataclass(frozen=True, eq=False)
class StreamWeights:
    """Weights from one run for the module that reads one stream."""

    run: Path
    """Folder of the run."""
    stream: str
    """Name of the stream."""
    weights: dict[str, Tensor]
    """Weights of the module that reads the stream, by name."""
    scaling: Scaling
    """Scaling that the weights were trained with; the new fit uses it too."""
    recipe: Recipe
    """Recipe of the tokens that the weights were trained on."""
    asked: str = ""
    """What that run's ``--scaling`` said of the stream; ``""``: nothing."""


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """Weights from all runs of ``--init``, at most one run for each stream."""

    streams: tuple[StreamWeights, ...] = ()
    clip_ids: Mapping[Path, ClipIds] = field(default_factory=dict)
    """By run, the clips that took part in it, those of the runs it started from included."""

    @property
    def scalings(self) -> dict[str, Scaling]:
        """Scaling of each stream that has initial weights."""
        return {each.stream: each.scaling for each in self.streams}

    def check_streams(self, sources: Sequence[StreamSource]) -> None:
        """Check that this fit reads the streams, and that the same recipes made them.

        Raises:
            FitError: a stream is not read, or another recipe made it.
        """
        recipes = {source.name: source.recipe for source in sources}
        for each in self.streams:
            ours = recipes.get(each.stream)
            if ours is None:
                raise FitError(
                    f"--init {each.run}: that run reads {each.stream}, this fit reads "
                    f"{', '.join(recipes)}. Give runs on streams of this fit."
                )
            if ours.fingerprint != each.recipe.fingerprint:
                raise FitError(
                    f"--init {each.run}: another recipe made its {each.stream}: "
                    f"{'; '.join(each.recipe.differences(ours))}. Give the store that the run was "
                    "fitted on."
                )

    def check_scaling(self, asked: Mapping[str, str]) -> None:
        """Check that ``--scaling`` asks for nothing else than the scalings of the runs.

        Raises:
            FitError: it does; the weights fit only the tokens that they were trained on.
        """
        for each in self.streams:
            wanted = asked.get(each.stream, each.asked)
            if wanted != each.asked:
                theirs = f"--scaling {each.stream}={each.asked}" if each.asked else "none"
                raise FitError(
                    f"--scaling {each.stream}={wanted}: its weights come from --init {each.run}, "
                    f"and with them the scaling of that run ({theirs}). Leave --scaling "
                    f"{each.stream} out, or give a run that was scaled so."
                )

    def check_splits(self, data: Data) -> None:
        """Check that the runs were not fitted on clips which this fit evaluates on.

        Raises:
            FitError: they share clips.
        """
        for run, ids in self.clip_ids.items():
            for both in overlaps(ids, ids_of(data)):
                raise FitError(
                    f"--init {run}: {both.words(named=LISTED_NAMES)}, which would make the score "
                    "too good. Fit both on the same splits."
                )

    @torch.no_grad()
    def copy_to(self, head: Head) -> Head:
        """Copy the weights into a head, in place, and return it.

        Raises:
            FitError: a weight has another shape.
        """
        modules = (
            dict(zip(head.streams, _stream_modules(head), strict=True)) if self.streams else {}
        )
        for each in self.streams:
            own = modules[each.stream].state_dict()
            for name, tensor in each.weights.items():
                if own[name].shape != tensor.shape:
                    raise FitError(
                        f"--init {each.run}: {each.stream}: weight {name} has shape "
                        f"{tuple(tensor.shape)} in that run and {tuple(own[name].shape)} here. "
                        "Give the head the same options (-o)."
                    )
                own[name].copy_(tensor)
        return head


def read_initial_weights(runs: Sequence[str], kind: type[Head], name: str) -> InitialWeights:
    """Read the weights of each stream's module from runs.

    Args:
        runs: folders of runs.
        kind: class of the head that will start with the weights.
        name: name of that head.

    Raises:
        FitError: a run of another head, a head without one module for each stream, two runs on
            one stream, or a run without its list of clips.
    """
    if runs and not kind.stream_modules:
        raise FitError(f"--init: head {name} has no module of its own for each stream")
    found: dict[str, StreamWeights] = {}
    clip_ids = {}
    for path in map(Path, runs):
        run = Run.load(path)
        if type(run.head) is not kind:
            theirs = run.document["head"]["name"]
            raise FitError(f"--init {path}: expected a run of head {name}, found one of {theirs}")
        for stream, module in zip(run.streams, _stream_modules(run.head), strict=True):
            if stream in found:
                raise FitError(
                    f"--init: {found[stream].run} and {path} were both fitted on {stream}; give "
                    "one run for each stream"
                )
            recipe = run.recipes[stream.partition("/")[0]]
            found[stream] = StreamWeights(
                path, stream, module.state_dict(), run.scalings[stream], recipe,
                asked=str(run.document["options"]["scaling"].get(stream, "")),
            )  # fmt: skip
        clip_ids[path] = read_clip_ids(path)
    return InitialWeights(tuple(found.values()), clip_ids)


def _stream_modules(head: Head) -> torch.nn.ModuleList:
    """Return the head's list of one module for each stream, in the order of the streams."""
    found = head.get_submodule(head.stream_modules)
    assert isinstance(found, torch.nn.ModuleList)
    return found
