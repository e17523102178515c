"""`emo manifest folder` and `emo manifest annotations`: a manifest of media files."""

import os
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import AllowHost, Columns, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.errors import plural
from emo.machine.table import fit_lines, format_table

if TYPE_CHECKING:
    from emo.manifest import Manifest
    from emo.manifest.make import Cut
    from emo.manifest.naming.named_folder import NamedFolder

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


class Values(str, Enum):  # noqa: UP042 - typer shows the values of a str Enum
    """Columns that what annotations say can become."""

    label = "label"
    text = "text"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``, the group `emo manifest`."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo manifest folder clips/ --out m.csv",
            "emo manifest folder clips/ --pattern '{split}/{label}_{take}'",
            "emo manifest folder clips/ --transcripts t.xlsx",
            "emo manifest folder s3://bucket/clips --out m.csv",
        ),
    )(folder)
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo manifest tar 'shards-{0000..0123}.tar' --out m.csv",
            "emo manifest tar 's3://bucket/x-{0000..0123}.tar' --out m.parquet",
        ),
    )(tar)
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo manifest annotations recordings/ --tier emotion --text-tier words",
            "emo manifest annotations a.rttm b.rttm --media recordings/",
        ),
    )(annotations)


def folder(
    media: Annotated[
        Path,
        Argument(
            metavar="FOLDER",
            help="Folder of the media, read with its sub-folders; or s3://…, gs://…, az://….",
        ),
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
    from emo.manifest.make import save_folder
    from emo.manifest.naming.named_folder import named_folder
    from emo.manifest.naming.transcripts import columns_told, join_transcripts

    if (on or column) and not transcripts:
        raise typer.BadParameter("--on and --column need --transcripts FILE")
    renamed = pairs(column, "--column")
    told = [name for table in transcripts for name in columns_told(table, renamed)]
    named = named_folder(media, pattern, told=told)
    for table in transcripts:
        rows, notes = join_transcripts(named.rows, table, media, on=on, columns=renamed,
                                       winners=() if pattern else renamed)  # fmt: skip
        named = replace(named, rows=rows, notes=[*named.notes, *notes])
    manifest = save_folder(named, media, out=out, cut=_cut(split_by, val, test))
    if named.facts:
        print(format_table(named.facts))
        print()
    for note in named.notes:
        print(fit_lines(note))
    print(fit_lines(f"{plural(len(manifest.clips), 'clip')} -> {out}"))
    _print_left_out(named, media)
    _print_root(manifest, out)


def tar(
    shards: Annotated[
        list[str],
        Argument(
            metavar="SHARD…",
            help="Tar shards: paths or URLs; {0000..0123} means each of these numbers.",
        ),
    ],
    out: Out = Path("manifest.csv"),
    allow_host: AllowHost = [],
) -> None:
    """Make one clip of each sample in tar shards.

    As in WebDataset, members of one name are one clip: 1.mp4 its video, 1.wav its audio, 1.txt its
    text, 1.cls its label, 1.json further columns. The manifest says where each member lies.
    """
    from emo.extract.decode.sources.bodies import body_of
    from emo.extract.decode.sources.tar_shard import members_of
    from emo.machine.untrusted.addresses import checked_url, url_of
    from emo.manifest.make import save
    from emo.manifest.naming.facts import first_files
    from emo.manifest.naming.shards import Shard, expand_braces, is_usable_member, shard_rows

    notes: list[str] = []

    def opened(word: str) -> Shard:
        file = checked_url(word) if url_of(word) else os.path.abspath(word)
        body = body_of(file)
        members = members_of(body, file)
        usable = {name: span for name, span in members.items() if is_usable_member(file, name)}
        notes.extend(f"{word}: {note}" for note in body.notes)
        if odd := sorted(map(repr, members.keys() - usable)):
            note = f"{plural(len(odd), 'member')} left out, no manifest can hold the names: "
            notes.append(f"{word}: {note}{first_files(odd)}")
        return Shard(file, usable, body.read)

    try:
        files = [opened(each) for word in shards for each in expand_braces(word)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    parents = {shard.file.rpartition("/")[0] for shard in files}
    base = Path(os.path.commonpath(parents)) if len(parents) > 1 else Path(parents.pop())
    for note in notes:
        print(fit_lines(note))
    manifest = save(shard_rows(files), out, base=base)
    shard_count = plural(len(files), "shard")
    print(fit_lines(f"{plural(len(manifest.clips), 'clip')} of {shard_count} -> {out}"))
    _print_root(manifest, out)


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

    The times of a clip are those of its annotation, to the millisecond. Where files or recordings
    are left out, the exit code is 3.
    """
    from emo.manifest.annotations.collect import AnnotationRequest, from_annotations

    request = AnnotationRequest(
        kind, tuple(tier), tuple(text_tier), tuple(speaker), values.value if values else None,
        tiers_are_speakers, media,
    )  # fmt: skip
    found = from_annotations(files, out=out, request=request)
    print(format_table(found.facts))
    print()
    for note in found.notes:
        print(fit_lines(note))
    for line in found.failures:
        print(fit_lines(f"left out: {line}"))
    print(fit_lines(f"{plural(len(found.manifest.clips), 'clip')} -> {out}"))
    _print_root(found.manifest, out)
    raise typer.Exit(found.exit_code)


def _cut(column: str | None, val: list[str], test: list[str]) -> "Cut | None":
    from emo.manifest.make import Cut

    if column is None and (val or test):
        raise typer.BadParameter("--val and --test need --split-by COLUMN")
    return Cut(column, tuple(val), tuple(test)) if column else None


def _print_left_out(named: "NamedFolder", media: Path) -> None:
    """Say which files of a folder are no clips."""
    from emo.manifest.folder import left_out, posters, unusable
    from emo.manifest.naming.facts import first_files

    if named.unfit:
        files = f"{len(named.unfit):,}: {first_files(named.unfit)}"
        print(fit_lines(f"left out, the pattern does not fit: {files}"))
    if count := len(posters(media)):
        pictures = plural(count, "picture")
        print(fit_lines(f"left out: {pictures} beside a video of the same name (its posters)"))
    if odd := unusable(media):
        print(fit_lines(f"left out, no manifest can hold the names: {len(odd):,}: "
                        f"{first_files([repr(file) for file in odd])}"))  # fmt: skip
    if others := left_out(media):
        print(fit_lines(f"left out: {others}"))


def _print_root(manifest: "Manifest", out: Path) -> None:
    """Say where the media are when they are not below the manifest's folder."""
    if manifest.prefix:
        told = f"add --media {manifest.prefix} to the commands that read it"
        print(fit_lines(f"the media lie elsewhere: {told}"))
        return
    if manifest.root != Path(os.path.abspath(out.parent)):
        line = f"the media lie elsewhere: add --root {manifest.root} to the commands that read it"
        print(fit_lines(line))
