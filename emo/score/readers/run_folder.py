"""Read the predictions of a run of `emo fit-head`: cells by clip, or SemEval's pairs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emo.errors import EmoError, ScoreError
from emo.heads.runs.files import (
    RUN_FILE,
    check_probabilities,
    file_name,
    kept_columns,
    predictions_file,
    read_document,
)
from emo.manifest import Clip, read_manifest
from emo.manifest.rows import read_rows
from emo.manifest.tables.text_table import TextTable
from emo.manifest.tasks import NEUTRAL, NONE, YES
from emo.plugins import unknown
from emo.score.readers.answers import split_of
from emo.score.semeval import EMOTIONS


def is_run(path: Path) -> bool:
    """Return whether a path is the folder of a run."""
    return (path / RUN_FILE).is_file()


def answers_of_run(path: Path, target: str | None) -> tuple[str, TextTable]:
    """Return the name of a run's target and its predictions.

    Args:
        path: folder of the run.
        target: name of the target; None: the first target of clips.

    Raises:
        EmoError: the folder is not a run, it has no such target, or its predictions are not finite.
    """
    document, name = read_document(path), target_of(path, target)
    file = path / predictions_file(name, is_first=name == document["target"])
    rows = read_rows(file)
    check_probabilities(file, rows.columns)
    return name, rows


def target_of(path: Path, target: str | None) -> str:
    """Return the name of a run's target.

    Args:
        path: folder of the run.
        target: name of the target; None: the first target of clips.

    Raises:
        EmoError: the folder is not a run, or the run has no such target.
    """
    tasks = {each["name"]: each["task"] for each in _targets(read_document(path))}
    of_clips = [name for name, task in tasks.items() if task != "pairs"]
    if target is not None and target not in tasks:
        raise ScoreError(
            f"{path}: {unknown('target', target, tasks)} If {target!r} is the column of labels in "
            f"the gold file: --column label={target}"
        )
    return target or next(iter(of_clips or tasks))


def _targets(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the targets in ``run.json``.

    Runs written before multi-target support have a single ``target``.
    """
    one = {"name": document["target"], "task": "classify", "classes": document["classes"]}
    found: list[dict[str, Any]] = document.get("targets", [one])
    return found


