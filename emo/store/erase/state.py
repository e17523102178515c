"""What an erasure knows before it changes anything, kept until it ends, so that it can be repeated.

A killed erasure has removed some of the clips' tokens already; the repeat needs them to prove that
they are nowhere, and the runs' lists of clips to name the heads. The file lies in the store, holds
tokens of the erased clips, their ids and the addresses of their media, and is removed when the
proof succeeds.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location
from emo.store.erase.files import remove_file, replace_file
from emo.store.erase.heads import Fitted
from emo.store.erase.token_rows import TokenRows
from emo.store.erased_ids import ERASED

PENDING = "pending-"
"""Start of the name of the file in the store's folder of erased ids."""


@dataclass
class Survey:
    """What the areas hold of the clips."""

    before: dict[str, str] = field(default_factory=dict)
    """File that holds something of the clips -> SHA-256 of its bytes."""
    fitted: dict[str, Fitted] = field(default_factory=dict)
    """Folder of a run -> what was fitted there on the clips."""
    tokens: dict[str, np.ndarray] = field(default_factory=dict)
    """Hash of a clip's stream -> its tokens (T, D)."""
    rows: TokenRows = field(default_factory=TokenRows)
    """The clips' tokens that no kept clip has."""
    entries: int = 0
    """Number of entries of the clips in parts, finished and failed."""
    media: frozenset[str] = frozenset()
    """Addresses and ETags of the clips' media, see :mod:`emo.store.erase.media`."""
    ids: frozenset[str] = frozenset()
    """Ids that were met anywhere."""

    def add(self, tokens: np.ndarray) -> None:
        """Add tokens (T, D) of erased clips."""
        self.rows.add(tokens)
        self.tokens.setdefault(str(hash(tokens.tobytes())), np.array(tokens))

    def add_earlier(self, other: "Survey") -> None:
        """Add what an earlier, killed erasure of the same clips had found."""
        self.before = {**self.before, **other.before}
        self.fitted = {**self.fitted, **other.fitted}
        for tokens in other.tokens.values():
            self.add(tokens)
        self.entries = max(self.entries, other.entries)


def load_state(store: Location, key: str) -> Survey | None:
    """Return what an earlier erasure of the same clips found; None: there was none.

    Raises:
        StoreError: the file is damaged.
    """
    path = _path(store, key)
    try:
        document = json.loads(path.read_bytes())
        found = Survey(document["before"], entries=document["entries"])
        found.media = frozenset(map(str, document.get("media", ())))
        found.ids = frozenset(map(str, document.get("ids", ())))
        for each in document["fitted"]:
            found.fitted[each["path"]] = Fitted(each["path"], each["kind"], each["clips"])
        for dtype, dim, data in document["tokens"]:
            tokens = np.frombuffer(base64.b64decode(data), dtype).reshape(-1, dim)
            found.add(tokens)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path}: the state of an erasure that was stopped is damaged ({error}); remove the "
            "file and repeat: then tokens that were removed already are not looked for"
        ) from error
    return found


def save_state(store: Location, key: str, survey: Survey) -> None:
    """Write what an erasure found, before it changes anything.

    Raises:
        StoreError: the store cannot be written.
    """
    document: dict[str, Any] = {
        "before": survey.before,
        "entries": survey.entries,
        "media": sorted(survey.media),
        "ids": sorted(survey.ids),
        "fitted": [each.to_json() for each in survey.fitted.values()],
        "tokens": [
            (each.dtype.name, each.shape[1], base64.b64encode(each.tobytes()).decode())
            for each in survey.tokens.values()
        ],
    }
    data = json.dumps(document).encode()
    path = _path(store, key)
    replace_file(path, data)


def remove_state(store: Location, key: str) -> None:
    """Remove the file, which holds tokens of the erased clips.

    Raises:
        StoreError: it cannot be removed.
    """
    try:
        remove_file(_path(store, key))
    except OSError as error:
        raise cannot_write(store, error) from error


def _path(store: Location, key: str) -> Location:
    return store / ERASED / f"{PENDING}{key}.json"
