"""`emo manifest …`: make a manifest of a folder, of annotations or tables; cut its splits."""

import os
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import Columns, Manifests, Root, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.errors import plural
from emo.machine.table import fit_lines, format_table

if TYPE_CHECKING:
    from emo.manifest import Manifest
    from emo.manifest.make import Cut

manifest_app = typer.Typer(
    help="Make a manifest of media, annotations or tables.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Out = Annotated[Path, Option(metavar="FILE", help="The manifest to write.", callback=written)]
SplitBy = Annotated[
    str | None, Option(metavar="COLUMN", help="Cut splits by this column, such as speaker.")
]
Val = Annotated[
    list[str], Option(metavar="VALUE", help="A value of that column which is val; repeat.")
]
Test = Annotated[
    list[str], Option(metavar="VALUE", help="A value of that column which is test; repeat.")
]


@manifest_app.command(
    cls=SectionedCommand,
    epilog=examples(
        "emo manifest folder clips/ --out m.csv",
        "emo manifest folder clips/ --pattern '{split}/{label}_{take}'",
        "emo manifest folder clips/ --transcripts t.xlsx",
    ),
)
def folder(
    media: Annotated[
        Path, Argument(metavar="FOLDER", help="Folder of the media, read with its sub-folders.")
    ],
    out: Out = Path("manifest.csv"),
    pattern: Annotated[
        str | None,
        Option(metavar="TEXT", help="Columns in the names, such as {split}/{label}/{speaker}_{_}."),
    ] = None,
    transcripts: Annotated[
        list[Path],
        Option(metavar="FILE", help="A table with a row for each file, joined by name; repeat."),
    ] = [],
    on: Annotated[
        str | None,
        Option(
            metavar="COLUMN", help="The table's column of file names; default: found by its cells."
        ),
    ] = None,
    column: Columns = [],
    split_by: SplitBy = None,
    val: Val = [],
    test: Test = [],
) -> None:
    """Make one clip of each media file in a folder.

    Split, label and speaker are taken from the names of folders and files.
    A .wav beside a video of the same name is its audio.
    """
    from emo.manifest.folder import left_out, posters
    from emo.manifest.make import save_folder
    from emo.manifest.naming.facts import first_files
    from emo.manifest.naming.named_folder import named_folder
    from emo.manifest.naming.transcripts import join_transcripts

    if (on or column) and not transcripts:
        raise typer.BadParameter("--on and --column need --transcripts FILE")
    named = named_folder(media, pattern)
    for table in transcripts:
        renamed = pairs(column, "--column")
        rows, notes = join_transcripts(named.rows, table, media, on=on, columns=renamed)
        named = replace(named, rows=rows, notes=[*named.notes, *notes])
    manifest = save_folder(named, media, out=out, cut=_cut(split_by, val, test))
    if named.facts:
        print(format_table(named.facts))
        print()
    for note in named.notes:
        print(fit_lines(note))
    print(fit_lines(f"{plural(len(manifest.clips), 'clip')} -> {out}"))
    if named.unfit:
        files = f"{len(named.unfit):,}: {first_files(named.unfit)}"
        print(fit_lines(f"left out, the pattern does not fit: {files}"))
    if count := len(posters(media)):
        print(
            fit_lines(
                f"left out: {plural(count, 'picture')} beside a video of the same name "
                "(its posters)"
            )
        )
    if others := left_out(media):
        print(fit_lines(f"left out: {others}"))
    _print_root(manifest, out)


@manifest_app.command(
    "join",
    cls=SectionedCommand,
    epilog=examples(
        "emo manifest join --split train=a.csv --split test=b.csv \\",
        "    --column text=Utterance --column label=Emotion --out m.csv",
    ),
)
def join(
    split: Annotated[
        list[str], Option(metavar="SPLIT=FILE", help="A table, and the split of its rows; repeat.")
    ],
    out: Out = Path("manifest.csv"),
    column: Columns = [],
    root: Root = None,
) -> None:
    """Join several tables, each the clips of one split."""
    from emo.manifest.make import join_tables

    parts = {name: Path(file) for name, file in pairs(split, "--split").items()}
    manifest = join_tables(parts, out=out, columns=pairs(column, "--column"), root=root)
    _print_counts(manifest, out)


class Values(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """Columns that what annotations say can become."""

    label = "label"
    text = "text"


@manifest_app.command(
    cls=SectionedCommand,
    epilog=examples(
        "emo manifest annotations recordings/ --tier emotion --text-tier words",
        "emo manifest annotations a.rttm b.rttm --media recordings/",
    ),
)
def annotations(
    files: Annotated[
        list[Path],
        Argument(
            metavar="FILE…",
            help="ELAN, TextGrid, RTTM, SRT, VTT, Audacity labels or tables; or folders of them.",
        ),
    ],
    out: Out = Path("manifest.csv"),
    kind: Annotated[
        str | None,
        Option(
            "--format",
            metavar="NAME",
            help="audacity, eaf, rttm, srt, textgrid, times or vtt; default: by the extension.",
        ),
    ] = None,
    tier: Annotated[
        list[str], Option(metavar="NAME", help="A tier whose annotations are clips; repeat.")
    ] = [],
    text_tier: Annotated[
        list[str], Option(metavar="NAME", help="A tier whose words are the clips' text; repeat.")
    ] = [],
    speaker: Annotated[
        list[str], Option(metavar="NAME", help="Take the annotations of this speaker; repeat.")
    ] = [],
    tiers_are_speakers: Annotated[
        bool, Option("--tiers-are-speakers", help="The name of a tier is the speaker's name.")
    ] = False,
    values: Annotated[
        Values | None,
        Option(metavar="HOW", help="What annotations say: label or text; default: by the format."),
    ] = None,
    media: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Folder of the media; default: beside the annotations."),
    ] = None,
) -> None:
    """Make one clip of each annotation.

    The times of a clip are those of its annotation, to the millisecond.
    """
    from emo.manifest.annotations.collect import AnnotationRequest, from_annotations

    request = AnnotationRequest(
        kind, tuple(tier), tuple(text_tier), tuple(speaker), values.value if values else None,
        tiers_are_speakers, media,
    )  # fmt: skip
    found = from_annotations(files, out=out, request=request)
    print(f"{format_table(found.facts)}\n")
    for note in found.notes:
        print(fit_lines(note))
    print(fit_lines(f"{plural(len(found.manifest.clips), 'clip')} -> {out}"))
    _print_root(found.manifest, out)


@manifest_app.command(
    cls=SectionedCommand,
    epilog=examples("emo manifest semeval --split train=Subtask_2_train.json --out m.csv"),
)
def semeval(
    split: Annotated[
        list[str],
        Option(
            metavar="SPLIT=FILE",
            help="A .json file as SemEval publishes it, or a .txt file of ECF; repeat.",
        ),
    ],
    out: Out = Path("manifest.csv"),
) -> None:
    """Read the dialogues of SemEval-2024 Task 3 or ECF.

    Each utterance is a clip, with its emotion and the utterances that caused it.
    """
    from emo.manifest.conversations import from_conversations

    parts = {name: Path(file) for name, file in pairs(split, "--split").items()}
    manifest = from_conversations(parts, out=out)
    dialogues = len({clip.dialogue for clip in manifest.clips})
    print(
        fit_lines(
            f"{plural(len(manifest.clips), 'clip')} of {plural(dialogues, 'dialogue')} -> {out}"
        )
    )


@manifest_app.command(
    cls=SectionedCommand,
    epilog=examples("emo manifest split m.csv --split-by speaker --val ann --test ben"),
)
def split(
    manifest: Manifests,
    split_by: Annotated[
        str, Option(metavar="COLUMN", help="Cut splits by this column, such as speaker.")
    ],
    out: Out = Path("manifest.csv"),
    val: Val = [],
    test: Test = [],
    column: Columns = [],
    root: Root = None,
) -> None:
    """Copy a manifest with other splits.

    The clips keep their ids, so one store serves every cut.
    """
    from emo.manifest.make import Cut
    from emo.manifest.make import split_by as cut_splits

    cut = Cut(split_by, tuple(val), tuple(test))
    made = cut_splits(manifest, cut, out=out, columns=pairs(column, "--column"), root=root)
    _print_counts(made, out)


def _cut(column: str | None, val: list[str], test: list[str]) -> "Cut | None":
    from emo.manifest.make import Cut

    if column is None and (val or test):
        raise typer.BadParameter("--val and --test need --split-by COLUMN")
    return Cut(column, tuple(val), tuple(test)) if column else None


def _print_root(manifest: "Manifest", out: Path) -> None:
    """Say where the media are when they are not below the manifest's folder."""
    if manifest.root != Path(os.path.abspath(out.parent)):
        line = f"the media lie elsewhere: add --root {manifest.root} to the commands that read it"
        print(fit_lines(line))


def _print_counts(manifest: "Manifest", out: Path) -> None:
    counts = [
        f"{sum(clip.split == name for clip in manifest.clips):,} {name}"
        for name in ("train", "val", "test")
    ]
    print(fit_lines(f"{plural(len(manifest.clips), 'clip')} ({', '.join(counts)}) -> {out}"))
