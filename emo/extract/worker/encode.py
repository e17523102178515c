"""Prepares and encodes clips for one backbone; a clip that fails spares its neighbours."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from emo.errors import EmoError
from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode.notes import fault_of
from emo.extract.media import Media
from emo.extract.models.device import BrokenDevice, is_broken


def prepare_one(backbone: Backbone, media: Media, *, is_strict: bool = False) -> Prepared | str:
    """Prepare a clip for a backbone, or return the reason why that failed.

    Args:
        backbone: the backbone.
        media: the clip, decoded as the backbone needs it.
        is_strict: whether a clip fails whose media are damaged or cut.

    Returns:
        The prepared clip with the notes about its media, or the reason of the failure.
    """
    fault = fault_of(media.notes) if is_strict else None
    if fault is not None:
        return f"{fault} (--strict-media)"
    try:
        prepared = backbone.prepare(media)
        return replace(prepared, notes={**media.notes, **prepared.notes})
    except Exception as error:  # recorded as this clip's failure
        return reason_of(error)


def encode_batch(
    backbone: Backbone, prepared: Mapping[int, Prepared]
) -> dict[int, dict[str, np.ndarray] | str]:
    """Place in the batch -> tokens, or why encoding failed; one bad clip spares its batch.

    Raises:
        BrokenDevice: the device broke, or has no memory for any of several clips, each alone.
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
    if len(found) > 1 and all(isinstance(one, torch.OutOfMemoryError) for one in found.values()):
        raise BrokenDevice(f"no memory for any of {len(found)} clips: {found.popitem()[1]}")
    return {
        index: reason_of(one) if isinstance(one, Exception) else one for index, one in found.items()
    }


def _alone(backbone: Backbone, item: Prepared) -> dict[str, np.ndarray] | Exception:
    try:
        (tokens,) = backbone.encode([item.inputs])
    except Exception as error:  # recorded as this clip's failure
        return error
    return tokens


def why_absent(absent: Mapping[str, str]) -> str:
    """The reasons of a clip's absent streams in one line."""
    return "; ".join(f"{stream}: {reason}" for stream, reason in absent.items())


def reason_of(error: Exception) -> str:
    """The recorded reason of a failure; the kind of error too when it is not one of ours.

    Raises:
        BrokenDevice: it is no failure of the clip.
    """
    if is_broken(error):
        raise BrokenDevice(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    return str(error) if isinstance(error, EmoError) else f"{type(error).__name__}: {error}"
