"""Read a whole table, such as a manifest, from a bucket or by https."""

import io

from emo.errors import StoreError
from emo.store.backend.https import download
from emo.store.backend.object_path import ObjectPath


def read_far_table(url: str, most_bytes: int) -> bytes:
    """Return the bytes of an object or of a file by https.

    Args:
        url: its URL.
        most_bytes: most bytes that are read.

    Raises:
        EmoError: it does not exist, is too large, or the server does not answer.
    """
    path = ObjectPath.parse(url)
    if path is None:
        out = io.BytesIO()
        download(url, out, most_bytes)
        return out.getvalue()
    try:
        bucket = path.media_bucket
        facts = bucket.facts(path.key, is_known=False)
        if facts.st_size > most_bytes:
            raise StoreError(
                f"{url}: it has {facts.st_size:,} bytes; at most {most_bytes:,} are read"
            )
        return bucket.read_range(path.key, 0, facts.st_size, facts) if facts.st_size else b""
    except FileNotFoundError as error:
        raise StoreError(f"{url}: no such object") from error
