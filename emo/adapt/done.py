"""Tell whether an adaptation that is finished is the one that is asked for again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emo.adapt.live import Live
from emo.adapt.options import AdaptOptions
from emo.errors import FitError
from emo.machine.untrusted.documents import parse_checked, shortened
from emo.machine.untrusted.files import read_regular
from emo.machine.untrusted.kinds import AnyJson, Fields, MapOf
from emo.manifest import Manifest
from emo.store.adapted import ADAPTATION_FILE
from emo.store.backend.location import Location
from emo.store.store import Store

NOT_ASKED = {"report_to", "logging_steps", "save_steps", "save_total_limit", "trainer"}
"""Options that change no result, so that a repeated or resumed adaptation may change them."""
_KIND = Fields({"asked": MapOf(AnyJson())})
_MOST_BYTES = 2**28


def what_is_asked(
    manifest: Manifest, features: Sequence[Location], options: AdaptOptions, lives: Sequence[Live]
) -> dict[str, Any]:
    """Return what decides the result of an adaptation, by name, for ``adapt.json``."""
    flat = {name: value for name, value in options.flat().items() if name not in NOT_ASKED}
    asked = {
        **flat,
        "manifest": manifest.sha256,
        "columns": dict(manifest.columns),
        "backbone recipes": {live.name: live.request.recipe.fingerprint for live in lives},
        "features": {
            name: folder.recipe.fingerprint
            for path in features
            for name, folder in Store(path).recipes.items()
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked, default=str))
    return plain


def others_than(out: Path, asked: Mapping[str, Any]) -> list[str]:
    """Return the names of what was asked otherwise in the finished adaptation of a folder.

    Raises:
        FitError: its ``adapt.json`` cannot be read.
    """
    path = out / ADAPTATION_FILE
    try:
        data = read_regular(path, most_bytes=_MOST_BYTES, follow_links=True)
        found = parse_checked(data, _KIND)["asked"]
    except (OSError, ValueError) as error:
        raise FitError(
            f"{path} cannot be read ({shortened(str(error))}), so that it is not known whether "
            "this adaptation is done; --overwrite replaces it, or choose another --out"
        ) from error
    return sorted(
        name for name in found.keys() | asked.keys() if found.get(name) != asked.get(name)
    )
