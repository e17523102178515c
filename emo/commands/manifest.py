"""`emo manifest …`: make a manifest from a folder, from several tables, or with other splits."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from emo.commands.options import Columns, Root, pairs, written

if TYPE_CHECKING:
    from emo.manifest.make import Cut

manifest_app = typer.Typer(
    help="Make a manifest from a folder, from several tables, or with other splits.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Out = Annotated[Path, Option(help="The manifest to write.", callback=written)]
SplitBy = Annotated[str | None, Option(help="Cut splits by this column, such as speaker.")]
Val = Annotated[list[str], Option(help="Value of that column which is val; repeat.")]
Test = Annotated[list[str], Option(help="Value of that column which is test; repeat.")]


@manifest_app.command(epilog="Example: emo manifest folder clips/ --out m.csv")
def folder(
    media: Annotated[Path, Argument(metavar="DIR", help="Looked through with its sub-folders.")],
    out: Out = Path("manifest.csv"),
    split_by: SplitBy = None,
    val: Val = [],
    test: Test = [],
) -> None:
    """One clip for each media file; a .wav beside a video of the same name is its audio."""
    from emo.manifest.make import from_folder, posters

    manifest = from_folder(media, out=out, cut=_cut(split_by, val, test))
    print(f"{len(manifest.clips):,} clips -> {out}")
    if left_out := len(posters(media)):
        print(f"left out: {left_out:,} pictures beside a video of the same name (its posters)")
    if manifest.root != Path(os.path.abspath(out.parent)):
        print(f"the media lie elsewhere: add --root {manifest.root} to the commands that read it")


@manifest_app.command(
    epilog="Example: emo manifest join --split train=a.csv --split val=b.csv --split test=c.csv "
    "--column text=Utterance --column label=Emotion --out m.csv"
)
def join_tables(
    split: Annotated[list[str], Option(help="SPLIT=FILE; repeat.")],
    out: Out = Path("manifest.csv"),
    column: Columns = [],
    root: Root = None,
) -> None:
    """One manifest of several tables, the clips of each under its own split."""
    from emo.manifest.make import join_tables

    parts = {name: Path(file) for name, file in pairs(split, "--split").items()}
    manifest = join_tables(parts, out=out, columns=pairs(column, "--column"), root=root)
    counts = [f"{sum(c.split == name for c in manifest.clips):,} {name}" for name in _splits()]
    print(f"{len(manifest.clips):,} clips ({', '.join(counts)}) -> {out}")


@manifest_app.command(
    epilog="Example: emo manifest semeval --split train=Subtask_2_train.json --out m.csv"
)
def semeval(
    split: Annotated[
        list[str], Option(help="SPLIT=FILE, .json as SemEval or .txt as ECF; repeat.")
    ],
    out: Out = Path("manifest.csv"),
) -> None:
    """One clip for each utterance of SemEval-2024 Task 3 or ECF, with emotions and their causes."""
    from emo.manifest.conversations import from_conversations

    parts = {name: Path(file) for name, file in pairs(split, "--split").items()}
    manifest = from_conversations(parts, out=out)
    dialogues = len({clip.dialogue for clip in manifest.clips})
    print(f"{len(manifest.clips):,} clips of {dialogues:,} dialogues -> {out}")


@manifest_app.command(
    epilog="Example: emo manifest split m.csv --split-by speaker --val anna --test ben --out s.csv"
)
def split(
    manifest: Annotated[Path, Argument(help="The clips.")],
    split_by: Annotated[str, Option(help="Cut splits by this column, such as speaker.")],
    out: Out = Path("manifest.csv"),
    val: Val = [],
    test: Test = [],
    column: Columns = [],
    root: Root = None,
) -> None:
    """The same clips with the splits cut anew; ids stay, so one store serves every cut."""
    from emo.manifest.make import Cut
    from emo.manifest.make import split_by as cut_splits

    cut = Cut(split_by, tuple(val), tuple(test))
    made = cut_splits(manifest, cut, out=out, columns=pairs(column, "--column"), root=root)
    counts = [f"{sum(c.split == name for c in made.clips):,} {name}" for name in _splits()]
    print(f"{len(made.clips):,} clips ({', '.join(counts)}) -> {out}")


def _cut(column: str | None, val: list[str], test: list[str]) -> "Cut | None":
    from emo.manifest.make import Cut

    if column is None and (val or test):
        raise typer.BadParameter("--val and --test need --split-by COLUMN")
    return Cut(column, tuple(val), tuple(test)) if column else None


def _splits() -> tuple[str, ...]:
    return ("train", "val", "test")
