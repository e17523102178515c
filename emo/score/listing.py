"""List the predictions in a folder: files and runs."""

from pathlib import Path

from emo.errors import ScoreError, listed
from emo.heads.runs.ranks import has_ranks
from emo.manifest.tables.spreadsheet import table_file
from emo.score.readers.answers import prediction_parts
from emo.score.readers.run_folder import is_run

FILE_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".npz")
"""Extensions of files of predictions."""


def predictions_in(folder: Path, gold: Path) -> list[Path]:
    """List all files and the runs in a folder, without the file of gold and hidden files.

    Raises:
        ScoreError: none of them is a table or a run.
    """
    found = [
        each
        for each in sorted(folder.iterdir())
        if is_scored_folder(each)
        or (not each.is_dir() and not _is_hidden(each) and not _is_same(each, gold))
    ]
    if not any(is_scored_folder(each) or each.suffix.lower() in FILE_ENDINGS for each in found):
        others = other_folders(folder)
        hint = f"; its folders were not read: {listed(others)}; give one of them" if others else ""
        raise ScoreError(
            f"{folder}: no predictions ({' '.join(FILE_ENDINGS)}) and no run in it{hint}"
        )
    return found


def is_scored_folder(path: Path) -> bool:
    """Return whether a path is a run of `emo fit-head` or `emo retrieve`, or a folder of parts."""
    return is_run(path) or has_ranks(path) or bool(prediction_parts(path))


def other_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder that are no runs, without hidden ones."""
    return tuple(
        each.name
        for each in sorted(folder.iterdir())
        if each.is_dir() and not is_scored_folder(each) and not _is_hidden(each)
    )


def _is_hidden(path: Path) -> bool:
    """Return whether a file is hidden, or Excel's ``~$`` of an open file."""
    return path.name.startswith((".", "~$"))


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths are the same existing file."""
    file = table_file(other)
    return one.exists() and file.exists() and one.samefile(file)
