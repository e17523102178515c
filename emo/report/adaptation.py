"""Scores of an adapted backbone beside those of the frozen one, which ``adapt.json`` keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emo.errors import FitError
from emo.heads.runs.files import RUN_FILE
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES, DocumentError, parse_checked
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.kinds import AnyJson, Fields, MapOf, Where
from emo.store.adapted import ADAPTATION_FILE

ADAPTED_RUN = "run"
"""Name of the folder of the run in the folder of an adaptation."""
_NUMBER = Where(AnyJson(), lambda value: value is None or type(value) in (int, float), "a number")
_SCORES = Fields(
    {"clips": int, "seeds": MapOf(MapOf(_NUMBER)), "mean": MapOf(_NUMBER), "std": MapOf(_NUMBER)},
    {"interval": MapOf(AnyJson()), "majority": MapOf(_NUMBER)},
)
_ADAPTATION = Fields({}, {"frozen_metrics": MapOf(MapOf(_SCORES))})


def run_folder_of(path: Path) -> Path:
    """Return the folder of the run in the folder of an adaptation; of a run, the folder itself."""
    inner = path / ADAPTED_RUN
    is_adaptation = (path / ADAPTATION_FILE).is_file() and (inner / RUN_FILE).is_file()
    return inner if is_adaptation and not (path / RUN_FILE).is_file() else path


def is_adapted(run: Path) -> bool:
    """Return whether a folder of a run lies in the folder of an adaptation."""
    own = run.absolute()
    return own.name == ADAPTED_RUN and (own.parent / ADAPTATION_FILE).is_file()


def frozen_scores(run: Path) -> Mapping[str, Any]:
    """Return scores by target and split of the same head on frozen backbones.

    Args:
        run: folder of a run; only one in the folder of an adaptation has such scores.

    Raises:
        FitError: ``adapt.json`` is damaged.
    """
    if not is_adapted(run):
        return {}
    file = run.absolute().parent / ADAPTATION_FILE
    try:
        document = parse_checked(
            read_regular(file, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True), _ADAPTATION
        )
    except (OSError, UnfitFileError, DocumentError) as error:
        raise FitError(f"{file}: damaged: {error}") from error
    found: Mapping[str, Any] = document.get("frozen_metrics", {})
    return found
