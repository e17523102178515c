"""`--init RUN`: the parts of a head that read one stream each start with the weights of other runs.

So a multimodal head starts from unimodal ones, as the team's QIA2020 project does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from emo.errors import FitError
from emo.heads.data.data import Data
from emo.heads.data.scaling import Scaling
from emo.heads.data.streams import StreamSource
from emo.heads.head import Head
from emo.heads.runs.clips_file import Known, read_known
from emo.heads.runs.run import Run
from emo.store.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Initial:
    """What one run knows about one stream."""

    run: Path
    stream: str
    weights: dict[str, Tensor]
    """Of the part of the head that reads the stream."""
    scaling: Scaling
    """With which those weights were trained; it goes with them."""
    recipe: Recipe
    """Of the tokens on which they were trained."""


@dataclass(frozen=True, eq=False)
class Initials:
    """Of all runs given, at most one a stream."""

    found: tuple[Initial, ...] = ()
    known: Mapping[Path, Known] = field(default_factory=dict)
    """Of each run, the ids of the clips by split, those of its own ``--init`` too."""

    @property
    def scalings(self) -> dict[str, Scaling]:
        """By stream."""
        return {each.stream: each.scaling for each in self.found}

    def check_streams(self, sources: Sequence[StreamSource]) -> None:
        """Refuse runs of other streams, or of streams that another recipe made.

        Raises:
            FitError: as said.
        """
        recipes = {source.name: source.recipe for source in sources}
        for each in self.found:
            ours = recipes.get(each.stream)
            if ours is None:
                raise FitError(
                    f"--init {each.run}: it reads {each.stream}, this fit {', '.join(recipes)}"
                )
            if ours.fingerprint != each.recipe.fingerprint:
                raise FitError(
                    f"--init {each.run}: another recipe made its {each.stream}: "
                    f"{'; '.join(each.recipe.differences(ours))}. Give the store it was fitted on."
                )

    def check(self, data: Data) -> None:
        """Refuse runs that know clips on which this one will be judged.

        Raises:
            FitError: as said.
        """
        judged = {"train": ("val", "test"), "val": ("test",)}
        for run, ids in self.known.items():
            for theirs, ours in judged.items():
                for split in ours:
                    _expect_apart(run, theirs, ids.get(theirs, frozenset()), split, data)

    @torch.no_grad()
    def fill(self, head: Head) -> Head:
        """The head, with the weights that were found.

        Raises:
            FitError: a weight has another shape.
        """
        parts = dict(zip(head.streams, _parts(head), strict=True)) if self.found else {}
        for each in self.found:
            own = parts[each.stream].state_dict()
            for name, tensor in each.weights.items():
                if own[name].shape != tensor.shape:
                    raise FitError(
                        f"--init {each.run}: {each.stream}: {name} is {tuple(tensor.shape)} there, "
                        f"{tuple(own[name].shape)} here; give the head the same options (-o)"
                    )
                own[name].copy_(tensor)
        return head


def read_initials(runs: Sequence[str], kind: type[Head], name: str) -> Initials:
    """What the runs know about their streams.

    Args:
        runs: folders of fits.
        kind: the head that will be filled.
        name: what it is called.

    Raises:
        FitError: a run of another head, a head without a part for each stream, a stream twice, or
            a run that does not say which clips it knows.
    """
    if runs and not kind.stream_modules:
        raise FitError(f"--init: head {name} has no part of its own for each stream")
    found: dict[str, Initial] = {}
    known = {}
    for path in map(Path, runs):
        run = Run.load(path)
        if type(run.head) is not kind:
            theirs = run.document["head"]["name"]
            raise FitError(f"--init {path}: expected a run of head {name}, found one of {theirs}")
        for stream, part in zip(run.streams, _parts(run.head), strict=True):
            if stream in found:
                raise FitError(f"--init: {found[stream].run} and {path} both know {stream}")
            recipe = run.recipes[stream.partition("/")[0]]
            found[stream] = Initial(path, stream, part.state_dict(), run.scalings[stream], recipe)
        known[path] = read_known(path)
    return Initials(tuple(found.values()), known)


def _parts(head: Head) -> torch.nn.ModuleList:
    """One module a stream, in the order of the streams."""
    found = head.get_submodule(head.stream_modules)
    assert isinstance(found, torch.nn.ModuleList)
    return found


def _expect_apart(run: Path, theirs: str, ids: frozenset[str], split: str, data: Data) -> None:
    own = data.splits[split].ids if split in data.splits else ()
    both = sorted(ids.intersection(own))
    if both:
        raise FitError(
            f"--init {run}: {len(both)} clips of its {theirs} are in {split} here ({both[0]} …), "
            "which would flatter the score; fit both on the same splits"
        )
