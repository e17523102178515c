"""Find out which clips weights were adapted on: weights of `emo adapt` lie in its folder.

``ADAPTED/weights/RECIPE/OPTION/`` holds the weights, ``ADAPTED/adapt.json`` says that the folder is
one of `emo adapt`, and ``ADAPTED/clips.csv`` lists the clips.
"""

from collections.abc import Iterable
from pathlib import Path

from emo.errors import WeightsError
from emo.extract.models.weights import Found
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import read_regular
from emo.store.adapted import (
    ADAPTATION_FILE,
    MOST_LIST_BYTES,
    NEW_WEIGHTS,
    NOTHING_SEEN,
    SEEN_CLIPS_FILE,
    ClipIds,
    SeenClips,
    parse_clip_ids,
)


def seen_clips(found: Found) -> SeenClips:
    """Return the clips that weights were adapted on; none: the weights are not of `emo adapt`.

    Raises:
        WeightsError: they are of `emo adapt`, and its list of clips is missing or damaged.
    """
    seen = NOTHING_SEEN
    paths = {path for found_paths in found.paths.values() for path in found_paths}
    for folder in sorted(adapted_folders(paths)):
        seen |= read_seen_clips(folder)
    return seen


def adapted_folders(paths: Iterable[Path]) -> set[Path]:
    """Return the folders of `emo adapt` in which files of weights lie, wherever links lead."""
    every = {each for path in paths for each in (path.absolute(), path.resolve())}
    return {
        folder.parent
        for path in every
        for folder in path.parents
        if folder.name == NEW_WEIGHTS and (folder.parent / ADAPTATION_FILE).is_file()
    }


def read_seen_clips(adapted: Path) -> SeenClips:
    """Read the list of clips in a folder of `emo adapt`.

    Raises:
        WeightsError: it is missing or damaged.
    """
    return SeenClips.of(_read(adapted))


def read_known_ids(adapted: Path) -> frozenset[str]:
    """Read the ids of all clips of an adaptation, those of test included.

    Raises:
        WeightsError: the list is missing or damaged.
    """
    return frozenset().union(*_read(adapted).values())


def _read(adapted: Path) -> ClipIds:
    path = adapted / SEEN_CLIPS_FILE
    try:
        return parse_clip_ids(read_regular(path, most_bytes=MOST_LIST_BYTES, follow_links=True))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path}, the list of clips that these weights were adapted on, cannot be read "
            f"({shortened(str(error))}): without it no score on their tokens can be trusted. "
            "Copy the whole folder of emo adapt again"
        ) from error
