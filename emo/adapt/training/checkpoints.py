"""Checkpoints of training: which are complete, which is resumed, and whether they fit the disk.

Hugging Face's Trainer takes the folder with the highest number, also if a kill left it torn. Here
a checkpoint counts only with a mark, which is written last and names all files and their sizes.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emo.errors import FitError, OptionError
from emo.machine.untrusted.documents import parse_checked
from emo.machine.untrusted.files import read_regular
from emo.machine.untrusted.kinds import Fields, MapOf
from emo.machine.whole_file import whole_file

BEST = "best-{}.pt"
"""Name of the file with what was trained at the step that is best on val."""
MARK = "complete.json"
"""Name of the file that says that a checkpoint is complete."""
_KIND = Fields({"files": MapOf(int), "world_size": int, "global_batch": int, "question": str})
_MOST_BYTES = 2**24


def mark_complete(folder: Path, facts: Mapping[str, Any]) -> None:
    """Sync the files of a checkpoint and write its mark.

    Args:
        folder: the checkpoint.
        facts: ``world_size``, ``global_batch`` and ``question``.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARK)
    for path in files:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    with whole_file(folder / MARK, FitError) as path:
        path.write_text(json.dumps({"files": sizes, **facts}), encoding="utf-8")


def remove_others(folder: Path, kept: int) -> None:
    """Remove all checkpoints but the newest complete ones.

    Args:
        folder: folder of the checkpoints.
        kept: number of complete checkpoints to keep.
    """
    whole = [path for path in _numbered(folder) if not fault_of(path)]
    for path in _numbered(folder):
        if path not in whole[:kept]:
            shutil.rmtree(path, ignore_errors=True)


def write_best(folder: Path, step: int, tensors: Mapping[str, Tensor]) -> None:
    """Write what was trained at the step that is best so far; those of other steps stay."""
    with whole_file(folder / BEST.format(step), FitError) as path:
        torch.save({name: tensor.detach().cpu() for name, tensor in tensors.items()}, path)


def read_best(folder: Path, step: int) -> dict[str, Tensor]:
    """Read what :func:`write_best` wrote.

    Raises:
        FitError: it is not there, or damaged.
    """
    path = folder / BEST.format(step)
    try:
        found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise FitError(f"{path}: the best epoch cannot be read: {error}; start again with "
                       "--overwrite instead of --resume") from error  # fmt: skip
    return found


def remove_other_bests(folder: Path, step: int | None) -> None:
    """Remove the best steps that no checkpoint needs any more; call it after one is complete."""
    for path in folder.glob(BEST.format("*")):
        if step is None or path.name != BEST.format(step):
            path.unlink(missing_ok=True)


def newest_complete(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest complete checkpoint, and a line for each newer one that is torn."""
    lines: list[str] = []
    for path in _numbered(folder):
        fault = fault_of(path)
        if not fault:
            return path, lines
        lines.append(f"{path.name} is not complete ({fault}): skipped")
    return None, lines


def fault_of(checkpoint: Path) -> str:
    """Return what is wrong with a checkpoint; empty: it is complete."""
    try:
        sizes = _mark_of(checkpoint)["files"]
    except FitError as error:
        return str(error)
    for name, size in sizes.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size:,} of {size:,} bytes"
    return ""


def check_same(checkpoint: Path, facts: Mapping[str, Any]) -> None:
    """Check that a checkpoint can be continued with these options and processes.

    Raises:
        OptionError: it is of other options, of another number of processes, or of another number
            of clips a step.
    """
    found = _mark_of(checkpoint)
    names = {
        "world_size": "processes",
        "global_batch": "clips a step (batch size x accumulation x processes)",
    }
    for name, words in names.items():
        if found[name] != facts[name]:
            raise OptionError(
                f"--resume: {checkpoint.name} was made with {found[name]} {words}, this command "
                f"has {facts[name]}; the order of clips would differ. Use the same number"
            )
    if found["question"] != facts["question"]:
        raise OptionError(
            f"--resume: {checkpoint.name} was made with other options, clips or weights. Repeat "
            "the same command, or start again with --overwrite instead of --resume"
        )


def checkpoint_bytes(module: nn.Module) -> int:
    """Return about how many bytes a checkpoint takes: what is trained, and AdamW's two means.

    The best step, where it is kept, takes a third of that besides.
    """
    trained: int = sum(tensor.nbytes for tensor in module.state_dict().values())
    return 3 * trained


def check_disk(folder: Path, checkpoint_bytes: int) -> None:
    """Check that two checkpoints fit on the disk: the older is removed after the newer is whole.

    Raises:
        FitError: they do not.
    """
    free = shutil.disk_usage(folder).free
    if free < 2 * checkpoint_bytes:
        raise FitError(
            f"{folder}: two checkpoints take {2 * checkpoint_bytes / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free. Free some space, or choose another --out"
        )


def _mark_of(checkpoint: Path) -> dict[str, Any]:
    """Read the mark of a checkpoint.

    Raises:
        FitError: there is none, or it is damaged.
    """
    try:
        data = read_regular(checkpoint / MARK, most_bytes=_MOST_BYTES, follow_links=True)
        found: dict[str, Any] = parse_checked(data, _KIND)
    except OSError:
        raise FitError("it was not finished") from None
    except ValueError as error:
        raise FitError(f"its {MARK} is damaged: {error}") from error
    return found


def _numbered(folder: Path) -> list[Path]:
    """Return the folders ``checkpoint-N``, newest first."""
    found = {
        int(path.name.removeprefix("checkpoint-")): path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.removeprefix("checkpoint-").isdecimal() and path.name.startswith("checkpoint-")
    }
    return [found[number] for number in sorted(found, reverse=True)]
