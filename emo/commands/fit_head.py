"""The command `emo fit-head`: fit, search, cross-validate or ablate a head on stored features."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer import Option

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
    ReportTo,
    SpecAugment,
    Targets,
    TargetWeights,
)
from emo.commands.flags.options import Columns, Manifests, Root, pairs
from emo.commands.flags.sections import SectionedCommand, examples
from emo.commands.heads import keep_imports
from emo.machine.table import fit_lines


class _FitCommand(SectionedCommand):
    """The help of `emo fit-head`."""

    sections: ClassVar[Mapping[str, str]] = {
        "Data": "features stream scaling target task target_weight top_classes column root "
        "allow_missing max_samples cut allow_seen",
        "Head": "head preset option init most_minutes",
        "Training": "epochs batch_size learning_rate weight_decay label_smoothing class_weights "
        "patience choose_by loss refit warmup decay focal mixup mixup_probability spec_augment "
        "modality_dropout accumulate bf16",
        "Several fits": "seeds cv is_ablation search missing threads",
        "Going on": "out overwrite resume interval_over by all_probabilities report_to",
    }


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        cls=_FitCommand,
        epilog=examples(
            "emo fit-head m.csv --stream classic/audio --seeds 5 --out runs/audio",
            "emo fit-head m.csv --target emotion --cv speaker --out runs/speakers",
        ),
    )(fit_head)


def fit_head(
    manifest: Manifests = Path("manifest.csv"),
    features: Annotated[
        list[str],
        Option(metavar="STORE", help="A store from `emo extract`; repeat to join several."),
    ] = ["features"],
    stream: Annotated[
        list[str],
        Option(
            metavar="RECIPE/STREAM[@COLUMN]",
            help="Features to read; RECIPE alone: all of it; @COLUMN: those of the clip whose id "
            "is in that column; repeat; default: all in the stores.",
        ),
    ] = [],
    scaling: Annotated[
        list[str],
        Option(
            metavar="STREAM=HOW",
            help="raw, unit, unit*FACTOR or unit*logit_scale instead of standardised; speaker: "
            "freed from each speaker's mean and deviation first; repeat.",
        ),
    ] = [],
    target: Targets = [],
    task: Annotated[
        list[str],
        Option(
            metavar="COLUMN=TASK",
            help="classify, multilabel, regress or pairs, for one target or, as TASK, for all; "
            "default: told by the cells; repeat.",
        ),
    ] = [],
    target_weight: TargetWeights = [],
    top_classes: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Learn the N commonest answers of train; others count as wrong in val and test.",
        ),
    ] = None,
    column: Columns = [],
    root: Root = None,
    interval_over: IntervalOver = None,
    by: Annotated[
        list[str],
        Option(
            metavar="COLUMN",
            help="Also report rows, share and accuracy by a column's values, such as "
            "question_word; repeat.",
        ),
    ] = [],
    all_probabilities: Annotated[
        bool,
        Option("--all-probabilities", help="Keep those of more than 100 classes in the tables."),
    ] = False,
    allow_missing: AllowMissing = None,
    max_samples: Annotated[
        int | None,
        Option(metavar="N", help="Clips of each split, at most, for a quick look."),
    ] = None,
    cut: Cut = None,
    allow_seen: AllowSeen = False,
    head: Annotated[
        list[str],
        Option(
            metavar="NAME",
            help="A head of `emo list heads`, or all; repeat to rank several by val, each in "
            "OUT/HEAD; default: attention_pool.",
        ),
    ] = [],
    most_minutes: Annotated[
        float | None,
        Option(
            metavar="NUMBER",
            help="With several heads: skip those whose forecast is longer; default: none.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(metavar="NAME", help="Streams, head and options of one of `emo list presets`."),
    ] = None,
    option: Annotated[
        list[str],
        Option(
            "-o",
            metavar="NAME=VALUE",
            help="An option of the head, see `emo list heads NAME`; with several heads "
            "HEAD.NAME=VALUE; repeat.",
        ),
    ] = [],
    init: Annotated[
        list[str],
        Option(metavar="RUN", help="A run of this head on one stream to start from; repeat."),
    ] = [],
    epochs: Annotated[
        int | None,
        Option(metavar="N", help="Passes over the training clips, at most; default: 100."),
    ] = None,
    batch_size: Annotated[
        int | None, Option(metavar="N", help="Clips, or dialogues, of a batch; default: 32.")
    ] = None,
    learning_rate: Annotated[
        float | None, Option(metavar="RATE", help="Learning rate of AdamW; default: 0.001.")
    ] = None,
    weight_decay: Annotated[
        float | None, Option(metavar="NUMBER", help="Weight decay of AdamW; default: 0.01.")
    ] = None,
    label_smoothing: LabelSmoothing = None,
    class_weights: ClassWeights = False,
    patience: Annotated[
        int | None,
        Option(metavar="N", help="Epochs without a better val score, then stop; default: 12."),
    ] = None,
    choose_by: Annotated[
        str | None,
        Option(
            metavar="SCORE",
            help="Score on val that chooses the epoch: weighted_f1, macro_f1, uar or accuracy; "
            "default: the target's usual one.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        Option(
            metavar="LOSS",
            help="Loss of numbers: mae, huber or mse; default: smooth_l1.",
        ),
    ] = None,
    refit: Annotated[
        bool,
        Option("--refit", help="Solve linear or svm again on train and val, as val chose."),
    ] = False,
    warmup: Annotated[
        float | None,
        Option(metavar="SHARE", help="Share of the steps in which the rate rises; default: 0."),
    ] = None,
    decay: Annotated[
        str | None,
        Option(metavar="CURVE", help="Fall of the rate: linear, cosine; default: constant."),
    ] = None,
    focal: Focal = None,
    mixup: Mixup = None,
    mixup_probability: MixupProbability = None,
    spec_augment: SpecAugment = [],
    modality_dropout: ModalityDropout = None,
    accumulate: Annotated[
        int | None, Option(metavar="N", help="Batches that make one step; default: 1.")
    ] = None,
    bf16: Annotated[bool, Option("--bf16", help="Run the head in bfloat16.")] = False,
    seeds: Annotated[
        int | None,
        Option(metavar="N", help="Fits whose mean and std the table shows; default: 1."),
    ] = None,
    cv: Annotated[
        str | None,
        Option(
            metavar="COLUMN|N",
            help="Cross-validate: leave out each value of a column once, or make N folds.",
        ),
    ] = None,
    is_ablation: Annotated[
        bool,
        Option("--ablate", help="Fit every subset of the streams, each to a folder in --out."),
    ] = False,
    search: Annotated[
        int | None,
        Option(metavar="N", help="Try N sets of options, and take the best on val."),
    ] = None,
    missing: Annotated[
        bool, Option("--missing", help="Score with streams taken away, too.")
    ] = False,
    threads: Annotated[
        int | None,
        Option(metavar="N", help="Cores to use, for fits side by side; default: all."),
    ] = None,
    out: Annotated[
        str | None,
        Option(
            metavar="RUN",
            help="Folder of the run, or s3://BUCKET/NAME; default: the next number in runs/.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        Option("--overwrite", help="Replace the run in --out; other files there stay."),
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Go on with what a killed fit left in --out.")
    ] = False,
    report_to: ReportTo = None,
) -> None:
    """Fit a light head on stored features and show its scores."""
    with keep_imports():
        from emo.heads.fitting.fit import fit_head
        from emo.heads.fitting.options_from_cli import fit_options
        from emo.heads.fitting.progress_files import has_checkpoints
        from emo.heads.runs.files import check_free, next_run
        from emo.heads.runs.in_bucket import uploaded
        from emo.machine.processor import lacks_bfloat16
        from emo.manifest import read_manifest
        from emo.store.backend.location import location

    trackers = _trackers(report_to)
    is_several = len(head) > 1 or head == ["all"]
    if most_minutes is not None and not is_several:
        raise typer.BadParameter("--most-minutes: only with several heads, such as --head all")
    if is_several and (is_ablation or cv is not None or init):
        raise typer.BadParameter("--ablate, --cv and --init: expected one --head")
    far = _far(out, is_one=not (is_several or is_ablation), resume=resume)
    with (
        nullcontext(Path(out) if out else next_run(Path("runs")))
        if far is None
        else uploaded(far, overwrite=overwrite)
    ) as run:

        def told(text: str) -> str:
            return text if far is None else text.replace(str(run), str(far))

        if not (overwrite or (resume and (is_ablation or is_several or has_checkpoints(run)))):
            check_free(run, is_ablation=is_ablation or is_several)
        stores = [location(each) for each in features]
        if bf16 and lacks_bfloat16():
            print("emo: warning: --bf16: this processor has no bfloat16 instructions, "
                  "so that it only costs time here", file=sys.stderr)  # fmt: skip
        clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
        given: dict[str, Any] = {
            "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
            "weight_decay": weight_decay, "label_smoothing": label_smoothing,
            "patience": patience, "allow_missing": allow_missing, "warmup": warmup, "decay": decay,
            "focal": focal, "mixup": mixup, "mixup_probability": mixup_probability,
            "modality_dropout": modality_dropout, "accumulate": accumulate,
            "max_samples": max_samples, "search": search, "seeds": seeds, "threads": threads,
            "cut": cut, "top_classes": top_classes, "choose_by": choose_by,
            "loss": loss, "refit": refit or None,
            "by_columns": tuple(by) or None, "allow_seen": allow_seen or None,
            "class_weights": class_weights or None,
            "bf16": bf16 or None, "spec_augment": tuple(spec_augment) or None,
            "streams": tuple(stream) or None, "init": tuple(init) or None,
            "missing": missing or None, "all_probabilities": all_probabilities or None,
            "interval_over": interval_over,
            "scaling": pairs(scaling, "--scaling") or None,
            "head": head[0] if head else None,
        }  # fmt: skip
        if is_several:
            from emo.heads.fitting.several.all_heads import fit_all
            from emo.heads.fitting.several.options import options_of_heads

            each = options_of_heads(
                {name: value for name, value in given.items() if value is not None}, head,
                targets=target, tasks=task, weights=target_weight, option=option, preset=preset,
            )  # fmt: skip
            found_runs = fit_all(clips, stores, run, each, most_minutes=most_minutes, resume=resume)
            print(fit_lines(found_runs.table()))
            _report(run, trackers)
            raise typer.Exit(found_runs.exit_code)
        options = fit_options(
            {name: value for name, value in given.items() if value is not None},
            targets=target, tasks=task, weights=target_weight, option=option, preset=preset,
        )  # fmt: skip
        if is_ablation:
            from emo.heads.fitting.ablate import ablate

            print(fit_lines(ablate(clips, stores, run, options, by=cv, resume=resume).table()))
        elif cv is not None:
            from emo.heads.fitting.folds.cross_validate import cross_validate

            found = cross_validate(clips, stores, run, options, by=cv, resume=resume)
            print(fit_lines(told(found.table())))
        else:
            result = fit_head(clips, stores, run, options, resume=resume)
            print(fit_lines(told(result.table())))
        _report(run, trackers)


def _far(out: str | None, *, is_one: bool, resume: bool) -> Any:
    """Return the location in a bucket that ``--out`` names; None: it names a folder here.

    Args:
        out: the option.
        is_one: whether one run is written, not a folder of several.
        resume: option ``--resume``.

    Raises:
        EmoError: it is another URL, or several runs go there.
    """
    from emo.heads.runs.in_bucket import far_run
    from emo.store.backend.location import local

    far = None if out is None else far_run(out)
    if out is not None and (far is None or not is_one):
        local(Path(out), "--out")
    if far is not None and resume:
        raise typer.BadParameter(
            "--resume: a fit leaves nothing in a bucket to go on with; give a folder as --out"
        )
    return far


def _trackers(words: str | None) -> list[str]:
    """Return the trackers of ``--report-to``, checked before the fit."""
    if words is None:
        return []
    from emo.report.trackers.log import tracker_names

    return tracker_names(words)


def _report(out: Path, trackers: list[str]) -> None:
    """Write the run for trackers, and print a line on each; none of them fails the fit."""
    if not trackers:
        return
    from emo.report.trackers.log import report_fit

    for is_written, line in report_fit(out, trackers):
        if is_written:
            print(fit_lines(line))
        else:
            print(fit_lines(f"emo: warning: {line}"), file=sys.stderr)
