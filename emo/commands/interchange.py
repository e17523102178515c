"""`emo store import`, `export`, `pack` and `unpack`: clips from and for other people."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.options import Columns, Root, pairs, written


def register(app: typer.Typer) -> None:
    """Give the commands to ``app``."""
    app.command("import", epilog=_IMPORT)(import_file)
    app.command("export", epilog=_EXPORT)(export)
    app.command(epilog=_PACK)(pack)
    app.command(epilog=_UNPACK)(unpack)


_IMPORT = (
    "Example: emo store import hdf5 old.h5 --out features/    "
    "emo store import mmsa unaligned.pkl --allow-pickle --as mosi --manifest mosi.csv"
)
_EXPORT = (
    "Example: emo store export zarr features/ --recipe classic --out classic.zarr    "
    "emo store export mertools features/ --manifest m.csv --out merbench"
)
_PACK = (
    "Example: emo store pack features/ --recipe languagebind --stream video --manifest m.csv "
    "--out meld-lb.zip"
)
_UNPACK = "Example: emo store unpack meld-lb.zip meld-lb"
Formats = Annotated[str, Argument(metavar="FORMAT", help="See `emo list formats`.")]
Stores = Annotated[str, Argument(metavar="PLACE", help="The store.")]
Recipe = Annotated[str | None, Option(help="Which; default: the only one.")]
Streams = Annotated[list[str], Option("--stream", help="Of the recipe; repeat; default: all.")]
Clips = Annotated[
    Path | None, Option(help="Only the clips of this manifest, in its order, with its labels.")
]
FormatOptions = Annotated[
    list[str], Option("-o", help="NAME=VALUE of the format; see `emo list formats`.")
]


def import_file(
    form: Formats,
    file: Annotated[Path, Argument(help="A file or folder of that format.")],
    out: Annotated[str, Option(metavar="PLACE", help="The store.")] = "features",
    name: Annotated[
        str | None, Option("--as", help="Name of the recipe; default: the file's.")
    ] = None,
    stream: Streams = [],
    option: FormatOptions = [],
    manifest: Annotated[
        Path | None,
        Option(help="Write the splits and labels that an mmsa file tells.", callback=written),
    ] = None,
    allow_pickle: Annotated[
        bool, Option("--allow-pickle", help="Read a pickle, of numbers, text and arrays only.")
    ] = False,
) -> None:
    """Put somebody's features into a store, under a recipe that says where they are from."""
    from emo.manifest.exchange import write_manifest
    from emo.store.exchange.transfer import import_file

    report = import_file(
        form, file, out, options=option, recipe=name, streams=stream, allow_pickle=allow_pickle,
        wants_labels=manifest is not None,
    )  # fmt: skip
    print(report.table())
    if manifest is not None:
        write_manifest(manifest, report.cells)
        print(f"labels: {manifest}")
    raise typer.Exit(3 if report.failures else 0)


def export(
    form: Formats,
    store: Stores,
    out: Annotated[Path, Option(help="The file or folder to write.", callback=written)],
    recipe: Recipe = None,
    stream: Streams = [],
    manifest: Clips = None,
    column: Columns = [],
    root: Root = None,
    option: FormatOptions = [],
) -> None:
    """Write clips of a store for another tool."""
    from emo.manifest.exchange import cells_of
    from emo.store.exchange.transfer import export_file

    cells = cells_of(manifest, columns=pairs(column, "--column"), root=root)
    report = export_file(
        form, store, out, recipe=recipe, streams=stream, cells=cells, options=option
    )
    print(report.table())


def pack(
    store: Stores,
    out: Annotated[Path, Option(help="The file to write.", callback=written)],
    recipe: Recipe = None,
    stream: Streams = [],
    manifest: Clips = None,
    column: Columns = [],
    root: Root = None,
) -> None:
    """Put clips of a recipe, and their labels, into one file with checksums."""
    from emo.manifest.exchange import cells_of, manifest_bytes
    from emo.store.exchange.pack import pack

    cells = cells_of(manifest, columns=pairs(column, "--column"), root=root)
    labels = manifest_bytes(cells)
    report = pack(store, out, recipe=recipe, streams=stream, cells=cells, manifest=labels)
    print(report.table())


def unpack(
    file: Annotated[Path, Argument(help="Made by `emo store pack`.")],
    folder: Annotated[Path, Argument(help="Made; it must not exist.", callback=written)],
) -> None:
    """Unpack such a file: FOLDER/features is the store, FOLDER/manifest.csv its labels."""
    from emo.store.exchange.pack import unpack

    print(unpack(file, folder).table())
