"""The commands `emo compare` and `emo predict`: what is done with the runs of `emo fit-head`."""

import contextlib
import gc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer import Argument, Option

from emo.commands.flags.executor_options import given_options, with_executor_options
from emo.commands.flags.options import (
    AllowCode,
    AllowHost,
    Columns,
    MaxBytes,
    MaxPixels,
    MaxSeconds,
    Root,
    Timeout,
    WeightsFolders,
    limit_media,
    near,
    pairs,
)
from emo.commands.flags.sections import OF_EXECUTORS, SectionedCommand, examples
from emo.commands.job import Jobs, jobs_location
from emo.machine.table import fit_lines, shown


def file_or_parts(out: str) -> str:
    """Refuse the URL of one file: predictions in a bucket are a folder of parts.

    Raises:
        EmoError: ``out`` is a URL, and that of a table or of no bucket.
    """
    if "://" in out:
        from emo.store.backend.location import local, location

        if Path(out).suffix in (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx"):
            local(Path(out), "--out")
        location(out)
    return out


class _PredictCommand(SectionedCommand):
    """The help of `emo predict`."""

    sections: ClassVar[Mapping[str, str]] = {
        "Clips": "text manifest features extract option column root allow_host speaker like",
        "Results": "out json all_probabilities spreadsheet_safe allow_code",
        "Many machines": "executor workers anyway jobs",
        OF_EXECUTORS: "",
    }


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples("emo compare runs/*", "emo compare runs/* --baseline runs/a --latex"),
    )(compare)
    app.command(
        cls=_PredictCommand,
        epilog=examples(
            'emo predict runs/audio clip.mp4 --text "I am fine."',
            "emo predict runs/audio new-clips/ --out predictions.csv",
            "emo predict runs/audio --manifest new.csv --out predictions.csv",
            "emo predict runs/audio --manifest m.parquet --features f --out parts/",
            "emo predict runs/a --manifest m.csv --features f --extract --out p/",
            "emo predict runs/scaled a.wav b.wav --speaker ann --like older-clips/",
        ),
    )(predict)


