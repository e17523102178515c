"""What is decoded at once: a clip, a stretch of a long one, or several clips of one file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from emo.extract.decode.one_pass import continues
from emo.extract.decode.source import ClipSource
from emo.extract.decode.stretches import stretches_of
from emo.extract.job.request import Request
from emo.manifest import Clip


@dataclass(frozen=True, eq=False)
class WorkUnit:
    """A clip, or a stretch of a long one, for the backbones that read it so."""

    clip: Clip
    requests: tuple[Request, ...]
    source: ClipSource
    is_last_stretch: bool
    """The clip's tokens in these recipes are complete after it."""
    is_last: bool
    """Nothing of the clip follows."""


def units_of(
    clip: Clip,
    source: ClipSource,
    requests: Sequence[Request],
    stretch_seconds: Mapping[str, float | None],
) -> Iterator[WorkUnit]:
    """One decode for all backbones that cut the clip alike.

    Args:
        clip: the manifest's row.
        source: where its media are.
        requests: the recipes that lack it.
        stretch_seconds: by recipe, of a stretch; None: the clip is never cut.
    """
    alike: dict[float | None, list[Request]] = {}
    for request in requests:
        alike.setdefault(stretch_seconds[request.name], []).append(request)
    cut = {seconds: stretches_of(source, seconds) for seconds in alike}
    whole = [request for seconds in alike if len(cut[seconds]) == 1 for request in alike[seconds]]
    groups = [(whole, [source])] if whole else []
    groups += [(own, cut[key]) for key, own in alike.items() if len(cut[key]) > 1]
    for number, (together, parts) in enumerate(groups, 1):
        for index, part in enumerate(parts, 1):
            is_end = index == len(parts)
            yield WorkUnit(clip, tuple(together), part, is_end, is_end and number == len(groups))


def unit_groups(units: Iterator[WorkUnit], most: int) -> Iterator[list[WorkUnit]]:
    """Clips of one file, stretch after stretch, that one pass decodes; others alone.

    The stretches of a long clip stay apart, so that it takes constant memory.
    """
    group: list[WorkUnit] = []
    for unit in units:
        last = group[-1] if group else None
        if last is not None and not (
            len(group) < most
            and last.is_last
            and last.requests == unit.requests
            and continues(last.source, unit.source)
        ):
            yield group
            group = []
        group.append(unit)
    if group:
        yield group
