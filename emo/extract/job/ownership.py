"""Tell whether this user wrote a job, or a stranger: a job names code and lines of a shell.

``job.json`` is signed with a key that lies in the user's configuration folder. A job folder of
somebody else, or one that was changed by hand, has no valid signature; what it names is run only
with consent (``--allow-code``).
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from emo import plugins
from emo.errors import OptionError, PluginError
from emo.extract.job.files.files_of import files_of
from emo.extract.job.folder import JobFolder
from emo.extract.job.paths import JOB_FILE
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES
from emo.machine.untrusted.files import read_regular
from emo.store.backend.commit import cannot_write
from emo.store.backend.https import allowed_hosts
from emo.store.backend.location import Location

SIGNATURE = "job.sig"
"""File beside ``job.json`` that holds its signature."""
_MOST_BYTES = 1000
"""Most bytes of a signature or a key."""


def sign(folder: Location) -> None:
    """Sign a job's ``job.json`` as written by this user; without a home it stays unsigned.

    Raises:
        StoreError: the folder cannot be written.
    """
    key = _key(is_made=True)
    if key is None:
        return
    try:
        files_of(folder).write(SIGNATURE, f"{_signature(folder, key)}\n".encode())
    except OSError as error:
        raise cannot_write(folder, error) from error


def is_own(folder: Location) -> bool:
    """Return whether this user wrote the ``job.json`` of a job folder as it is now."""
    key = _key(is_made=False)
    try:
        told = files_of(folder).read(SIGNATURE, _MOST_BYTES).decode("ascii").strip()
        return key is not None and hmac.compare_digest(told, _signature(folder, key))
    except (OSError, ValueError, TypeError):  # no signature, or one that is no ASCII
        return False


def names_code(folder: JobFolder, code_options: Container[str]) -> bool:
    """Return whether a job names classes or lines that its author chose, not only emo's own.

    Args:
        folder: the job.
        code_options: names of those options of its executor that a shell or scheduler obeys.
    """
    return bool(_classes(folder) or ":" in folder.executor or _lines(folder, {}, code_options))


def expect_consent(
    folder: JobFolder,
    executor: str | None,
    given: Mapping[str, Any],
    code_options: Container[str],
) -> None:
    """Check that the user agrees to run the code that a job names.

    Args:
        folder: the job.
        executor: executor that was given in this call; None: the job's own.
        given: options of it that were given in this call; they replace those of the job.
        code_options: names of those options of the job's executor that a shell or scheduler obeys.

    Raises:
        OptionError: the job reads media from hosts that the user did not allow.
        PluginError: the job names classes ``module:Class`` or lines for a shell, this user did not
            write it, and neither named them nor gave ``--allow-code``.
    """
    file = folder.path / "job.json"
    unknown = [host for host in folder.job.hosts if host not in allowed_hosts()]
    if unknown and not is_own(folder.path):
        raise OptionError(
            f"{file} was not written by you, and reads media from {', '.join(unknown)}; if you "
            f"trust it, add --allow-host {' --allow-host '.join(unknown)}"
        )
    if not names_code(folder, code_options):
        return
    names = [*_classes(folder), *([folder.executor] if executor is None else [])]
    if is_own(folder.path):
        plugins.trust(*(name for name in names if ":" in name))
        return
    for name in names:
        plugins.expect_trust(name, file)
    lines = _lines(folder, given, code_options) if executor in (None, folder.executor) else []
    if lines and plugins.ANY_CODE not in plugins.trusted():
        raise PluginError(
            f"{file} was not written by you, and holds lines for the shell or for sbatch: "
            f"{'; '.join(lines)}. If you agree to run them, repeat the command with --allow-code; "
            "else give your own"
        )


def _classes(folder: JobFolder) -> list[str]:
    files = folder.job.files
    names = [
        *(request.plugin for request in folder.job.requests),
        *(files.classes if files else ()),
    ]
    return [name for name in names if ":" in name]


def _lines(folder: JobFolder, given: Mapping[str, Any], code_options: Container[str]) -> list[str]:
    """Return the values of the job's own options that a shell or a scheduler will obey."""
    return [
        f"{name}={line}"
        for name, value in folder.executor_options.items()
        if name in code_options and name not in given
        for line in (value if isinstance(value, tuple | list) else [value])
    ]


def _signature(folder: Location, key: bytes) -> str:
    document = files_of(folder).read(JOB_FILE, MOST_DOCUMENT_BYTES)
    return hmac.new(key, document, hashlib.sha256).hexdigest()


def _read(path: Path, most_bytes: int) -> bytes:
    return read_regular(path, most_bytes=most_bytes, follow_links=True)


def _key(*, is_made: bool) -> bytes | None:
    """Return this user's key; None: there is none, and it is not or cannot be made."""
    try:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config").expanduser()
        path = home / "emo" / "job.key"
        if is_made and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with open(handle, "wb") as file:
                    file.write(secrets.token_bytes(32))
                os.link(new, path)  # two jobs that start at once share one key
            except FileExistsError:
                pass
            finally:
                new.unlink()
        key = _read(path, _MOST_BYTES)
    except (OSError, RuntimeError, ValueError):  # no home, or it cannot be written
        return None
    return key if len(key) == 32 else None
