"""The folder of an adaptation: weights, adapters, run, list of clips, and what made them.

All is written beside its place first. Then the parts are renamed into the folder, the list of
clips before the weights, so that weights are never there without it.
"""

import copy
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from emo.adapt.method.method import ADAPTER, Method
from emo.adapt.method.targets import within
from emo.errors import FitError, system_reason
from emo.extract.decode.content import SEEN_CONTENTS_FILE
from emo.extract.models.model import Model
from emo.extract.models.weights import is_hub_id, locate_weights
from emo.heads.runs.files import CLIPS_FILE
from emo.store.adapted import ADAPTATION_FILE, NEW_WEIGHTS

RUN_FOLDER, ADAPTERS = "run", "adapter"
"""Names in the folder of an adaptation, beside the weights and the list of clips."""
CHECKPOINTS, INPUTS = "checkpoints", "inputs"
"""Names of folders that are there while training goes on; the inputs stay."""
SLURM_SCRIPT, SLURM_LOGS = "slurm.sh", "logs"
"""Names of the script of a Slurm job and of the folder of its log."""
ADAPT_FORMAT = 1
"""Version of ``adapt.json``."""
_UNFINISHED = ".unfinished"
_ORDER = (CLIPS_FILE, SEEN_CONTENTS_FILE, ADAPTERS, ADAPTATION_FILE, RUN_FOLDER, NEW_WEIGHTS)
"""Order in which the parts are renamed; the folder is complete with the last."""


def is_finished(out: Path) -> bool:
    """Return whether a folder holds a finished adaptation."""
    return all(
        (out / name).exists() for name in (CLIPS_FILE, ADAPTATION_FILE, RUN_FOLDER, NEW_WEIGHTS)
    )


def prepare_folder(out: Path, *, resume: bool, overwrite: bool) -> list[str]:
    """Make the folder of an adaptation, and remove what a replaced or killed one left.

    Returns:
        Lines on what was found.

    Raises:
        FitError: the folder holds an adaptation or other files, or cannot be written.
    """
    try:
        inside = {path.name for path in out.iterdir()} if out.is_dir() else set()
        if is_finished(out) and not overwrite:
            raise FitError(f"{out} holds an adaptation; --overwrite replaces it, or choose another "
                           "--out")  # fmt: skip
        odd = inside - {*_ORDER, CHECKPOINTS, INPUTS, SLURM_SCRIPT, SLURM_LOGS, _UNFINISHED}
        if odd and not inside & {ADAPTATION_FILE, CHECKPOINTS}:
            raise FitError(f"{out} holds {sorted(odd)[0]} and no adaptation; choose another --out")
        if CHECKPOINTS in inside and not (resume or overwrite):
            raise FitError(
                f"{out} holds an adaptation that was not finished; --resume goes on with it, "
                "--overwrite starts again"
            )
        for name in (*reversed(_ORDER), _UNFINISHED):
            _remove(out / name)
        if overwrite and not resume:
            _remove(out / CHECKPOINTS)
        (out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FitError(
            f"{out} cannot be written: {system_reason(error)}; choose another --out"
        ) from error
    return []


@contextmanager
def result_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder, whose parts are renamed into ``out`` afterwards.

    Raises:
        FitError: the disk is full.
    """
    folder = out / _UNFINISHED
    try:
        _remove(folder)
        folder.mkdir(parents=True)
        yield folder
        for name in _ORDER:
            if (folder / name).exists():
                os.rename(folder / name, out / name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    except OSError as error:
        raise FitError(
            f"{out} cannot be written: {system_reason(error)}; free some space and go on with "
            "--resume"
        ) from error


def write_adapters(folder: Path, method: Method, models: Mapping[str, Model]) -> None:
    """Write each adapter in peft's format to ``folder/RECIPE/OPTION``; call it before merging.

    Names are those in the model that others load from the base's files, such as the whole Whisper
    of which the encoder was trained.
    """
    for (recipe, option), lora in method.adapters.items():
        target = folder / recipe / option
        target.mkdir(parents=True)
        part = models[recipe].part_of_base(option)
        config = copy.copy(lora.peft_config[ADAPTER])
        config.base_model_name_or_path = _base_name(models[recipe])
        config.inference_mode = True
        if part.within:
            config.target_modules = within(part.within, config.target_modules)
        if part.module:
            config.auto_mapping = {
                "base_model_class": part.class_name, "parent_library": part.module,
            }  # fmt: skip
        config.save_pretrained(str(target))
        tensors = _adapter_tensors(lora.model, part.within)
        save_file(tensors, target / "adapter_model.safetensors")


def _base_name(model: Model) -> str:
    """Return the hub's id of a base, or the folder in which its files are, as peft does."""
    weights = type(model).weights(model.options)
    if is_hub_id(weights.source) and not Path(weights.source).exists():
        return weights.source
    return str(locate_weights(weights).folder)


def _adapter_tensors(network: nn.Module, within: str) -> dict[str, torch.Tensor]:
    """Return the tensors of an adapter by the names that peft gives them."""
    trained = {name for name, each in network.named_parameters() if each.requires_grad}
    prefix = f"base_model.model.{within}." if within else "base_model.model."
    return {
        f"{prefix}{name.replace(f'.{ADAPTER}', '')}": tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if ".lora_" in name or name in trained
    }


def write_weights(folder: Path, models: Mapping[str, Model]) -> dict[str, dict[str, Path]]:
    """Write the weights of each backbone in its base's layout to ``folder/RECIPE/OPTION``.

    Returns:
        Recipe -> option -> the written folder.
    """
    return {name: model.write(folder / name) for name, model in models.items()}


def write_adapt_file(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``adapt.json``."""
    text = json.dumps({"format_version": ADAPT_FORMAT, **document}, indent=2, ensure_ascii=False,
                      default=str)  # fmt: skip
    (folder / ADAPTATION_FILE).write_text(text + "\n", encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
