"""`emo store …`: look into a store, verify, clean, index, compact it, exchange clips."""

from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands import interchange as cli_interchange
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


cli_interchange.register(store_app)
