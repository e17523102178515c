"""Prepares and encodes clips for one backbone; a clip that fails spares its neighbours."""

from collections.abc import Mapping

import numpy as np

from emo.errors import EmoError
from emo.extract.backbone import Backbone, Prepared
from emo.extract.media import Media


def prepare_one(backbone: Backbone, media: Media) -> Prepared | str:
    """What the backbone prepares of a clip, or the reason why it could not."""
    try:
        return backbone.prepare(media)
    except Exception as error:  # recorded as this clip's failure
        return reason_of(error)


def encode_batch(
    backbone: Backbone, prepared: Mapping[int, Prepared]
) -> dict[int, dict[str, np.ndarray] | str]:
    """Place in the batch -> tokens, or why encoding failed; one bad clip spares its batch."""
    if not prepared:
        return {}
    try:
        tokens = backbone.encode([item.inputs for item in prepared.values()])
        return dict(zip(prepared, tokens, strict=True))
    except Exception as error:  # found alone below, recorded as a failure
        if len(prepared) == 1:
            return {place: reason_of(error) for place in prepared}
    alone = (encode_batch(backbone, {place: item}) for place, item in prepared.items())
    return {place: result for results in alone for place, result in results.items()}


def why_absent(absent: Mapping[str, str]) -> str:
    """The reasons of a clip's absent streams in one line."""
    return "; ".join(f"{stream}: {reason}" for stream, reason in absent.items())


def reason_of(error: Exception) -> str:
    """The recorded reason of a failure; the kind of error too when it is not one of ours."""
    return str(error) if isinstance(error, EmoError) else f"{type(error).__name__}: {error}"
