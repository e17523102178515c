"""Size and ETag of the objects that a manifest names, from listings: no request for each clip."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from emo.extract.decode.sources.bodies import as_media_errors
from emo.manifest import Clip
from emo.store.backend.object_facts import ObjectFacts
from emo.store.backend.object_path import ObjectPath
from emo.untrusted.addresses import is_url, parse_address

MOST_FOLDERS = 32
"""Folders of a bucket that are listed each on its own; of more, all below what they share is."""
_ABSENT = ObjectFacts(-1, 0, "")


def list_objects(clips: Iterable[Clip]) -> None:
    """List the objects of buckets that clips name, so that their sizes and ETags are known.

    An object that is not there gets the size -1.

    Raises:
        MediaError: a bucket cannot be listed.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for url in _urls(clips):
        path = ObjectPath.parse(url)
        if path is not None:
            wanted[path.root].add(path.key)
    for root, keys in wanted.items():
        bucket = ObjectPath(root, "").media_bucket
        with as_media_errors(root):
            for prefix in _prefixes(keys):
                for key, facts in bucket.walk(prefix):
                    if key in keys:
                        keys.discard(key)
                        bucket.remember(key, facts)
        for key in keys:
            bucket.remember(key, _ABSENT)


def _prefixes(keys: set[str]) -> Sequence[str]:
    """Return the names in a bucket below which all keys lie."""
    folders = {key.rpartition("/")[0] for key in keys}
    if len(folders) > MOST_FOLDERS:
        return [os.path.commonpath(folders)]
    kept: list[str] = []
    for folder in sorted(folders):  # one below another is listed with it
        if not any(folder == one or folder.startswith(f"{one}/") or not one for one in kept):
            kept.append(folder)
    return kept


def known_facts(url: str) -> tuple[int, str]:
    """Return size and ETag of an object as the last listing said; of an https URL ``(0, "")``.

    Without a listing the server is asked.
    """
    path = ObjectPath.parse(url)
    if path is None:
        return 0, ""
    try:
        with as_media_errors(url):
            facts = path.media_bucket.facts(path.key)
    except Exception:  # missing, as -1 of a local file: the clip will fail, with a reason
        return -1, ""
    return facts.st_size, facts.etag


def facts_of_clips(clips: Iterable[Clip]) -> dict[str, tuple[int, str]]:
    """Return what is known of the objects that clips name: URL -> size and ETag."""
    urls = dict.fromkeys(url for url in _urls(clips) if ObjectPath.parse(url) is not None)
    return {url: known_facts(url) for url in urls}


def remember_facts(objects: Mapping[str, tuple[int, str]]) -> None:
    """Keep facts that :func:`facts_of_clips` returned, perhaps on another machine."""
    for url, (size, etag) in objects.items():
        path = ObjectPath.parse(url)
        if path is not None and size >= 0:
            path.media_bucket.remember(path.key, ObjectFacts(size, 0, etag))


def _urls(clips: Iterable[Clip]) -> Iterator[str]:
    """Yield the URLs of the files, or of their shards, that clips name."""
    for clip in clips:
        for cell in (clip.video, clip.audio):
            if cell is not None and "://" in cell:
                file = parse_address(cell).file
                if is_url(file):
                    yield file