def compare(
    runs: Annotated[
        list[Path],
        Argument(metavar="RUN", help="Runs of `emo fit-head`: folders, or s3://….", callback=near),
    ] = [],
    pair: Annotated[
        tuple[Path, Path] | None,
        Option(
            metavar="RUN RUN",
            help="Test the difference of these two; default: the runs, if there are two.",
            callback=near,
        ),
    ] = None,
    target: Annotated[
        str | None, Option(metavar="NAME", help="Target to compare; default: each run's first.")
    ] = None,
    seed: Annotated[int, Option(metavar="N", help="Seed of the bootstrap.")] = 0,
    interval_over: Annotated[
        str,
        Option(
            metavar="COLUMN",
            help="What intervals are drawn over: a column (@clip: the one called clip), dialogue "
            "or clip; default: dialogues if there are any, else clips.",
        ),
    ] = "",
    baseline: Annotated[
        Path | None,
        Option(metavar="RUN", help="Test all other runs against this one.", callback=near),
    ] = None,
    correction: Annotated[
        str,
        Option(metavar="HOW", help="Correction of p values for the number of tests: holm or none."),
    ] = "holm",
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
    csv: Annotated[bool, Option("--csv", help="Print CSV, a line for each run.")] = False,
    latex: Annotated[
        bool, Option("--latex", help="Print a table for LaTeX, the best score in bold.")
    ] = False,
    markdown: Annotated[bool, Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Rank runs by their scores, and test their differences."""
    from emo.heads.runs.comparing.compare import compare_runs

    if not runs and pair is None:
        raise typer.BadParameter("give the folders of runs, such as runs/*")
    flags = {"json": json, "csv": csv, "latex": latex, "markdown": markdown}
    wanted = [name for name, is_given in flags.items() if is_given]
    if len(wanted) > 1:
        raise typer.BadParameter(f"--{' and --'.join(wanted)}: expected one of them")
    found = compare_runs(
        runs or list(pair or ()), pair=pair, target=target, seed=seed, interval_over=interval_over,
        baseline=baseline, correction=correction,
    )  # fmt: skip
    if not wanted:
        print(fit_lines(found.table()))
        return
    from emo.heads.runs.comparing.formats import FORMATS_OF_TABLES

    print(shown(FORMATS_OF_TABLES[wanted[0]](found)))


@with_executor_options
def predict(
    run: Annotated[
        Path,
        Argument(metavar="RUN", help="A run of `emo fit-head`: a folder, or s3://…."),
    ],
    clip: Annotated[
        list[Path],
        Argument(metavar="CLIP", help="A video or audio file, several, or a folder of many."),
    ] = [],
    speaker: Annotated[
        str,
        Option(
            metavar="NAME",
            help="The clips are one person's, for runs with --scaling STREAM=speaker.",
        ),
    ] = "",
    like: Annotated[
        list[Path],
        Option(
            metavar="CLIP",
            help="A further file of this person, or a folder, that is not predicted; repeat.",
        ),
    ] = [],
    text: Annotated[str | None, Option(metavar="TEXT", help="What is said in the clip.")] = None,
    manifest: Annotated[
        Path | None, Option(metavar="MANIFEST", help="Predict all clips of a manifest.")
    ] = None,
    features: Annotated[
        list[str],
        Option(
            metavar="STORE",
            help="Store of these clips, if they are already extracted; repeat to join several.",
        ),
    ] = [],
    out: Annotated[
        str,
        Option(
            metavar="FILE",
            help="File for the predictions of many clips; or FOLDER/ or a bucket's URL for parts, "
            "of which those that are there are not predicted again.",
            callback=file_or_parts,
        ),
    ] = "predictions.csv",
    extract: Annotated[
        bool,
        Option(
            "--extract",
            help="Extract what --features lacks of the clips first, into it, with the run's "
            "backbones.",
        ),
    ] = False,
    option: WeightsFolders = [],
    column: Columns = [],
    root: Root = None,
    allow_host: AllowHost = [],
    max_bytes: MaxBytes = None,
    max_seconds: MaxSeconds = None,
    max_pixels: MaxPixels = None,
    timeout: Timeout = None,
    json: Annotated[bool, Option("--json", help="Print one JSON document.")] = False,
    all_probabilities: Annotated[
        bool, Option("--all-probabilities", help="Write those of more than 100 classes, too.")
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        Option(
            "--spreadsheet-safe",
            help="Write an apostrophe before cells that a spreadsheet would run as formulas.",
        ),
    ] = False,
    allow_code: AllowCode = False,
    executor: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Where parts of --out FOLDER/ are predicted, see `emo list executors`, or "
            "module:Class, whose options are given as -o executor.NAME=VALUE; default: local.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Processes here or of each Slurm task, or Ray workers; default: this process, or "
            "as many as fit.",
        ),
    ] = None,
    anyway: Annotated[
        bool,
        Option("--anyway", help="Submit clips that an earlier job still has in Slurm's queue."),
    ] = False,
    jobs: Jobs = None,
    **executor_options: Any,
) -> None:
    """Predict the classes of one new clip or of many.

    Many are several files, all media files of a folder, or the clips of a manifest.
    """
    with keep_imports():
        from emo.predict.file import predict_manifest
        from emo.predict.one_clip import predict_file
        from emo.predict.person import Person
        from emo.predict.scale.to_parts import is_for_parts, predict_to_parts
        from emo.predict.scale.write_chunk import PartsOptions

    limit_media(max_bytes, max_seconds, max_pixels, timeout)
    if (not clip and text is None) == (manifest is None):
        raise typer.BadParameter("give a file, or --text, or --manifest with many clips")
    if manifest is not None and (speaker or like):
        raise typer.BadParameter(
            "--speaker and --like go with CLIP; the column speaker of a manifest says who speaks"
        )
    is_many = len(clip) > 1 or any(each.is_dir() for each in clip)
    if is_many and text is not None:
        raise typer.BadParameter("--text goes with one file; put the texts into a manifest")
    if extract and not features:
        raise typer.BadParameter("--extract goes with --features, the store that it fills")
    person = Person(speaker, tuple(like))
    words = [word for word in option if word.startswith("executor.")]
    option = [word for word in option if word not in words]
    given = given_options(executor_options)
    is_job = executor is not None or workers is not None or anyway or bool(words or given)
    if is_job and (manifest is None or not is_for_parts(out)):
        raise typer.BadParameter(
            "--executor, --workers and options of executors go with --manifest and --out FOLDER/"
        )
    if manifest is None and not is_many:
        if features:
            raise typer.BadParameter("--features goes with --manifest, whose ids it looks up")
        prediction = predict_file(run, clip[0] if clip else None, text, options=option,
                                  person=person)  # fmt: skip
        print(prediction.json() if json else fit_lines(prediction.table()))
    elif is_for_parts(out):
        if manifest is None:
            raise typer.BadParameter(f"--out {out}: a folder goes with --manifest and --features")
        where, extraction = _where(executor, workers, given, words, jobs, anyway, option)
        parts = predict_to_parts(
            run, manifest, features, out, columns=pairs(column, "--column"), root=root,
            options=PartsOptions(all_probabilities, spreadsheet_safe), jobs=where,
            extraction=extraction if extract else None,
        )  # fmt: skip
        print(parts.json() if json else fit_lines(parts.table()))
        raise typer.Exit(parts.exit_code)
    else:
        columns = pairs(column, "--column")
        many = manifest or (clip[0] if len(clip) == 1 else clip)
        report = predict_manifest(
            run, many, tuple(features), Path(out), columns=columns, root=root, options=option,
            all_probabilities=all_probabilities, spreadsheet_safe=spreadsheet_safe, person=person,
            is_extracting=extract,
        )  # fmt: skip
        print(report.json() if json else fit_lines(report.table()))
        raise typer.Exit(report.exit_code)


def _where(
    executor: str | None,
    workers: int | None,
    given: dict[str, Any],
    words: list[str],
    jobs: str | None,
    anyway: bool,
    weights: list[str],
) -> tuple[Any, Any]:
    """Return where parts are predicted, and how tokens that lack are extracted."""
    from emo.extract.executor import options_from_words
    from emo.extract.run import ExtractOptions
    from emo.predict.lacking import Extraction
    from emo.predict.scale.part_job import PartJobs

    name = executor or "local"
    given, folder = given | options_from_words(name, words), jobs_location(jobs)
    how = ExtractOptions(
        name, workers, changed="keep", executor_options=given, jobs=folder, is_anyway=anyway
    )
    return PartJobs(name, workers, given, folder, anyway), Extraction(tuple(weights), how)


@contextlib.contextmanager
def keep_imports() -> Iterator[None]:
    """Import libraries without searching them for garbage, now or later, which takes 0.5 s."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
