"""`emo store …`: look into a store, verify, clean, index, compact it, exchange clips."""

from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands import interchange as cli_interchange

store_app = typer.Typer(
    help="Look into a store, verify it, clean it, exchange it.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Features = Annotated[
    str, Argument(metavar="PLACE", help="The store: a folder, or s3://, gs:// or az://.")
]
OneRecipe = Annotated[str | None, Option("--recipe", help="Of this recipe alone.")]


@store_app.command("ls", epilog="Example: emo store ls features/")
def ls(store: Features = "features") -> None:
    """Recipes, streams, clips, tokens, dims, bytes."""
    from emo.store import Store
    from emo.store.maintain.verify import summary
    from emo.table import format_table

    rows = summary(Store(store))
    print(format_table(rows))


@store_app.command(epilog="Example: emo store verify features/ --quarantine")
def verify(
    store: Features = "features",
    quarantine: Annotated[
        bool, Option("--quarantine", help="Set damaged parts aside; the next extract redoes them.")
    ] = False,
) -> None:
    """Check every checksum, every clip once, finite, shapes as promised. Exit 1 on damage."""
    from emo.store import Store
    from emo.store.maintain.verify import verify

    report = verify(Store(store), quarantine=quarantine)
    print(report.table())
    raise typer.Exit(1 if report.problems and not quarantine else 0)


@store_app.command(epilog="Example: emo store clean features/")
def clean(store: Features = "features") -> None:
    """Remove what killed workers left behind."""
    from emo.store import Store
    from emo.store.maintain.verify import clean

    print(clean(Store(store)).table())


@store_app.command("index", epilog="Example: emo store index features/")
def index(store: Features = "features", recipe: OneRecipe = None) -> None:
    """Write down where every clip lies, so that a store of a million clips opens at once."""
    from emo.store import Store
    from emo.store.maintain.index import make_index

    for folder in Store(store).chosen(recipe):
        print(make_index(folder).line())


@store_app.command("compact", epilog="Example: emo store compact features/ --recipe classic")
def compact(store: Features = "features", recipe: OneRecipe = None) -> None:
    """Merge small parts into few and drop what nobody reads; safe at any time, and to kill."""
    from emo.store import Store
    from emo.store.maintain.compact import compact

    for folder in Store(store).chosen(recipe):
        print(compact(folder).line())


@store_app.command(epilog="Example: emo store failures features/")
def failures(store: Features = "features") -> None:
    """Clips that failed, each with its reason; `emo extract --retry-failed` does them again."""
    from emo.store import Store
    from emo.table import format_table

    rows = [
        {"recipe": name, "clip": clip_id, "reason": reason}
        for name, folder in Store(store).recipes.items()
        for clip_id, reason in sorted(folder.failures.items())
    ]
    print(format_table(rows) if rows else "no failed clips")


cli_interchange.register(store_app)
