"""Hugging Face's TrainingArguments from the options of an adaptation, in the names of 5.x."""

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import HfArgumentParser, TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from emo import plugins
from emo.adapt.options import AdaptOptions
from emo.errors import OptionError

OLD_NAMES = {"no_cuda": "use_cpu", "evaluation_strategy": "eval_strategy"}
"""Names of earlier versions of transformers -> those of version 5."""
WAIT_SECONDS = 24 * 3600
"""How long processes wait for each other: the first one may read media for hours before."""
SET_BY_EMO = {
    "output_dir": "--out", "overwrite_output_dir": "--overwrite", "do_train": "",
    "save_strategy": "--save-steps", "resume_from_checkpoint": "--resume",
    "remove_unused_columns": "", "label_names": "", "logging_nan_inf_filter": "",
    "ddp_find_unused_parameters": "", "gradient_checkpointing": "--gradient-checkpointing",
    "activation_checkpointing": "--gradient-checkpointing", "disable_tqdm": "",
    "label_smoothing_factor": "--label-smoothing",
    "load_best_model_at_end": "--load-best-model-at-end",
    "metric_for_best_model": "--metric-for-best-model", "greater_is_better": "",
    "eval_strategy": "", "enable_jit_checkpoint": "", "push_to_hub": "",
}  # fmt: skip
"""Arguments that emo sets -> the option to use instead, if there is one."""


def training_arguments(options: AdaptOptions, folder: Path) -> TrainingArguments:
    """Return the arguments of the Trainer.

    Args:
        options: options of the adaptation.
        folder: where checkpoints are written.

    Raises:
        OptionError: an argument of ``--trainer`` that does not exist, that emo sets itself, or
            that the Trainer refuses; or fp16 where there is neither CUDA nor MPS.
    """
    known = {each.name for each in dataclasses.fields(TrainingArguments)}
    given = _typed(options, known)
    is_cpu = bool(given.get("use_cpu")) or not (
        torch.cuda.is_available() or torch.backends.mps.is_available()
    )
    if options.fp16 and is_cpu:
        raise OptionError(
            "--fp16: needs CUDA or MPS; a CPU would compute in float32 without saying so. Use "
            "--bf16, or neither"
        )
    warmup: dict[str, Any] = {"warmup_steps": options.warmup_steps or options.warmup_ratio}
    if "warmup_ratio" in known:  # before transformers 5
        warmup = {"warmup_steps": options.warmup_steps, "warmup_ratio": options.warmup_ratio}
    ours: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": options.per_device_train_batch_size,
        "gradient_accumulation_steps": options.gradient_accumulation_steps,
        "num_train_epochs": options.num_train_epochs,
        "max_steps": options.max_steps,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": options.lr_scheduler_type,
        "weight_decay": options.weight_decay,
        "max_grad_norm": options.max_grad_norm,
        "bf16": options.bf16,
        "fp16": options.fp16,
        "seed": options.seed,
        "report_to": list(options.report_to) or "none",
        "logging_steps": options.logging_steps,
        "logging_nan_inf_filter": False,  # it logs 0.0 while weights are NaN
        "save_strategy": "no",  # Progress says when, so that one step has one checkpoint
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "ddp_find_unused_parameters": True,  # a stream may be absent on one rank
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "ddp_timeout": WAIT_SECONDS,
        **warmup,
    }
    if is_cpu:
        ours["use_cpu"] = True
    try:
        arguments = TrainingArguments(**(ours | given))
        if arguments.device.type == "cuda":
            arguments._n_gpu = 1  # several GPUs: torchrun, a process for each
    except (ValueError, TypeError) as error:
        raise OptionError(f"transformers' TrainingArguments: {error}") from error
    _check_services(options.report_to)
    return arguments


def _check_services(names: Sequence[str]) -> None:
    """Check that the services of ``--report-to`` exist, and that their libraries are installed.

    Raises:
        OptionError: one does not, or its library is not installed.
    """
    known = INTEGRATION_TO_CALLBACK
    for name in names:
        if name in ("none", "all"):
            continue
        if name not in known:
            raise OptionError(f"--report-to: {plugins.unknown('service', name, sorted(known))}")
        try:
            known[name]()
        except (RuntimeError, ImportError) as error:
            raise OptionError(f"--report-to {name}: {error}") from error


def _typed(options: AdaptOptions, known: set[str]) -> dict[str, Any]:
    """Return the arguments of ``--trainer`` with values of their types."""
    words: dict[str, str] = {}
    for name, value in options.trainer.items():
        new = OLD_NAMES.get(name, name)
        if new in SET_BY_EMO:
            instead = f"; use {SET_BY_EMO[new]}" if SET_BY_EMO[new] else ""
            raise OptionError(f"--trainer {name}: emo sets it{instead}")
        if new not in known:
            raise OptionError(f"--trainer: {plugins.unknown('argument', name, sorted(known))}")
        words[new] = value
    kind: Any = TrainingArguments
    parser = HfArgumentParser(kind)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = parser.parse_args(
                ["--output_dir", "x", *(f"--{name}={value}" for name, value in words.items())]
            )
    except SystemExit as error:
        last = said.getvalue().strip().splitlines()[-1:] or ["?"]
        raise OptionError(f"--trainer: {last[0].rpartition('error: ')[2]}") from error
    return {name: getattr(found, name) for name in words}
