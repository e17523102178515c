"""The command `emo adapt`: train backbones on labels, write new weights and a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer import Option

from emo.commands.flags.executor_options import given_options, with_flags_of_executors
from emo.commands.flags.fit_options import (
    AllowMissing,
    AllowSeen,
    ClassWeights,
    Cut,
    Focal,
    IntervalOver,
    LabelSmoothing,
    Mixup,
    MixupProbability,
    ModalityDropout,
    SpecAugment,
    Targets,
    TargetWeights,
)
from emo.commands.flags.options import AllowHost, Columns, Manifests, Root, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.errors import OptionError
from emo.machine.collector import without_collector
from emo.machine.table import fit_lines

SLURM_FLAGS = (
    "partition", "account", "qos", "time", "constraint", "gpus_per_task", "cpus_per_task",
    "sbatch_arg", "env_setup",
)  # fmt: skip
"""Options of the executor slurm that a job of one adaptation has, too."""
_WORDS = "emo.adapt.words"
"""Key of the words of the command line in the context's ``meta``."""


class _AdaptCommand(SectionedCommand):
    """The help of `emo adapt`; options may be written with ``_``, as Hugging Face writes them."""

    sections: ClassVar[Mapping[str, str]] = {
        "Backbones": "backbone option method inputs floats",
        "LoRA": "lora_r lora_alpha lora_dropout lora_bias target_modules",
        "Data": "features stream scaling target task target_weight column root allow_host "
        "allow_missing allow_seen max_train_samples cut interval_over",
        "Head": "head preset init freeze_head head_learning_rate",
        "Training": "per_device_train_batch_size gradient_accumulation_steps num_train_epochs "
        "max_steps learning_rate lr_scheduler_type warmup_ratio warmup_steps weight_decay "
        "max_grad_norm bf16 fp16 gradient_checkpointing train_batch_norm seed "
        "load_best_model_at_end metric_for_best_model trainer report_to logging_steps",
        "Losses": "label_smoothing class_weights focal mixup mixup_probability spec_augment "
        "modality_dropout",
        "Going on": "out overwrite resume dry_run save_steps save_total_limit",
        "Slurm": f"executor ntasks {' '.join(SLURM_FLAGS)}",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words, with ``_`` in names of options read as ``-``."""
        words = [_dashed(word) for word in args]
        ctx.meta[_WORDS] = words
        return super().parse_args(ctx, words)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        cls=_AdaptCommand,
        epilog=examples(
            "emo adapt m.csv --backbone wavlm-base --target-modules all-linear",
            "emo adapt m.csv --backbone wavlm-base --method full --init runs/probe",
            more="Exit codes: 0 done, 1 error, 2 usage, 75 stopped by a signal (repeat the command "
            "with --resume).",
        ),
    )(adapt)


@with_flags_of_executors(SLURM_FLAGS)
def adapt(
    context: typer.Context,
    manifest: Manifests = Path("manifest.csv"),
    backbone: Annotated[
        list[str],
        Option(
            metavar="NAME[:RECIPE]",
            help="A backbone with weights, which is trained, as for `emo extract`; repeat.",
        ),
    ] = [],
    option: Annotated[
        list[str],
        Option(
            "-o",
            metavar="NAME=VALUE",
            help="An option of the backbone; RECIPE.NAME=VALUE with several; HEAD.NAME=VALUE: one "
            "of the head; repeat.",
        ),
    ] = [],
    method: Annotated[
        str | None,
        Option(
            metavar="HOW",
            help="lora, full, or a regular expression of the parameters that are trained; "
            "default: lora.",
        ),
    ] = None,
    inputs: Annotated[
        str | None,
        Option(
            metavar="STORE",
            help="Store of what the backbones read, filled where it lacks clips; default: "
            "inputs in --out.",
        ),
    ] = None,
    floats: Annotated[
        str | None,
        Option(metavar="HOW", help="Stored pictures: float32 (the default) or float16."),
    ] = None,
    lora_r: Annotated[
        int | None, Option(metavar="N", help="Rank of the matrices; default: 8.")
    ] = None,
    lora_alpha: Annotated[
        float | None, Option(metavar="NUMBER", help="Updates count alpha / r; default: 8.")
    ] = None,
    lora_dropout: Annotated[
        float | None, Option(metavar="SHARE", help="Dropout before the matrices; default: 0.")
    ] = None,
    lora_bias: Annotated[
        str | None,
        Option(metavar="HOW", help="Biases that are trained: none, all, lora_only."),
    ] = None,
    target_modules: Annotated[
        str | None,
        Option(
            metavar="A,B,C",
            help="Layers that get matrices: ends of their names, a regular expression, or "
            "all-linear.",
        ),
    ] = None,
    features: Annotated[
        list[str],
        Option(metavar="STORE", help="A store of frozen streams beside the live ones; repeat."),
    ] = [],
    stream: Annotated[
        list[str],
        Option(metavar="RECIPE/STREAM", help="Frozen streams to read; default: all; repeat."),
    ] = [],
    scaling: Annotated[
        list[str],
        Option(
            metavar="STREAM=HOW",
            help="raw, unit, unit*FACTOR or unit*logit_scale instead of standardised; repeat.",
        ),
    ] = [],
    target: Targets = [],
    task: Annotated[
        list[str],
        Option(
            metavar="COLUMN=TASK",
            help="classify, multilabel or regress, for one target or, as TASK, for all; repeat.",
        ),
    ] = [],
    target_weight: TargetWeights = [],
    column: Columns = [],
    root: Root = None,
    allow_host: AllowHost = [],
    allow_missing: AllowMissing = None,
    allow_seen: AllowSeen = False,
    max_train_samples: Annotated[
        int | None,
        Option(
            "--max-train-samples",
            "--max-samples",
            metavar="N",
            help="Clips of each split, at most, for a quick look.",
        ),
    ] = None,
    cut: Cut = None,
    interval_over: IntervalOver = None,
    head: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="A head of `emo list heads` that gradient steps train; default: mean_pool.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(metavar="NAME", help="Backbones, head and options of one of `emo list presets`."),
    ] = None,
    init: Annotated[
        str | None,
        Option(metavar="RUN", help="A run on frozen tokens, whose head and scaling are the start."),
    ] = None,
    freeze_head: Annotated[
        bool, Option("--freeze-head", help="Leave the head as it was at the start.")
    ] = False,
    head_learning_rate: Annotated[
        float | None, Option(metavar="RATE", help="Rate of the head; default: the same.")
    ] = None,
    per_device_train_batch_size: Annotated[
        int | None,
        Option(
            "--per-device-train-batch-size",
            "--batch-size",
            metavar="N",
            help="Clips that one process computes at once; default: 8.",
        ),
    ] = None,
    gradient_accumulation_steps: Annotated[
        int | None,
        Option(
            "--gradient-accumulation-steps",
            "--accumulate",
            metavar="N",
            help="Batches that make one step; default: 1.",
        ),
    ] = None,
    num_train_epochs: Annotated[
        float | None,
        Option(
            "--num-train-epochs",
            "--epochs",
            metavar="N",
            help="Passes over the training clips; default: 3.",
        ),
    ] = None,
    max_steps: Annotated[int | None, Option(metavar="N", help="Steps, in place of epochs.")] = None,
    learning_rate: Annotated[
        float | None, Option(metavar="RATE", help="Learning rate of AdamW; default: 5e-5.")
    ] = None,
    lr_scheduler_type: Annotated[
        str | None,
        Option(
            "--lr-scheduler-type",
            "--decay",
            metavar="CURVE",
            help="Course of the rate, such as linear (the default) or cosine.",
        ),
    ] = None,
    warmup_ratio: Annotated[
        float | None,
        Option(
            "--warmup-ratio",
            "--warmup",
            metavar="SHARE",
            help="Share of the steps in which the rate rises; default: 0.",
        ),
    ] = None,
    warmup_steps: Annotated[
        int | None, Option(metavar="N", help="Steps in which the rate rises.")
    ] = None,
    weight_decay: Annotated[
        float | None, Option(metavar="NUMBER", help="Weight decay of AdamW; default: 0.")
    ] = None,
    max_grad_norm: Annotated[
        float | None, Option(metavar="NUMBER", help="Longest gradient; default: 1; 0: none.")
    ] = None,
    bf16: Annotated[bool, Option("--bf16", help="Compute in bfloat16.")] = False,
    fp16: Annotated[bool, Option("--fp16", help="Compute in float16, on a GPU alone.")] = False,
    gradient_checkpointing: Annotated[
        bool,
        Option(
            "--gradient-checkpointing",
            help="Compute layers again in the backward pass, to save memory.",
        ),
    ] = False,
    train_batch_norm: Annotated[
        bool, Option("--train-batch-norm", help="Train BatchNorm's statistics, too.")
    ] = False,
    seed: Annotated[int | None, Option(metavar="N", help="Seed; default: 0.")] = None,
    trainer: Annotated[
        list[str],
        Option(
            metavar="NAME=VALUE",
            help="Another argument of transformers' TrainingArguments; repeat.",
        ),
    ] = [],
    load_best_model_at_end: Annotated[
        bool,
        Option("--load-best-model-at-end", help="Keep the epoch that is best on val."),
    ] = False,
    metric_for_best_model: Annotated[
        str | None,
        Option(metavar="NAME", help="What is best on val: score (the default) or loss."),
    ] = None,
    report_to: Annotated[
        str | None,
        Option(metavar="A,B,C", help="Services that the Trainer reports to, such as wandb."),
    ] = None,
    logging_steps: Annotated[
        int | None, Option(metavar="N", help="Steps between two losses; default: 10.")
    ] = None,
    label_smoothing: LabelSmoothing = None,
    class_weights: ClassWeights = False,
    focal: Focal = None,
    mixup: Mixup = None,
    mixup_probability: MixupProbability = None,
    spec_augment: SpecAugment = [],
    modality_dropout: ModalityDropout = None,
    out: Annotated[
        Path, Option(metavar="FOLDER", help="Folder of the adaptation.", callback=written)
    ] = Path("adapted"),
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace an adaptation in --out; its inputs stay.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the newest complete checkpoint in --out.")
    ] = False,
    dry_run: Annotated[
        bool,
        Option(
            "--dry-run",
            help="Only show parameters, steps, disk and memory, from configurations alone.",
        ),
    ] = False,
    save_steps: Annotated[
        int | None, Option(metavar="N", help="Steps between checkpoints; default: an epoch.")
    ] = None,
    save_total_limit: Annotated[
        int | None, Option(metavar="N", help="Checkpoints that are kept; default: 1.")
    ] = None,
    executor: Annotated[
        str | None,
        Option(metavar="NAME", help="local (the default), or slurm to submit a job."),
    ] = None,
    ntasks: Annotated[
        int | None, Option(metavar="N", help="Processes of the job, one a GPU; default: 1.")
    ] = None,
    **slurm_options: Any,
) -> None:
    """Train backbones and a head on your labels.

    It writes weights for `emo extract`, whose tokens are those of another recipe. The score of
    frozen backbones is printed beside: they often win where clips are few.
    """
    if dry_run:
        context.with_resource(without_collector())
    from emo.adapt.words import adapt_options, words_of

    given: dict[str, Any] = {
        "method": method, "floats": floats, "lora_r": lora_r, "lora_alpha": lora_alpha,
        "lora_dropout": lora_dropout, "lora_bias": lora_bias,
        "target_modules": words_of(target_modules, "--target-modules") or None,
        "streams": tuple(stream) or None, "scaling": pairs(scaling, "--scaling") or None,
        "allow_missing": allow_missing, "allow_seen": allow_seen or None,
        "max_train_samples": max_train_samples, "cut": cut,
        "interval_over": interval_over, "head": head, "init": init,
        "freeze_head": freeze_head or None, "head_learning_rate": head_learning_rate,
        "per_device_train_batch_size": per_device_train_batch_size,
        "gradient_accumulation_steps": gradient_accumulation_steps,
        "num_train_epochs": num_train_epochs, "max_steps": max_steps,
        "learning_rate": learning_rate, "lr_scheduler_type": lr_scheduler_type,
        "warmup_ratio": warmup_ratio, "warmup_steps": warmup_steps, "weight_decay": weight_decay,
        "max_grad_norm": max_grad_norm, "bf16": bf16 or None, "fp16": fp16 or None,
        "gradient_checkpointing": gradient_checkpointing or None,
        "train_batch_norm": train_batch_norm or None, "seed": seed,
        "load_best_model_at_end": load_best_model_at_end or None,
        "metric_for_best_model": metric_for_best_model,
        "trainer": pairs(trainer, "--trainer") or None,
        "report_to": words_of(report_to, "--report-to") or None, "logging_steps": logging_steps,
        "label_smoothing": label_smoothing, "class_weights": class_weights or None,
        "focal": focal, "mixup": mixup, "mixup_probability": mixup_probability,
        "spec_augment": tuple(spec_augment) or None, "modality_dropout": modality_dropout,
        "save_steps": save_steps, "save_total_limit": save_total_limit,
    }  # fmt: skip
    options = adapt_options(
        {name: value for name, value in given.items() if value is not None},
        backbones=backbone, option=option, targets=target, tasks=task, weights=target_weight,
        base=_base(preset),
    )  # fmt: skip
    from emo.manifest import read_manifest
    from emo.store.backend.location import location

    clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
    slurm = _slurm_options(executor, given_options(slurm_options), ntasks)
    if slurm is not None:
        from emo.adapt.slurm import submit_adaptation, words_without

        words = words_without(context.meta[_WORDS], ("executor", "ntasks", *SLURM_FLAGS),
                              ("resume", "overwrite", "dry_run"))  # fmt: skip
        lines = submit_adaptation(out, words, slurm, 1 if ntasks is None else ntasks,
                                  resume=resume, overwrite=overwrite,
                                  is_dry_run=dry_run)  # fmt: skip
        print(fit_lines("\n".join(lines)))
        return
    if dry_run:
        from emo.adapt.planning.dry_run import dry_run as forecast

        found = forecast(clips, [location(each) for each in features], options)
        print(fit_lines(found.table()))
        return
    from emo.adapt.adapt import adapt as run

    report = run(
        clips, [location(each) for each in features], out, options,
        inputs=location(inputs) if inputs else None, resume=resume, overwrite=overwrite,
        has_head=head is not None or preset is not None,
    )  # fmt: skip
    if report.lines:
        print(fit_lines("\n".join(report.lines)))
    raise typer.Exit(report.exit_code)


def _slurm_options(executor: str | None, given: Mapping[str, Any], ntasks: int | None) -> Any:
    """Return the options of a Slurm job; None: the adaptation runs here.

    Raises:
        OptionError: another executor, or options of a job without one.
    """
    from emo.extract.job.executor_options import build_options, flag

    if executor not in (None, "local", "slurm"):
        raise OptionError(
            f"--executor {executor}: emo adapt runs here (local), or as a job (slurm)"
        )
    if executor == "slurm":
        from emo.extract.executors.slurm import SlurmOptions

        return build_options("slurm", SlurmOptions, given)
    if ntasks is not None or given:
        name = "--ntasks" if ntasks is not None else flag(next(iter(given)))
        raise OptionError(f"{name}: it is of a Slurm job; add --executor slurm")
    return None


def _base(preset: str | None) -> Any:
    """Return the options of a preset; None: there is none."""
    if preset is None:
        return None
    from emo.adapt.options import AdaptOptions
    from emo.adapt.planning.presets import find_adapt_preset

    return AdaptOptions.of(**find_adapt_preset(preset).fields)


def _dashed(word: str) -> str:
    """Return a word of the command line with ``-`` for ``_`` in the name of an option.

    >>> _dashed("--lora_r=4"), _dashed("--lora-bias"), _dashed("lora_only")
    ('--lora-r=4', '--lora-bias', 'lora_only')
    """
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}"
