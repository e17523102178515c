"""`emo store import`, `export`, `pack` and `unpack`: exchange clips with other tools."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import Columns, Root, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.errors import ManifestError
from emo.machine.table import fit_lines


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("import", cls=SectionedCommand, epilog=_IMPORT)(import_file)
    app.command("export", cls=SectionedCommand, epilog=_EXPORT)(export)
    app.command(cls=SectionedCommand, epilog=_PACK)(pack)
    app.command(cls=SectionedCommand, epilog=_UNPACK)(unpack)


_IMPORT = examples(
    "emo store import hdf5 old.h5 --out features/",
    "emo store import mmsa mosi.pkl --allow-pickle --manifest m.csv",
    "emo store import table smile.csv -o id=name -o columns='F0*'",
)
_EXPORT = examples(
    "emo store export zarr features/ --recipe classic --out classic.zarr",
    "emo store export mertools features/ --manifest m.csv --out merbench",
)
_PACK = examples(
    "emo store pack features/ --recipe languagebind --out meld.zip",
    "emo store pack store/ --manifest m.csv --hide-labels test --out c.zip",
)
_UNPACK = examples("emo store unpack meld.zip", "emo store unpack meld.zip --out other")
Formats = Annotated[str, Argument(metavar="FORMAT", help="A format of `emo list formats`.")]
Stores = Annotated[
    str, Argument(metavar="STORE", help="The store: a folder, or s3://…, gs://… or az://….")
]
Recipe = Annotated[
    str | None, Option(metavar="RECIPE", help="Recipe of the store; default: the only one.")
]
Streams = Annotated[
    list[str],
    Option("--stream", metavar="STREAM", help="A stream of the recipe; repeat; default: all."),
]
Clips = Annotated[
    Path | None,
    Option(
        metavar="MANIFEST", help="Only the clips of this manifest, in its order, with its labels."
    ),
]
FormatOptions = Annotated[
    list[str],
    Option(
        "-o",
        metavar="NAME=VALUE",
        help="An option of the format, see `emo list formats NAME`; repeat.",
    ),
]


def import_file(
    form: Formats,
    file: Annotated[Path, Argument(metavar="FILE", help="A file or folder of that format.")],
    out: Annotated[
        str, Option(metavar="STORE", help="The store to write into; it is made if need be.")
    ] = "features",
    name: Annotated[
        str | None,
        Option("--as", metavar="RECIPE", help="Name of the recipe; default: the file's."),
    ] = None,
    stream: Streams = [],
    option: Annotated[
        list[str],
        Option(
            "-o",
            metavar="NAME=VALUE",
            help="An option of the format, see `emo list formats NAME`, or space=NAME, the space "
            "of the tokens, for `emo retrieve`; repeat.",
        ),
    ] = [],
    manifest: Annotated[
        Path | None,
        Option(
            metavar="MANIFEST",
            help="Write the ids, splits and labels in the file here.",
            callback=written,
        ),
    ] = None,
    allow_pickle: Annotated[
        bool, Option("--allow-pickle", help="Read a pickle, of numbers, text and arrays only.")
    ] = False,
    most_bytes: Annotated[
        str,
        Option(
            "--most-bytes",
            metavar="SIZE",
            help="Refuse a file whose arrays take more once they are decoded.",
        ),
    ] = "16G",
) -> None:
    """Put features from another tool into a store."""
    from emo.machine.untrusted.budget import parse_bytes
    from emo.manifest.exchange import write_manifest
    from emo.store.exchange.transfer import import_file

    report = import_file(
        form, file, out, options=option, recipe=name, streams=stream, allow_pickle=allow_pickle,
        wants_labels=manifest is not None, most_bytes=parse_bytes(most_bytes, "--most-bytes"),
    )  # fmt: skip
    print(fit_lines(report.table()))
    if manifest is not None:
        write_manifest(manifest, report.cells)
        print(fit_lines(f"labels: {manifest}"))
    raise typer.Exit(3 if report.failures else 0)


def export(
    form: Formats,
    store: Stores,
    out: Annotated[
        Path, Option(metavar="FILE", help="The file or folder to write.", callback=written)
    ],
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
    print(fit_lines(report.table()))


def pack(
    store: Stores,
    out: Annotated[Path, Option(metavar="FILE", help="The file to write.", callback=written)],
    recipe: Annotated[
        list[str],
        Option(metavar="RECIPE", help="Recipe of the store; repeat; default: the only one."),
    ] = [],
    stream: Streams = [],
    manifest: Clips = None,
    column: Columns = [],
    root: Root = None,
    hide_labels: Annotated[
        list[str],
        Option(
            "--hide-labels",
            metavar="SPLIT",
            help="Put the labels of this split into FILE-labels.csv, for the lecturer; repeat.",
        ),
    ] = [],
    neutral_ids: Annotated[
        bool,
        Option(
            "--neutral-ids",
            help="Rename clips to c0001 …, dialogues and speakers likewise, and leave out paths.",
        ),
    ] = False,
    seed: Annotated[
        int | None,
        Option(metavar="N", help="Seed of the order with --hide-labels; default: drawn anew."),
    ] = None,
) -> None:
    """Put clips and their labels into one file with checksums.

    With --hide-labels test it is a pack for a class, whose order is shuffled.
    """
    from emo.manifest.exchange import cells_of, manifest_bytes
    from emo.store.exchange.pack import pack

    if hide_labels and manifest is None:
        raise typer.BadParameter("--hide-labels needs --manifest, the table with the labels")
    if (neutral_ids or seed is not None) and not hide_labels:
        raise typer.BadParameter("--neutral-ids and --seed go with --hide-labels SPLIT")
    cells = cells_of(manifest, columns=pairs(column, "--column"), root=root)
    if cells is None or not hide_labels:
        labels = manifest_bytes(cells)
        report = pack(store, out, recipes=recipe, streams=stream, cells=cells, manifest=labels)
        print(fit_lines(report.table()))
        return
    from emo.manifest.hidden import hide_labels as hide

    hidden = hide(cells, hide_labels, neutral_ids=neutral_ids, seed=seed)
    gold = out.with_name(f"{out.stem}-labels.csv")
    if gold.exists():
        raise ManifestError(f"{gold} exists; move the labels of the earlier pack, or choose --out")
    report = pack(
        store, out, recipes=recipe, streams=stream, cells=hidden.cells, names=hidden.names,
        manifest=manifest_bytes(hidden.student_cells),
    )  # fmt: skip
    hidden.write_gold(gold)
    lines = [
        report.table(), *hidden.lines,
        f"labels, for the lecturer alone: {gold} (order drawn with --seed {hidden.seed})",
    ]  # fmt: skip
    print(fit_lines("\n".join(lines)))


def unpack(
    file: Annotated[Path, Argument(metavar="FILE", help="A file from `emo store pack`.")],
    folder: Annotated[
        Path | None,
        Argument(
            metavar="FOLDER",
            help="The folder to make; it must not exist; default: the name of the pack.",
            callback=written,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Folder to make, instead of FOLDER.", callback=written),
    ] = None,
) -> None:
    """Unpack a file from `emo store pack`.

    FOLDER/features is the store then, and FOLDER/manifest.csv has the labels.
    """
    from emo.manifest.exchange import check_packed_labels
    from emo.store.exchange.pack import unpack

    if folder is not None and out is not None:
        raise typer.BadParameter("give FOLDER or --out, not both")
    target = folder or out or file.with_name(file.stem)
    if target == file:
        raise typer.BadParameter(f"{file}: name the folder to make with --out")
    print(fit_lines(unpack(file, target, check_labels=check_packed_labels).table()))
