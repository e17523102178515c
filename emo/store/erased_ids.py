"""Salted hashes of the clip ids that `emo store erase` removed, kept in the store.

``.erased/salt`` holds 32 random hex digits, made once; ``.erased/ids-<16 hex digits>.json`` a list
of hashes, each SHA-256 of salt and id. `emo extract` refuses the clips, and workers and
`emo store compact` that began before an erasure do not bring them back. Who has the store and
guesses an id can test the guess: the hash only keeps the list from being read.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from emo.errors import StoreError
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.kinds import Fields, ListOf
from emo.store.backend.commit import cannot_write, commit
from emo.store.backend.location import Location, file_names

ERASED = ".erased"
"""Folder in a store with the hashes of erased ids, and the state of an erasure at work."""
SALT = "salt"
"""File of the salt in that folder."""
_LIST = "ids-"
_FORM = Fields({"hashes": ListOf(str)})
_SALT_DIGITS = 32


@dataclass(frozen=True)
class ErasedIds:
    """The ids that were erased from a store, as hashes."""

    salt: str = ""
    """Salt of the hashes; empty: nothing was ever erased."""
    hashes: frozenset[str] = frozenset()
    """Hash of each erased id."""
    files: tuple[str, ...] = ()
    """Names of the files that were read, by which a later erasure is noticed."""

    def __contains__(self, clip_id: object) -> bool:
        return bool(self.hashes) and hashed(self.salt, str(clip_id)) in self.hashes

    def among(self, clip_ids: Iterable[str]) -> frozenset[str]:
        """Return those of some ids that were erased."""
        if not self.hashes:
            return frozenset()
        return frozenset(clip_id for clip_id in clip_ids if clip_id in self)


def hashed(salt: str, clip_id: str) -> str:
    """Return the hash of an id, 64 hex digits."""
    return hashlib.sha256(f"{salt}\n{clip_id}".encode("utf-8", "surrogatepass")).hexdigest()


def erased_files(store: Location) -> tuple[str, ...]:
    """Return the names of a store's lists of erased ids, sorted; no file is read."""
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            names = file_names(store / ERASED)
        except PermissionError as error:
            raise StoreError(f"{store / ERASED} cannot be read: {error.strerror}") from error
        return tuple(sorted(name for name in names if name.startswith(_LIST)))
    return ()


def read_erased(store: Location) -> ErasedIds:
    """Read which ids were erased from a store.

    Raises:
        StoreError: a list is damaged; extraction could bring a person's clips back.
    """
    names = erased_files(store)
    if not names:
        return ErasedIds()
    hashes: set[str] = set()
    for name in names:
        hashes |= _read(store / ERASED / name)
    return ErasedIds(_salt(store), frozenset(hashes), names)


def write_erased(store: Location, clip_ids: Iterable[str]) -> str:
    """Record that clips are erased from a store; the same clips again change nothing.

    Args:
        store: the store.
        clip_ids: ids of the clips.

    Returns:
        First 16 hex digits of the hash of the list, by which a repeat finds it again.

    Raises:
        StoreError: the store cannot be written.
    """
    folder = store / ERASED
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    commit(folder, SALT, lambda file: _put(file, secrets.token_hex(_SALT_DIGITS // 2).encode()))
    salt = _salt(store)
    hashes = sorted(hashed(salt, clip_id) for clip_id in set(clip_ids))
    _commit_list(folder, hashes)
    return _key(hashes)


def forget_erased(store: Location, clip_ids: Iterable[str]) -> int:
    """Let clips be extracted again that were erased; return how many had been.

    Raises:
        StoreError: a list is damaged, or the store cannot be written.
    """
    erased = read_erased(store)
    again = {hashed(erased.salt, clip_id) for clip_id in erased.among(clip_ids)}
    for name in erased.files if again else ():
        path = store / ERASED / name
        kept = _read(path) - again
        try:
            if kept:
                _commit_list(path.parent, sorted(kept))
            if not kept or _key(sorted(kept)) != name.removeprefix(_LIST).partition(".")[0]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path.parent, error) from error
    return len(again)


def refuse_erased(store: Location, clip_ids: Iterable[str]) -> None:
    """Raise an error if any of the clips were erased from a store.

    Raises:
        StoreError: some were; the message says how to extract them again.
    """
    found = sorted(read_erased(store).among(clip_ids))
    if found:
        shown = ", ".join(map(repr, found[:5])) + (" …" if len(found) > 5 else "")
        raise StoreError(
            f"{store}: {len(found):,} of these clips were erased from the store by "
            f"`emo store erase`: {shown}. Take them out of the manifest, or add --allow-erased to "
            "extract them again"
        )


def _commit_list(folder: Location, hashes: list[str]) -> None:
    data = json.dumps({"hashes": hashes}).encode() + b"\n"
    commit(folder, f"{_LIST}{_key(hashes)}.json", lambda file: _put(file, data))


def _key(hashes: list[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]


def _put(file: object, data: bytes) -> None:
    file.write(data)  # type: ignore[attr-defined]


def _salt(store: Location) -> str:
    path = store / ERASED / SALT
    try:
        salt = path.read_bytes().decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} cannot be read, without which nobody knows which clips were erased; restore "
            "it from a copy"
        ) from error
    if len(salt) != _SALT_DIGITS:
        raise StoreError(f"{path}: expected {_SALT_DIGITS} hex digits; restore it from a copy")
    return salt


def _read(path: Location) -> frozenset[str]:
    try:
        return frozenset(parse_checked(path.read_bytes(), _FORM)["hashes"])
    except FileNotFoundError:
        return frozenset()  # replaced meanwhile
    except (OSError, DocumentError) as error:
        raise StoreError(
            f"{path}: the list of erased clips is damaged ({error}); restore it from a copy"
        ) from error
