"""`emo manifest …`: make a manifest of a folder, of annotations or tables; cut its splits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from emo.commands.flags.options import Columns, Manifests, Root, pairs
from emo.commands.flags.sections import SectionedCommand, examples
from emo.commands.manifest_media import Out, Test, Val, register
from emo.errors import plural
from emo.machine.table import fit_lines

if TYPE_CHECKING:
    from emo.manifest import Manifest

manifest_app = typer.Typer(
    help="Make a manifest of media, annotations or tables.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
register(manifest_app)


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


def _print_counts(manifest: "Manifest", out: Path) -> None:
    counts = [
        f"{sum(clip.split == name for clip in manifest.clips):,} {name}"
        for name in ("train", "val", "test")
    ]
    print(fit_lines(f"{plural(len(manifest.clips), 'clip')} ({', '.join(counts)}) -> {out}"))
