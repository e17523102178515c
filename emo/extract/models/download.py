"""List the weights of a backbone, download the missing ones, and check that they load."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from emo import plugins
from emo.errors import OptionError, WeightsError
from emo.extract.backbone import Backbone
from emo.extract.models.file_hashes import hash_again
from emo.extract.models.model import Model
from emo.extract.models.named_models import resolved
from emo.extract.models.weights import (
    WeightFile,
    Weights,
    candidates_of,
    find,
    is_hub_id,
    locate_weights,
)


def weights_of(name: str, options: Sequence[str] = ()) -> Weights:
    """Return which weights a backbone needs.

    Args:
        name: a backbone, see ``emo list backbones``.
        options: ``name=value`` words of its options.

    Raises:
        OptionError: the backbone has no weights, or an option is unknown.
    """
    kind, given = _model(name, options)
    return kind.weights(given)


def weight_files(weights: Weights) -> list[dict[str, object]]:
    """Return a table row for each file: its name, state, size in MB, path and origin.

    The state is ``here``, ``missing`` or ``optional`` (missing, but not needed). The path of a
    missing file lists the folders that were searched.
    """
    rows: list[dict[str, object]] = []
    for file in weights.files:
        source = weights.source_of(file)
        paths = find(source, file)
        state = "here" if paths else "optional" if file.is_optional else "missing"
        candidates = paths or tuple(candidates_of(source))
        rows.append(
            {
                "file": file.label,
                "state": state,
                "MB": sum(path.stat().st_size for path in paths) / 1e6 if paths else None,
                "path": ", ".join(str(candidate) for candidate in candidates[:3]),
                "from": file.origin or source,
            }
        )
    return rows


def fetch_missing(weights: Weights) -> Iterator[str]:
    """Download each missing file.

    Yields:
        One line of text for each file.

    Raises:
        WeightsError: no internet, no such file, or a source that is only a local folder.
    """
    for file in weights.files:
        source = weights.source_of(file)
        if find(source, file):
            yield f"here:    {file.label}"
            continue
        try:
            candidate = _fetch(file, source)
            if not find(source, file):  # the hub's client accepts an older, incomplete copy
                raise WeightsError(
                    f"{file.origin or source} gave no such file; is it reachable from this machine?"
                )
            yield f"fetched: {candidate}"
        except Exception as error:  # the hub and urllib raise many kinds of errors
            if file.is_optional:
                yield f"not found: {file.label} (optional)"
                continue
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsError(
                f"{weights.owner}: {file.label} could not be downloaded: {reason}"
            ) from error


def check_weights(name: str, options: Sequence[str] = (), *, rehash: bool = False) -> str:
    """Load the model and describe it: parameters, streams, hash of the files.

    Args:
        name: a backbone, see ``emo list backbones``.
        options: ``name=value`` words of its options.
        rehash: read the files again instead of trusting the hashes that are remembered for them.

    Raises:
        WeightsError: a file or tensor is missing or damaged.
    """
    kind, given = _model(name, options)
    if rehash:
        hash_again(locate_weights(kind.weights(given)).every_path)
    recipe = kind.recipe(given)
    backbone = kind.load(given, device="cpu")
    modules = [value for value in vars(backbone).values() if isinstance(value, torch.nn.Module)]
    count = sum(parameter.numel() for module in modules for parameter in module.parameters())
    streams = ", ".join(f"{stream} (T, {spec.dim})" for stream, spec in recipe.streams.items())
    return (
        f"{name}: loads; {count / 1e6:.1f} M parameters; streams {streams}\n"
        f"SHA-256 of the files: {recipe.weights}"
    )


def _model(name: str, options: Sequence[str]) -> tuple[type[Model], Any]:
    plugin, own = resolved(name)
    kind = plugins.load(plugins.BACKBONES, plugin, Backbone)  # type: ignore[type-abstract]
    if not issubclass(kind, Model):
        raise OptionError(f"{name} has no weights: nothing to find or fetch")
    pairs = own | plugins.split_options(options, [name])[name]
    return kind, plugins.parse_options(kind.Options, pairs, name)


def _fetch(file: WeightFile, source: str) -> Path:
    origin = file.origin or source
    is_folder = not is_hub_id(source)
    if origin.startswith("https://"):
        folder = Path(source).expanduser() if is_folder and "/" in source else None
        target = (folder or Path(torch.hub.get_dir()) / "checkpoints") / file.names[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(origin, str(target))
        return target
    from huggingface_hub import snapshot_download

    if not is_hub_id(origin):
        raise WeightsError(f"{origin} is a local folder, so there is nowhere to download from")
    into = Path(source).expanduser() if is_folder else None
    return Path(snapshot_download(origin, allow_patterns=list(file.names), local_dir=into))
