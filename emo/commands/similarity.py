"""`emo search`, `duplicates`, `zero-shot` and `retrieve`: questions to stored tokens."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import AllowCode, Columns, Root, pairs, written
from emo.commands.flags.sections import SectionedCommand, examples
from emo.errors import plural
from emo.machine.table import fit_lines


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(cls=SectionedCommand, epilog=_SEARCH)(search)
    app.command(cls=SectionedCommand, epilog=_DUPLICATES)(duplicates)
    app.command("zero-shot", cls=SectionedCommand, epilog=_ZERO_SHOT)(zero_shot)
    app.command(cls=SectionedCommand, epilog=_RETRIEVE)(retrieve)


_SEARCH = examples(
    'emo search features/ "someone laughs" --stream lb/video',
    "emo search features/ --like clip_0007 --top 5",
    "emo search features/ --queries q.csv --out hits.csv",
)
_DUPLICATES = examples("emo duplicates features/ --stream lb/video --manifest m.csv")
_ZERO_SHOT = examples(
    "emo zero-shot features/ --classes angry,happy --manifest m.csv",
    'emo zero-shot features/ --classes sad,happy --template "a {} face"',
)
_RETRIEVE = examples(
    "emo retrieve captions.csv --query lb_text/text --items lb_video/video",
)
Stores = Annotated[
    str, Argument(metavar="STORE", help="The store: a folder, or s3://…, gs://… or az://….")
]
Stream = Annotated[
    str | None,
    Option("--stream", metavar="NAME", help="The stream RECIPE/STREAM; default: the only one."),
]
Weights = Annotated[
    list[str],
    Option(
        "-o",
        metavar="RECIPE.weights=FOLDER",
        help="Where weights lie on this machine; repeat.",
    ),
]
Clips = Annotated[
    Path | None,
    Option(metavar="MANIFEST", help="Only the clips of this manifest; default: all of the store."),
]
Where = Annotated[
    list[str],
    Option(
        metavar="COLUMN=VALUE",
        help="Only clips with this value in the manifest, such as split=train; repeat.",
    ),
]
Pool = Annotated[
    str,
    Option(
        metavar="HOW",
        help="Tokens of a clip: mean (each scaled to length 1, then averaged) or max (the best "
        "token counts).",
    ),
]
Similarity = Annotated[
    str,
    Option(metavar="HOW", help="cosine, or dot: products of the tokens as they are stored."),
]
Overwrite = Annotated[
    bool, Option("--overwrite", help="Replace the run in --out; other files there stay.")
]
Json = Annotated[bool, Option("--json", help="Print one JSON document.")]


def search(
    store: Stores,
    words: Annotated[
        str | None, Argument(metavar="WORDS", help="A text: what is to be found.")
    ] = None,
    like: Annotated[
        str | None,
        Option(metavar="FILE", help="Find clips like this one: an id of the store, or a file."),
    ] = None,
    queries: Annotated[
        Path | None,
        Option(metavar="FILE", help="Search for many texts: a table with a column text, and id."),
    ] = None,
    stream: Stream = None,
    top: Annotated[int, Option(metavar="N", help="Clips for each query.")] = 10,
    pool: Pool = "mean",
    similarity: Similarity = "cosine",
    manifest: Clips = None,
    where: Where = [],
    column: Columns = [],
    option: Weights = [],
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Write all hits as CSV.", callback=written)
    ] = None,
    html: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write a page of the hits with a still of each, from the media of --manifest.",
            callback=written,
        ),
    ] = None,
    root: Root = None,
    json: Json = False,
    allow_code: AllowCode = False,
) -> None:
    """Find the clips that are nearest to a text or a clip.

    The search is exact. Words need a stream of a model with a text tower, such as languagebind,
    openclip or CLIP; only that tower is loaded.
    """
    from emo.manifest import Manifest, read_manifest
    from emo.predict.similarity.search import SearchOptions, search_store

    if html is not None and manifest is None:
        raise typer.BadParameter("--html needs --manifest, which says where the media lie")
    clips: Manifest | None = None
    if manifest is not None:
        clips = read_manifest(manifest, columns=pairs(column, "--column"), root=root)
    options = SearchOptions(
        stream, top, pool, similarity, clips, tuple(where), weights=tuple(option)
    )
    report = search_store(store, words, options, like=like, queries=queries)
    if out is not None:
        report.write(out)
    if html is not None and clips is not None:
        from emo.predict.similarity.page import write_page

        lacking = write_page(report, clips, html)
        if lacking:
            note = f"{html}: {lacking:,} of {plural(len(report.hits), 'hit')} without a still"
            report = replace(report, notes=(*report.notes, note))
    written_files = [f"wrote {file}" for file in (out, html) if file is not None]
    if json:
        print(report.json())
    else:
        shown = [report.table()] if out is None else report.lines()
        print(fit_lines("\n".join([*shown, *written_files])))


def duplicates(
    store: Stores,
    stream: Stream = None,
    above: Annotated[float, Option(metavar="SHARE", help="The lowest cosine.")] = 0.95,
    manifest: Clips = None,
    where: Where = [],
    column: Columns = [],
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Write all pairs as CSV.", callback=written)
    ] = None,
    json: Json = False,
) -> None:
    """Find pairs of clips with nearly the same tokens.

    Pairs across splits come first.
    """
    from emo.predict.similarity.duplicates import find_duplicates

    report = find_duplicates(
        store, stream=stream, above=above, manifest=manifest, where=where,
        columns=pairs(column, "--column"),
    )  # fmt: skip
    if out is not None:
        report.write(out)
    print(report.json() if json else fit_lines(report.table()))


def zero_shot(
    store: Stores,
    classes: Annotated[
        str | None, Option(metavar="A,B,C", help="Names of the classes, as the prompts say them.")
    ] = None,
    template: Annotated[
        list[str],
        Option(
            metavar="TEXT",
            help='A prompt with {} for the class, or a file with one a line; repeat. Default: "a '
            'photo of a {} face".',
        ),
    ] = [],
    prompts: Annotated[
        Path | None,
        Option(metavar="FILE", help="CSV class,prompt with prompts of their own for each class."),
    ] = None,
    stream: Stream = None,
    pool: Pool = "mean",
    manifest: Clips = None,
    where: Where = [],
    target: Annotated[
        str | None,
        Option(
            metavar="COLUMN", help="Column of the labels; default: label, if the manifest has it."
        ),
    ] = None,
    column: Columns = [],
    option: Weights = [],
    out: Annotated[
        Path, Option(metavar="FOLDER", help="Folder of the run.", callback=written)
    ] = Path("runs/zero-shot"),
    overwrite: Overwrite = False,
    json: Json = False,
    allow_code: AllowCode = False,
) -> None:
    """Classify clips by the names of classes, without training."""
    from emo.predict.similarity.prompts import read_prompts, read_templates
    from emo.predict.similarity.search import SearchOptions
    from emo.predict.similarity.zero_shot import zero_shot as classify

    names = [each.strip() for each in (classes or "").split(",") if each.strip()]
    options = SearchOptions(
        stream, pooling=pool, manifest=manifest, where=tuple(where),
        columns=pairs(column, "--column"), weights=tuple(option),
    )  # fmt: skip
    made = read_prompts(names, read_templates(template), prompts)
    report = classify(store, made, options, out=out, target=target, overwrite=overwrite)
    print(report.json() if json else fit_lines(report.table()))


def retrieve(
    captions: Annotated[
        Path, Argument(metavar="CAPTIONS", help="The queries: a manifest id,text,clip,split.")
    ],
    query: Annotated[
        str,
        Option(metavar="NAME", help="Stream RECIPE/STREAM of the queries, such as lb_text/text."),
    ],
    items: Annotated[
        str, Option(metavar="NAME", help="Stream RECIPE/STREAM of the items, such as lb/video.")
    ],
    features: Annotated[
        list[str], Option(metavar="STORE", help="Store of the streams; repeat for several.")
    ] = ["features"],
    truth: Annotated[
        str, Option(metavar="COLUMN", help="Column with the id of each query's right item.")
    ] = "clip",
    split: Annotated[
        str | None,
        Option(metavar="SPLIT", help="train, val, test or all; default: test if there is one."),
    ] = None,
    pool: Pool = "mean",
    similarity: Similarity = "cosine",
    normalise: Annotated[
        str,
        Option(
            metavar="HOW",
            help="Add scores after dual-softmax, or querybank=MANIFEST of texts of train; both "
            "look at other queries.",
        ),
    ] = "",
    video_to_text: Annotated[
        str,
        Option(
            metavar="HOW",
            help="Items of several queries: own (the best counts, the others do not count against "
            "it) or grouped (CLIP4Clip's).",
        ),
    ] = "own",
    column: Columns = [],
    option: Weights = [],
    out: Annotated[
        Path, Option(metavar="FOLDER", help="Folder of the run.", callback=written)
    ] = Path("runs/retrieve"),
    overwrite: Overwrite = False,
    json: Json = False,
    allow_code: AllowCode = False,
) -> None:
    """Rank the videos for each text, and the texts for each video.

    The scores are R@1, R@5, R@10, the median and the mean rank.
    """
    from emo.predict.similarity.retrieve import RetrieveOptions
    from emo.predict.similarity.retrieve import retrieve as rank

    options = RetrieveOptions(
        query, items, truth, split, pool, similarity, normalise, video_to_text, tuple(option),
        pairs(column, "--column"),
    )  # fmt: skip
    report = rank(captions, features, options, out=out, overwrite=overwrite)
    print(report.json() if json else fit_lines(report.table()))
