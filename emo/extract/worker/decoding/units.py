"""Units of decoding: a clip, a stretch of a long clip, or several clips of one file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from emo.extract.decode.one_pass import continues
from emo.extract.decode.source import ClipSource
from emo.extract.decode.stretches import stretches_of
from emo.extract.job.request import Request
from emo.manifest import Clip


@dataclass(frozen=True, eq=False)
class WorkUnit:
    """A clip, or a stretch of a long clip, that is decoded once for some backbones."""

    clip: Clip
    requests: tuple[Request, ...]
    """Backbones that this unit is decoded for."""
    source: ClipSource
    """Files of the clip, and start and end of the unit in them."""
    is_last_stretch: bool
    """Whether the clip is complete after this unit, for the backbones of :attr:`requests`."""
    is_last: bool
    """Whether the clip is complete after this unit, for all backbones."""


def units_of(
    clip: Clip,
    source: ClipSource,
    requests: Sequence[Request],
    stretch_seconds: Mapping[str, float | None],
) -> Iterator[WorkUnit]:
    """Cut a clip into units; backbones that cut it in the same way share its units.

    Args:
        clip: the manifest's row.
        source: where its media are.
        requests: the backbones that lack it.
        stretch_seconds: recipe name -> seconds of a stretch; None: the clip is not cut.
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
    """Group consecutive clips of one file that one pass decodes; other units are groups of one.

    The stretches of one long clip are not grouped, so that it takes constant memory.

    Args:
        units: units in plan order.
        most: most units of a group.
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
