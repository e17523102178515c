"""Downloads weights on a machine that has internet, lists them, and checks that they load."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from emo import plugins
from emo.errors import OptionError, WeightsError
from emo.extract.backbone import BACKBONES, Backbone
from emo.extract.models.model import Model
from emo.extract.models.weights import WeightFile, Weights, candidates_of, find


def weights_of(name: str, options: Sequence[str] = ()) -> Weights:
    """The weights of a backbone with these options.

    Raises:
        OptionError: the backbone has no weights, or an option is unknown.
    """
    kind, given = _model(name, options)
    return kind.weights(given)


def weight_files(weights: Weights) -> list[dict[str, object]]:
    """One row a file: its name, ``here``, ``missing`` or ``optional``, size, and place."""
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
                "place": ", ".join(str(candidate) for candidate in candidates[:3]),
                "from": file.origin or source,
            }
        )
    return rows


def fetch_missing(weights: Weights) -> Iterator[str]:
    """Download each file that is not there; yields one line a file.

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
            if not find(source, file):  # the hub's client is content with what it had before
                raise WeightsError(
                    f"{file.origin or source} gave nothing; is it out of reach from here?"
                )
            yield f"fetched: {candidate}"
        except Exception as error:  # the hub's and urllib's many kinds
            if file.is_optional:
                yield f"not had: {file.label} (optional)"
                continue
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsError(
                f"{weights.owner}: {file.label} could not be had: {reason}"
            ) from error


def check_weights(name: str, options: Sequence[str] = ()) -> str:
    """Load the model and describe it.

    Raises:
        WeightsError: a file or tensor is missing or damaged.
    """
    kind, given = _model(name, options)
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
    kind = plugins.load(BACKBONES, name, Backbone)  # type: ignore[type-abstract]
    if not issubclass(kind, Model):
        raise OptionError(f"{name} has no weights: nothing to find or fetch")
    pairs = plugins.split_options(options, [name])[name]
    return kind, plugins.parse_options(kind.Options, pairs, name)


def _fetch(file: WeightFile, source: str) -> Path:
    origin = file.origin or source
    is_folder = source.startswith((".", "/", "~")) or source.count("/") != 1
    if origin.startswith("https://"):
        folder = Path(source).expanduser() if is_folder and "/" in source else None
        target = (folder or Path(torch.hub.get_dir()) / "checkpoints") / file.names[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(origin, str(target))
        return target
    from huggingface_hub import snapshot_download

    if origin.count("/") != 1 or origin.startswith((".", "/", "~")):
        raise WeightsError(f"{origin} is a folder; nobody knows where its files come from")
    into = Path(source).expanduser() if is_folder else None
    return Path(snapshot_download(origin, allow_patterns=list(file.names), local_dir=into))
