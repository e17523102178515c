"""Prepare and encode clips so that a clip that fails does not affect the rest of its batch."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from emo import plugins
from emo.errors import EmoError
from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode.stretches import StretchResult
from emo.extract.media import Media
from emo.extract.models.device import BrokenDevice, is_broken, is_out_of_memory
from emo.extract.worker.collector import ClipDone, Collector
from emo.extract.worker.decoding.prefetch import PreparedUnit
from emo.extract.worker.meter import StageMeter


class BatchEncoder:
    """Runs batches of prepared units through every backbone; called in the main thread."""

    def __init__(self, backbones: Mapping[str, Backbone], meter: StageMeter) -> None:
        """Keep the backbones by recipe name, and what counts the seconds of encoding."""
        self._backbones, self._meter = backbones, meter

    def encode(self, batch: Sequence[PreparedUnit], collector: Collector) -> Iterator[ClipDone]:
        """Encode a batch with every backbone and hand the results to the collector.

        Args:
            batch: units of one part, in plan order.
            collector: joins the results of the part.

        Yields:
            Each clip of the batch that is complete.

        Raises:
            BrokenDevice: the device can do no more work.
        """
        began = time.monotonic()
        for name in collector.writers:
            units = [unit for unit in batch if name in unit.prepared]
            for unit, result in zip(units, self._results(name, units), strict=True):
                collector.add(name, unit, result)
        seconds = time.monotonic() - began
        self._meter.add("encode", seconds, sum(prepared.unit.is_last for prepared in batch))
        for prepared in batch:
            if done := collector.done(prepared, seconds / len(batch)):
                yield done

    def _results(self, name: str, batch: Sequence[PreparedUnit]) -> Iterator[StretchResult]:
        """Encode a batch with one backbone; yield tokens or a failure for each unit."""
        items = [unit.prepared[name] for unit in batch]
        usable = {
            index: item
            for index, item in enumerate(items)
            if isinstance(item, Prepared) and item.inputs
        }
        encoded = encode_batch(self._backbones[name], usable)
        for index, item in enumerate(items):
            tokens = encoded.get(index, {})
            if isinstance(item, str) or isinstance(tokens, str):
                yield StretchResult(failure=item if isinstance(item, str) else str(tokens))
            else:
                yield StretchResult(tokens, None, item.absent, item.notes)


def prepare_one(backbone: Backbone, media: Media, *, is_strict: bool = False) -> Prepared | str:
    """Prepare one clip for a backbone, or return the reason why that failed.

    The notes about the clip's media are added to those of the backbone.

    Args:
        backbone: the backbone.
        media: the clip, decoded as the backbone needs it.
        is_strict: whether a clip fails whose media are damaged or cut.

    Raises:
        BrokenDevice: the device can do no more work.
    """
    if is_strict and media.faults:
        return f"{'; '.join(media.faults)} (--strict-media)"
    try:
        prepared = backbone.prepare(media)
    except Exception as error:  # recorded as this clip's failure
        return reason_of(error)
    return replace(prepared, notes={**media.notes, **prepared.notes})


def encode_batch(
    backbone: Backbone, prepared: Mapping[int, Prepared]
) -> dict[int, dict[str, np.ndarray] | str]:
    """Encode a batch of clips; after an error each clip is encoded alone.

    Args:
        backbone: the backbone.
        prepared: index of a clip in the batch -> its inputs.

    Returns:
        Index -> tokens (stream -> float32 (T, D)), or the reason why encoding failed.

    Raises:
        BrokenDevice: the device can do no more work, or lacks memory for each of several clips.
    """
    if not prepared:
        return {}
    found: dict[int, dict[str, np.ndarray] | Exception] = {}
    try:
        tokens = backbone.encode([item.inputs for item in prepared.values()])
        found.update(zip(prepared, tokens, strict=True))
    except Exception as error:
        found = {index: error for index in prepared}
        if len(prepared) > 1 and not is_broken(error):
            found = {index: _alone(backbone, item) for index, item in prepared.items()}
    if len(found) > 1 and all(map(is_out_of_memory, found.values())):
        raise BrokenDevice(f"no memory for any of {len(found)} clips: {found.popitem()[1]}")
    return {
        index: reason_of(one) if isinstance(one, Exception) else one for index, one in found.items()
    }


def _alone(backbone: Backbone, item: Prepared) -> dict[str, np.ndarray] | Exception:
    """Encode one clip in a batch of its own; return the clip's tokens, or the error."""
    try:
        (tokens,) = backbone.encode([item.inputs])
    except Exception as error:  # recorded as this clip's failure
        return error
    return tokens


def reason_of(error: Exception) -> str:
    """Return the failure reason to record for an error; an unexpected one includes its type.

    Raises:
        BrokenDevice: the error says that the device can do no more work; no clip is to blame.
    """
    if is_broken(error):
        raise BrokenDevice(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    if isinstance(error, EmoError):
        return str(error)
    where = plugins.where_in_own_code(error)
    return f"{type(error).__name__}: {error}" + (f" ({where})" if where else "")
