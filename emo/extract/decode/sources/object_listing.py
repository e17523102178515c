"""Size and ETag of the objects that a manifest names, from listings: no request for each clip."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from emo.errors import EmoError
from emo.extract.decode.sources.bodies import as_media_errors
from emo.machine.untrusted.addresses import is_url, parse_address
from emo.manifest import Clip
from emo.store.backend.object_facts import ObjectFacts
from emo.store.backend.object_path import SCHEMES, ObjectPath

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
        if (found := _root_and_key(url)) is not None:
            wanted[found[0]].add(found[1])
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
    found = _root_and_key(url)
    if found is None:
        return 0, ""
    root, key = found
    bucket = ObjectPath(root, "").media_bucket
    facts = bucket.known(key)
    if facts is None:
        try:
            facts = bucket.facts(key)
        except (EmoError, OSError):  # as -1 of a missing local file: the clip fails with a reason
            facts = _ABSENT
    return facts.st_size, facts.etag


def facts_of_clips(clips: Iterable[Clip]) -> dict[str, tuple[int, str]]:
    """Return what is known of the objects that clips name: URL -> size and ETag."""
    urls = dict.fromkeys(url for url in _urls(clips) if _root_and_key(url) is not None)
    return {url: known_facts(url) for url in urls}


def remember_facts(objects: Mapping[str, tuple[int, str]]) -> None:
    """Keep facts that :func:`facts_of_clips` returned, perhaps on another machine."""
    for url, (size, etag) in objects.items():
        found = _root_and_key(url)
        if found is not None and size >= 0:
            ObjectPath(found[0], "").media_bucket.remember(found[1], ObjectFacts(size, 0, etag))


def _root_and_key(url: str) -> tuple[str, str] | None:
    """Return bucket and name of an object; None: an https URL. Called for every clip."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        return None
    name, _, key = rest.partition("/")
    if "//" in rest or key.endswith("/"):
        key = "/".join(filter(None, key.split("/")))
    return f"{scheme}://{name}", key


def _urls(clips: Iterable[Clip]) -> Iterator[str]:
    """Yield the URLs of the files, or of their shards, that clips name."""
    for clip in clips:
        for cell in (clip.video, clip.audio):
            if cell is not None and "://" in cell:
                file = parse_address(cell).file if "!" in cell else cell
                if is_url(file):
                    yield file
