"""The commands of stage 2: fit-head, compare, predict."""

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from emo.commands.options import Columns, Manifests, Options, Root, pairs, written


def register(app: typer.Typer) -> None:
    """Give the commands to ``app``."""
    app.command(epilog=_FIT)(fit_head)
    app.command(epilog=_COMPARE)(compare)
    app.command(epilog=_PREDICT)(predict)


_FIT = (
    "Example: emo fit-head m.csv --stream classic/audio --target emotion --seeds 5 --out runs/audio"
)
_COMPARE = "Example: emo compare runs/*    emo compare runs/* --pair runs/a runs/b"
_PREDICT = 'Example: emo predict runs/audio clip.mp4 --text "I am fine."'


def fit_head(
    manifest: Manifests = Path("manifest.csv"),
    features: Annotated[
        list[str], Option(metavar="PLACE", help="Store(s) from `emo extract`; repeat to fuse.")
    ] = ["features"],
    head: Annotated[
        str | None, Option(help="See `emo list heads`; default: attention_pool.")
    ] = None,
    preset: Annotated[
        str | None, Option(help="Features, head and options of one of `emo list presets`.")
    ] = None,
    target: Annotated[
        list[str], Option(help="The column to predict; repeat; default: label.")
    ] = [],
    task: Annotated[
        list[str],
        Option(help="[TARGET=]classify, multilabel, regress or pairs; default: by cells."),
    ] = [],
    target_weight: Annotated[list[str], Option(help="TARGET=factor in the loss; repeat.")] = [],
    stream: Annotated[
        list[str], Option(help="RECIPE or RECIPE/STREAM; repeat; default: all in the store.")
    ] = [],
    scaling: Annotated[
        list[str],
        Option(help="STREAM=raw, unit, unit*FACTOR or unit*logit_scale, not standardised; repeat."),
    ] = [],
    out: Annotated[Path, Option(help="The run's folder.", callback=written)] = Path("runs/latest"),
    option: Options = [],
    column: Columns = [],
    root: Root = None,
    cv: Annotated[
        str | None,
        Option(help="Cross-validate: a column, each value left out once; or a number of folds."),
    ] = None,
    is_ablation: Annotated[
        bool, Option("--ablate", help="Fit every subset of the streams, each to a folder in --out.")
    ] = False,
    missing: Annotated[
        bool, Option("--missing", help="Score with streams taken away, too.")
    ] = False,
    seeds: Annotated[
        int | None, Option(help="Fits, default 1; the table shows mean ± std.")
    ] = None,
    epochs: Annotated[int | None, Option(help="At most so many.")] = None,
    batch_size: Annotated[int | None, Option(help="Clips a step.")] = None,
    learning_rate: Annotated[float | None, Option(help="AdamW's.")] = None,
    weight_decay: Annotated[float | None, Option(help="AdamW's.")] = None,
    label_smoothing: Annotated[float | None, Option(help="0 to 1.")] = None,
    class_weights: Annotated[
        bool, Option("--class-weights", help="Weight the loss by inverse class frequency.")
    ] = False,
    patience: Annotated[int | None, Option(help="Epochs without a better val score.")] = None,
    warmup: Annotated[float | None, Option(help="Share of the steps with a rising rate.")] = None,
    decay: Annotated[str | None, Option(help="constant, linear or cosine.")] = None,
    focal: Annotated[float | None, Option(help="Exponent of the focal loss.")] = None,
    mixup: Annotated[float | None, Option(help="Alpha of mixup.")] = None,
    mixup_probability: Annotated[float | None, Option(help="Share of the steps with it.")] = None,
    spec_augment: Annotated[list[str], Option(help="A log-mel stream to mask; repeat.")] = [],
    modality_dropout: Annotated[float | None, Option(help="Share of streams dropped.")] = None,
    accumulate: Annotated[int | None, Option(help="Batches a step.")] = None,
    bf16: Annotated[bool, Option("--bf16", help="Run the head in bfloat16.")] = False,
    max_samples: Annotated[int | None, Option(help="Clips of each split, for a look.")] = None,
    init: Annotated[
        list[str], Option(help="A run of this head on one stream, to start from; repeat.")
    ] = [],
    search: Annotated[int | None, Option(help="Trials of options, judged on val.")] = None,
    threads: Annotated[
        int | None, Option(help="Cores to use, default all; seeds and trials run side by side.")
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with what a killed fit of this --out left.")
    ] = False,
    allow_missing: Annotated[
        float | None, Option(help="Share of clips that may lack features.")
    ] = None,
    interval_over: Annotated[
        str | None,
        Option(help="clip, dialogue or a column; default: dialogues if there are any, else clips."),
    ] = None,
    all_probabilities: Annotated[
        bool, Option("--all-probabilities", help="Keep those of more than 100 classes, too.")
    ] = False,
) -> None:
    """Fit a light head on cached features and report weighted F1 per split."""
    with _importing():
        from emo.heads.fitting.fit import fit_head
        from emo.heads.fitting.options_from_cli import fit_options
        from emo.machine import lacks_bfloat16
        from emo.manifest import read_manifest
        from emo.store.backend.location import location

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
        "class_weights": class_weights or None,
        "bf16": bf16 or None, "spec_augment": tuple(spec_augment) or None,
        "streams": tuple(stream) or None, "init": tuple(init) or None,
        "interval_over": interval_over, "all_probabilities": all_probabilities or None,
        "missing": missing or None, "scaling": pairs(scaling, "--scaling") or None, "head": head,
    }  # fmt: skip
    options = fit_options(
        {name: value for name, value in given.items() if value is not None},
        targets=target, tasks=task, weights=target_weight, option=option, preset=preset,
    )  # fmt: skip
    if is_ablation:
        from emo.heads.fitting.ablate import ablate

        print(ablate(clips, stores, out, options, by=cv, resume=resume).table())
        return
    if cv is not None:
        from emo.heads.fitting.cross_validate import cross_validate

        print(cross_validate(clips, stores, out, options, by=cv, resume=resume).table())
        return
    result = fit_head(clips, stores, out, options, resume=resume)
    print(result.table())