def task_and_classes(path: Path, target: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the task of a run's target, and the names of its classes.

    Args:
        path: folder of the run.
        target: name of the target; None: the first target of clips.

    Raises:
        EmoError: the folder is not a run, or the run has no such target.
    """
    name = target_of(path, target)
    one = next(each for each in _targets(read_document(path)) if each["name"] == name)
    return str(one["task"]), tuple(one.get("classes", ()))


def kept_seed(path: Path) -> str:
    """Return the seed of the head that the run kept."""
    return str(read_document(path).get("kept", {}).get("seed", 0))


def conversations_of(
    path: Path, *, split: str, seed: str | None = None, manifest: Path | None = None,
    predictions: Path | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the predicted pairs of every dialogue of a split, as SemEval's JSON of conversations.

    Args:
        path: folder of the run.
        split: ``train``, ``val`` or ``test``.
        seed: seed of the run; None: the one whose head it kept.
        manifest: the manifest of the dialogues; None: the one in ``run.json``.
        predictions: a file that `emo predict` wrote for ``manifest``; None: the run's own
            predictions.

    Raises:
        EmoError: the run predicts no pairs, or none of that split.
    """
    document = read_document(path)
    target = next((each for each in _targets(document) if each["task"] == "pairs"), None)
    if target is None:
        raise ScoreError(
            f"{path} predicts no emotion–cause pairs; fit it with --head joint --target emotion "
            "--target cause --task cause=pairs"
        )
    numbers = _utterances(_clips(document, manifest, split, path), split)
    seed = seed or kept_seed(path)

    def rows_of(name: str) -> list[dict[str, str]]:
        """Return the predictions of a target, each column -> cell."""
        if predictions is None:
            return _rows(answers_of_run(path, name)[1], split, seed)
        mark = "" if name == document["target"] else f"-{file_name(name)}"
        found = read_rows(predictions.with_name(f"{predictions.stem}{mark}{predictions.suffix}"))
        return [row for row in _lines(found) if row["id"] in numbers]

    rows = rows_of(target["name"])
    if not rows:
        raise ScoreError(
            f"{path}: no pairs of split {split} and seed {seed} among its predictions: clips of "
            "the split need a cell in the manifest's column of pairs, `none` if it is unknown"
        )
    emotions = _emotions(document, rows_of)
    pairs: dict[int, list[list[str]]] = {number: [] for number, _ in numbers.values()}
    for row in rows:
        emotion = row["prediction"]
        if emotion not in (NONE, *EMOTIONS, NEUTRAL):
            emotion = emotions.get(row["id"], emotion) if emotion == YES else emotion
        if emotion in (NONE, NEUTRAL):
            continue
        (dialogue, utterance), (_, cause) = numbers[row["id"]], numbers[row["cause_id"]]
        pairs[dialogue].append([f"{utterance}_{emotion}", str(cause)])
    return [
        {"conversation_ID": number, "emotion-cause_pairs": found} for number, found in pairs.items()
    ]


def utterances_of(path: Path, *, split: str, manifest: Path | None = None) -> dict[int, set[int]]:
    """Return number of a dialogue -> numbers of its utterances, from the manifest of a run."""
    clips = _clips(read_document(path), manifest, split, path)
    found: dict[int, set[int]] = {}
    for dialogue, utterance in _utterances(clips, split).values():
        found.setdefault(dialogue, set()).add(utterance)
    return found


def _clips(document: Mapping[str, Any], manifest: Path | None, split: str, run: Path) -> list[Clip]:
    """Return the clips of a split; of a manifest without splits, all clips."""
    manifest = manifest or Path(document["manifest"]["path"])
    try:
        every = read_manifest(manifest, columns=kept_columns(document, manifest)).clips
        clips = [clip for clip in every if clip.split == split]
        clips = clips or [clip for clip in every if clip.split is None]
    except EmoError as error:
        raise ScoreError(
            f"{run}: the manifest of the run is needed: {error}; name it with --manifest"
        ) from error
    if not clips:
        raise ScoreError(f"{manifest}: no clip is in split {split}")
    return clips


def _utterances(clips: Sequence[Clip], split: str) -> dict[str, tuple[int, int]]:
    """Return clip id -> numbers of its dialogue and utterance; utterances count from 1."""
    first = 1 if any(clip.turn == 0 for clip in clips) else 0
    found = {}
    for clip in clips:
        name = (clip.dialogue or "").removeprefix(f"{split}/")
        if not name.isdecimal() or clip.turn is None:
            raise ScoreError(
                f"clip {clip.id!r}: dialogue {clip.dialogue!r}, turn {clip.turn}: expected the "
                "numbers of a dialogue and an utterance"
            )
        found[clip.id] = (int(name), clip.turn + first)
    return found


def _rows(table: TextTable, split: str, seed: str) -> list[dict[str, str]]:
    """Return the rows of a split and a seed."""
    rows = _lines(table)
    return [row for row in rows if split_of(row["split"]) == split and row["seed"] == seed]


def _lines(table: TextTable) -> Iterator[dict[str, str]]:
    """Iterate over the rows of a table, each column -> cell."""
    names = list(table.columns)
    for line in zip(*table.columns.values(), strict=True):
        yield dict(zip(names, line, strict=True))


def _emotions(
    document: Mapping[str, Any], rows_of: Callable[[str], list[dict[str, str]]]
) -> dict[str, str]:
    """Return clip id -> predicted emotion; empty: the run has no target of emotions."""
    for target in _targets(document):
        if target["task"] == "classify" and set(EMOTIONS) & set(target["classes"]):
            return {row["id"]: row["prediction"] for row in rows_of(target["name"])}
    return {}
