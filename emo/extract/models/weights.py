"""Finds and hashes the model files of a backbone; never downloads unless asked to.

A source is a folder, a single file, or a hub id such as ``LanguageBind/LanguageBind_Video``. A hub
id is looked for in ``$EMO_WEIGHTS/<id>``, then in Hugging Face's own cache, so that a compute node
without internet finds what a login node fetched.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from emo.errors import WeightsError

FOLDER_VARIABLE = "EMO_WEIGHTS"
_SHOWN = 5


@dataclass(frozen=True)
class WeightFile:
    """One file, or all files that match one pattern, of a backbone's weights."""

    names: tuple[str, ...]
    """Names or glob patterns relative to the source; the first that is there is taken."""
    is_optional: bool = False
    origin: str | None = None
    """Where it can be had when that is not the source: a hub id or an https URL."""
    source: str | None = None
    """A folder, file or hub id of its own; None: that of the weights."""
    option: str = "weights"
    """The backbone's option that gives this source; in the label when it is another."""

    @property
    def label(self) -> str:
        """As errors and tables name it."""
        folder = "" if self.option == "weights" else f"{self.option}/"
        return " or ".join(folder + name for name in self.names)


@dataclass(frozen=True)
class Weights:
    """What a backbone needs on disk."""

    owner: str
    """The backbone's name, for errors."""
    source: str
    """A folder, a file or a hub id."""
    files: tuple[WeightFile, ...]

    @property
    def fetch_command(self) -> str:
        """What to run on a machine that has internet."""
        sources = {file.option: self.source_of(file) for file in self.files}
        given = " ".join(f"-o {option}={source}" for option, source in sources.items())
        return f"emo weights fetch {self.owner} {given}"

    def source_of(self, file: WeightFile) -> str:
        """Where this file is looked for."""
        return file.source or self.source


@dataclass(frozen=True)
class Found:
    """Files of one source that are there."""

    folder: Path
    """The folder (or the only file) of the weights' own source."""
    paths: dict[str, tuple[Path, ...]]
    """By ``WeightFile.label``: one path, several for a pattern, none when optional and absent."""

    def path(self, name: str) -> Path | None:
        """The file called ``name`` (or whose entry offers ``name``), when it is there."""
        for label, paths in self.paths.items():
            if name in label.split(" or ") and paths:
                return paths[0]
        return None

    def get(self, name: str) -> Path:
        """The file called ``name``, which is there."""
        path = self.path(name)
        if path is None:
            raise WeightsError(f"{self.folder}: no file {name}")
        return path

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents of all files, whatever folder they lie in."""
        total = hashlib.sha256()
        every = {path for paths in self.paths.values() for path in paths}
        for line in sorted(f"{path.name}\0{file_hash(path)}\n" for path in every):
            total.update(line.encode())
        return total.hexdigest()


def locate_weights(weights: Weights) -> Found:
    """The files of ``weights``.

    Raises:
        WeightsError: some are not there; names them, where they were looked for, and what to run.
    """
    paths = {file.label: find(weights.source_of(file), file) for file in weights.files}
    missing = [f for f in weights.files if not f.is_optional and not paths[f.label]]
    if missing:
        sources = list(dict.fromkeys(weights.source_of(file) for file in missing))
        names = ", ".join(file.label for file in missing[:_SHOWN])
        names += " …" if len(missing) > _SHOWN else ""
        looked = ", ".join(
            str(candidate) for source in sources for candidate in candidates_of(source)
        )
        raise WeightsError(
            f"{weights.owner}: weights {' and '.join(map(repr, sources))} are not here: missing "
            f"{names} (looked in {looked}). On a machine with internet: {weights.fetch_command}; "
            f"or give {' and '.join(dict.fromkeys(f'-o {file.option}=DIR' for file in missing))}"
        )
    return Found(_existing(weights.source) or Path(weights.source), paths)


def find(source: str, file: WeightFile) -> tuple[Path, ...]:
    """The paths of one file (or of one pattern), none when it is not there."""
    candidate = _existing(source)
    if candidate is None:
        return ()
    if candidate.is_file():
        is_named = any(candidate.match(name) for name in file.names)
        return (candidate,) if is_named or not file.is_optional else ()
    matches = (tuple(sorted(candidate.glob(name))) for name in file.names)
    return next((found for found in matches if found), ())


def _existing(source: str) -> Path | None:
    return next((candidate for candidate in candidates_of(source) if candidate.exists()), None)


def candidates_of(source: str) -> list[Path]:
    """Where a source may lie, in the order of looking; the paths need not exist."""
    candidates = [Path(source).expanduser()]
    if root := os.environ.get(FOLDER_VARIABLE):
        candidates.append(Path(root).expanduser() / source)
    if "/" not in source:
        candidates.append(Path(torch.hub.get_dir()) / "checkpoints" / source)
    elif source.count("/") == 1 and not source.startswith((".", "/", "~")):
        candidates.append(_snapshot(source))
    return candidates


def file_hash(path: Path) -> str:
    """SHA-256 of a file; remembered by size and time, because weights have gigabytes."""
    status = path.stat()
    facts = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    known = _remembered()
    if facts in known:
        return known[facts]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if status.st_size > 2**20:
        _remember(facts, found)
    return found


def _snapshot(hub_id: str) -> Path:
    """The folder of a hub id in Hugging Face's cache: its newest snapshot, or where it would be."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    folder = cache / f"models--{hub_id.replace('/', '--')}"
    try:
        return folder / "snapshots" / (folder / "refs" / "main").read_text().strip()
    except OSError:
        return folder


def _remembered() -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(_hash_file().read_text())
    except (OSError, ValueError):
        return {}
    return known


def _remember(facts: str, found: str) -> None:
    target = _hash_file()
    unfinished = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({**_remembered(), facts: found}))
        unfinished.replace(target)
    except OSError:
        return  # a home that cannot be written costs time, nothing else


def _hash_file() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")).expanduser()
    return home / "emo" / "weights.json"