def compare(
    runs: Annotated[list[Path], Argument(help="Folders from `emo fit-head`.")] = [],
    pair: Annotated[
        tuple[Path, Path] | None,
        Option(help="The two whose difference is tested; default: the runs, if there are two."),
    ] = None,
    target: Annotated[str | None, Option(help="Default: each run's first.")] = None,
    seed: Annotated[int, Option(help="Of the resamples.")] = 0,
    interval_over: Annotated[
        str,
        Option(help="clip, dialogue or a column; default: dialogues if there are any, else clips."),
    ] = "",
) -> None:
    """Rank runs by their scores, and test the difference of two on the clips of both."""
    from emo.heads.runs.compare import compare_runs

    if not runs and pair is None:
        raise typer.BadParameter("give the folders of runs, such as runs/*")
    found = compare_runs(
        runs or list(pair or ()), pair=pair, target=target, seed=seed, interval_over=interval_over
    )
    print(found.table())


def predict(
    run: Annotated[Path, Argument(help="A folder from `emo fit-head`.")],
    clip: Annotated[Path | None, Argument(help="A video or audio file.")] = None,
    text: Annotated[str | None, Option(help="What is said in the clip.")] = None,
    manifest: Annotated[Path | None, Option(help="Many clips instead of one.")] = None,
    features: Annotated[
        str | None, Option(metavar="PLACE", help="Their store, when already extracted.")
    ] = None,
    out: Annotated[Path, Option(help="Where many predictions go.", callback=written)] = Path(
        "predictions.csv"
    ),
    option: Annotated[list[str], Option("-o", help="RECIPE.weights=DIR on this machine.")] = [],
    column: Columns = [],
    root: Root = None,
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
    all_probabilities: Annotated[
        bool, Option("--all-probabilities", help="Write those of more than 100 classes, too.")
    ] = False,
) -> None:
    """Class probabilities for a new clip, with the recipes that the run was fitted on."""
    with _importing():
        from emo.predict import predict_file, predict_manifest

    if (clip is None and text is None) == (manifest is None):
        raise typer.BadParameter("give a file, or --text, or --manifest with many clips")
    if manifest is None:
        prediction = predict_file(run, clip, text, options=option)
        print(prediction.json() if json else prediction.table())
    else:
        columns = pairs(column, "--column")
        report = predict_manifest(
            run, manifest, features, out, columns=columns, root=root, options=option,
            all_probabilities=all_probabilities,
        )  # fmt: skip
        print(report.table())
        raise typer.Exit(report.exit_code)


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """What is imported stays: it is not searched for garbage, now or later, which takes 0.5 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
