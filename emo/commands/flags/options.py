"""Options that several commands share, and what turns their words into values."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

Manifests = Annotated[
    Path,
    Argument(metavar="MANIFEST", help="The clips: a CSV, TSV, JSONL, Parquet or .xlsx file."),
]
Columns = Annotated[
    list[str],
    Option(
        "--column",
        metavar="OURS=THEIRS",
        help="Read our column from theirs, such as label=Emotion; repeat.",
    ),
]
Options = Annotated[
    list[str],
    Option(
        "-o",
        metavar="NAME=VALUE",
        help="An option of the backbone, see `emo list backbones NAME`; with several backbones "
        "RECIPE.NAME=VALUE; repeat.",
    ),
]
Root = Annotated[
    Path | None,
    Option(
        "--root",
        "--media",
        metavar="FOLDER",
        help="Folder of the media, local or a URL; default: that of the manifest.",
    ),
]


def written(option: typer.CallbackParam, path: Path | None) -> Path | None:
    """Refuse a URL as the path of something that only this machine can hold.

    Raises:
        EmoError: ``path`` is a URL; the option or argument is named.
    """
    if path is not None and ":" in str(path):
        from emo.store.backend.location import local

        word = option.opts[0]
        local(path, word if word.startswith("-") else word.upper())
    return path


def near(given: Any) -> Any:
    """Callback of arguments that name runs: replace those in buckets by copies on this machine.

    Args:
        given: a path, several, or None.

    Raises:
        EmoError: there is no run, or the object store does not answer.
    """
    if isinstance(given, list | tuple):
        return type(given)(near(each) for each in given)
    if given is None or ":" not in str(given):
        return given
    from emo.heads.runs.in_bucket import near_run

    return near_run(given)


def allowed_code(is_allowed: bool) -> bool:
    """Callback of ``--allow-code``: let documents name any code in this call."""
    if is_allowed:
        from emo.plugins import ANY_CODE, trust

        trust(ANY_CODE)
    return is_allowed


def allowed_hosts(hosts: list[str]) -> list[str]:
    """Callback of ``--allow-host``: let media and manifests be read by https in this call."""
    if hosts:
        from emo.store.backend.https import allow_hosts

        allow_hosts(hosts)
    return hosts


AllowHost = Annotated[
    list[str],
    Option(
        "--allow-host",
        metavar="HOST",
        help="Read media and manifests of https:// URLs from this host; repeat.",
        callback=allowed_hosts,
    ),
]
MaxBytes = Annotated[
    float | None,
    Option(
        "--max-bytes",
        metavar="NUMBER",
        help="Most bytes of a media file; a larger one is a failed clip; default: of https a "
        "quarter of the cache, else any.",
    ),
]
MaxSeconds = Annotated[
    float | None,
    Option("--max-seconds", metavar="NUMBER", help="Longest clip; default: any that fits."),
]
MaxPixels = Annotated[
    float | None,
    Option(
        "--max-pixels",
        metavar="NUMBER",
        help="Most pixels of a clip: width x height x frames; default: any that fit.",
    ),
]
Timeout = Annotated[
    float | None,
    Option(
        "--timeout",
        metavar="NUMBER",
        help="Most seconds to fetch a file by https, or for a request to a bucket; default: 300.",
    ),
]


def limit_media(
    max_bytes: float | None, max_seconds: float | None, max_pixels: float | None,
    timeout: float | None,
) -> None:  # fmt: skip
    """Let limits of media hold for this command.

    Raises:
        OptionError: one is not above 0.
    """
    from emo.extract.decode.limits import MediaLimits, set_limits

    set_limits(MediaLimits(max_bytes, max_seconds, max_pixels, timeout))


AllowCode = Annotated[
    bool,
    Option(
        "--allow-code",
        help="Run the classes and lines that files of this run or job name (module:Class).",
        callback=allowed_code,
    ),
]
WeightsFolders = Annotated[
    list[str],
    Option(
        "-o",
        metavar="RECIPE.weights=FOLDER",
        help="Where weights lie on this machine; repeat.",
    ),
]


def pairs(words: list[str], option: str) -> dict[str, str]:
    """Split ``["video=path"]`` into ``{"video": "path"}``; ``option`` is named in errors."""
    for word in words:
        if "=" not in word:
            raise typer.BadParameter(f"{option} {word}: expected NAME=VALUE")
    table = dict(word.split("=", 1) for word in words)
    if len(table) < len(words):
        raise typer.BadParameter(f"{option} names one of {', '.join(table)} twice")
    return table


def rows_of(batch_size: str) -> int | None:
    """Return the number that ``--batch-size`` gives; ``auto``: None."""
    if batch_size == "auto":
        return None
    if not batch_size.isdecimal() or int(batch_size) < 1:
        raise typer.BadParameter(f"--batch-size {batch_size}: expected auto or a number above 0")
    return int(batch_size)
