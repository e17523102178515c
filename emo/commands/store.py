"""`emo store …`: look into a store, verify, clean, index, compact it, erase, exchange clips."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands import interchange as cli_interchange
from emo.commands.flags.options import Columns, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.errors import line_of
from emo.machine.table import fit_lines, format_table

store_app = typer.Typer(
    help="Look into a store, verify it, clean it, exchange it.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Features = Annotated[
    str, Argument(metavar="STORE", help="The store: a folder, or s3://…, gs://… or az://….")
]
OneRecipe = Annotated[
    str | None, Option("--recipe", metavar="RECIPE", help="Only this recipe; default: all.")
]


@store_app.command("ls", cls=SectionedCommand, epilog=examples("emo store ls features/"))
def ls(store: Features = "features") -> None:
    """List recipes and streams with clips, tokens, widths and sizes."""
    from emo.store import Store
    from emo.store.maintain.verify import summary

    print(format_table(summary(Store(store)), keys=2))


@store_app.command(
    cls=SectionedCommand,
    epilog=examples("emo store verify features/", "emo store verify features/ --quarantine"),
)
def verify(
    store: Features = "features",
    quarantine: Annotated[
        bool, Option("--quarantine", help="Set damaged parts aside; the next extract redoes them.")
    ] = False,
) -> None:
    """Check all checksums, shapes and values of a store.

    The exit code is 1 if something is damaged and stays.
    """
    from emo.store import Store
    from emo.store.maintain.verify import verify

    report = verify(Store(store), quarantine=quarantine)
    print(fit_lines(report.table()))
    raise typer.Exit(1 if report.problems and not quarantine else 0)


@store_app.command(cls=SectionedCommand, epilog=examples("emo store clean features/"))
def clean(store: Features = "features") -> None:
    """Remove the unfinished files of workers that were killed."""
    from emo.store import Store
    from emo.store.maintain.verify import clean

    print(fit_lines(clean(Store(store)).table()))


@store_app.command("index", cls=SectionedCommand, epilog=examples("emo store index features/"))
def index(store: Features = "features", recipe: OneRecipe = None) -> None:
    """Write an index, so that a store of many parts opens at once."""
    from emo.store import Store
    from emo.store.maintain.index import make_index

    for folder in Store(store).chosen(recipe):
        print(fit_lines(line_of(make_index(folder).line())))


@store_app.command(
    "compact",
    cls=SectionedCommand,
    epilog=examples("emo store compact features/", "emo store compact features/ --recipe classic"),
)
def compact(store: Features = "features", recipe: OneRecipe = None) -> None:
    """Merge small parts, and drop what nobody reads.

    It can run at any time, beside readers and writers, and can be killed.
    """
    from emo.store import Store
    from emo.store.maintain.compact import compact

    for folder in Store(store).chosen(recipe):
        print(fit_lines(line_of(compact(folder).line())))


@store_app.command(cls=SectionedCommand, epilog=examples("emo store failures features/"))
def failures(store: Features = "features") -> None:
    """List the clips that failed, each with its reason.

    `emo extract --retry-failed` does them again.
    """
    from emo.store import Store

    rows = [
        {"recipe": name, "clip": clip_id, "reason": reason}
        for name, folder in Store(store).recipes.items()
        for clip_id, reason in sorted(folder.failures.items())
    ]
    print(format_table(rows) if rows else "no failed clips")


_ERASE_EPILOG = examples(
    "emo store erase features/ --ids gone.csv --runs runs/",
    "emo store erase features/ --manifest m.csv --where speaker=Ann",
    more="Exit codes: 0 nothing of the clips is there any more, 1 an error, or something is still "
    "there. A command that was killed is repeated.",
)


@store_app.command(cls=SectionedCommand, epilog=_ERASE_EPILOG)
def erase(
    store: Annotated[
        str, Argument(metavar="STORE", help="The store: a folder, or s3://…, gs://… or az://….")
    ],
    ids: Annotated[
        Path | None,
        Option(metavar="FILE", help="The clips: a table with a column id, or one id a line."),
    ] = None,
    manifest: Annotated[
        Path | None, Option(metavar="FILE", help="A manifest; --where chooses its clips.")
    ] = None,
    where: Annotated[
        list[str],
        Option(
            "--where",
            metavar="COLUMN=VALUE",
            help="Clips of --manifest with this value, such as speaker=Ses01F; repeat.",
        ),
    ] = [],
    column: Columns = [],
    runs: Annotated[
        list[str],
        Option(
            "--runs",
            metavar="FOLDER",
            help="Also erase below this folder or bucket's name: runs, predictions, packs, job "
            "folders, adapted weights; repeat.",
        ),
    ] = [],
    remove_heads: Annotated[
        bool,
        Option("--remove-heads", help="Remove the weights of heads that keep tokens of the clips."),
    ] = False,
    receipt: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write what was erased, with hashes and no content, as JSON.",
            callback=written,
        ),
    ] = None,
) -> None:
    """Erase clips from a store and from runs, and prove it.

    They leave every part, index, log, list, pack and prediction. Afterwards every byte is read
    again: no file may hold an id of the clips, or a token that no other clip has. Heads that saw
    the clips are listed. A later `emo extract` refuses the clips.
    """
    from emo.store.erase.erase import erase as run
    from emo.store.erase.wanted import ids_of_file, ids_of_manifest

    if (ids is None) == (manifest is None):
        raise typer.BadParameter("give either --ids FILE, or --manifest FILE and --where")
    if ids is not None:
        if where or column:
            raise typer.BadParameter("--where and --column go with --manifest, not with --ids")
        wanted = ids_of_file(ids)
    else:
        assert manifest is not None
        if not where:
            raise typer.BadParameter("--manifest needs --where COLUMN=VALUE, to choose its clips")
        renamed = pairs(column, "--column")
        wanted = ids_of_manifest(manifest, [_condition(each) for each in where], columns=renamed)
    report = run(store, wanted, runs=runs, is_head_removed=remove_heads,
                 step=lambda line: typer.echo(line, err=True))  # fmt: skip
    if receipt is not None:
        _write_receipt(receipt, report.document)
    print(fit_lines("\n".join(report.lines())))
    raise typer.Exit(0 if report.is_complete else 1)


def _condition(words: str) -> tuple[str, str]:
    name, equals, value = words.partition("=")
    if not equals:
        raise typer.BadParameter(f"--where {words}: expected COLUMN=VALUE")
    return name, value


def _write_receipt(path: Path, document: dict[str, object]) -> None:
    from emo.errors import StoreError
    from emo.machine.whole_file import whole_file

    with whole_file(path, StoreError) as unfinished:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        unfinished.write_text(text + "\n", encoding="utf-8")


cli_interchange.register(store_app)
