"""Checkpoints: the progress of a fit, kept beside its run so that a killed fit can be resumed.

The folder has one file for each finished seed and one for each seed in training. A file is written
under a temporary name, synced and renamed. Each file holds the hash of its fit's question (see
:mod:`emo.heads.training.fingerprint`), because two fits of one ``--out`` share the folder. A
resumed fit gives the same bits as one that was not interrupted.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import emo
from emo.errors import FitError
from emo.heads.training.fingerprint import HASHED_FIELDS, hash_of_question
from emo.heads.training.outcome import Choice, Outcome, Round
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES, parse_checked, shortened
from emo.machine.untrusted.files import open_regular, read_regular
from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, MapOf, Shape, Where
from emo.store.backend.commit import sync_folder

_NUMBER = Where(
    AnyJson(), lambda number: type(number) in (int, float), "a number"
)  # a loss may be NaN
_ROUND = Where(
    Fields(
        {
            "seed": int, "round": int, "train_loss": _NUMBER, "val_loss": _NUMBER,
            "val_score": _NUMBER, "is_best": bool,
        }
    ),
    lambda row: len(row) == len(dataclasses.fields(Round)),
    "the entries of a round",
)  # fmt: skip
_FINISHED = Fields(
    {
        "history": Where(
            ListOf(_ROUND), lambda rows: any(row["is_best"] for row in rows), "a best round"
        ),
        "is_exact": bool,
    },
    {"choice": Fields({"chosen": str, "scores": MapOf(_NUMBER), "over": str})},
)
_RUNNING = Fields({"history": ListOf(_ROUND), "line": str})
QUESTION = "question.json"
_BEGUN_BY = "emo"
"""Name of the version in the file of the question, besides the question's own names."""
_REFIT = "refit/"
EVERY_SECONDS = 2.0
"""Least time between two writes of one seed; the result does not depend on it."""


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """The checkpoint files of one fit; made by :func:`open_checkpoints`."""

    folder: Path
    question: str
    """Hash of the fit's question, see
    :func:`emo.heads.training.fingerprint.hash_of_question`."""
    _written: dict[int, float] = field(default_factory=dict)
    """Monotonic time of the last write, in seconds, by seed."""

    def read_finished(self, seed: int) -> Outcome | None:
        """Read the outcome of a finished seed; None if the seed is not finished."""
        found = self._read(f"finished-{seed}", _FINISHED)
        if found is None:
            return None
        tensors, facts = found
        rounds = tuple(Round(**each) for each in facts["history"])
        refit = {k.removeprefix(_REFIT): v for k, v in tensors.items() if k.startswith(_REFIT)}
        state = {name: tensor for name, tensor in tensors.items() if not name.startswith(_REFIT)}
        choice = Choice(**facts["choice"]) if "choice" in facts else None
        return Outcome(seed, state, rounds, facts["is_exact"], choice, refit)

    def write_finished(self, outcome: Outcome) -> None:
        """Write the outcome of a finished seed and remove the file of its training."""
        facts: dict[str, Any] = {
            "history": _rows(outcome.history), "is_exact": outcome.is_exact,
        }  # fmt: skip
        if outcome.choice is not None:
            facts["choice"] = outcome.choice.to_json()
        tensors = {**outcome.state, **{f"{_REFIT}{k}": v for k, v in outcome.refit.items()}}
        self._write(f"finished-{outcome.seed}", tensors, facts)
        self._path(f"running-{outcome.seed}").unlink(missing_ok=True)

    def read_running(self, seed: int) -> "RunningSeed | None":
        """Read the state of a seed that was in training; None if there is no such file."""
        found = self._read(f"running-{seed}", _RUNNING)
        if found is None:
            return None
        tensors, facts = found
        best = {k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")}
        rounds = tuple(Round(**each) for each in facts["history"])
        return RunningSeed(tensors, facts["line"], best, rounds)

    def write_running(self, seed: int, running: "RunningSeed") -> None:
        """Write the state of a seed, unless the last write was under ``EVERY_SECONDS`` ago."""
        now = time.monotonic()
        if now - self._written.get(seed, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        tensors = {**running.tensors, **{f"best/{k}": v for k, v in running.best.items()}}
        self._write(
            f"running-{seed}",
            tensors,
            {"line": running.state_json, "history": _rows(running.history)},
        )
        self._written[seed] = time.monotonic()

    def _path(self, name: str) -> Path:
        """Return the path of a checkpoint file, such as ``finished-0``."""
        return self.folder / f"{name}.safetensors"

    def _write(self, name: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write a checkpoint file: tensors, and facts as JSON in its metadata."""
        text = json.dumps({**facts, "question": self.question})
        ours = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        _put(self._path(name), lambda part: save_file(ours, part, metadata={"facts": text}))

    def _read(self, name: str, kind: Shape) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read the tensors and facts of a checkpoint file; None if there is no such file.

        Args:
            name: name of the file, such as ``finished-0``.
            kind: what the facts must be.

        Raises:
            FitError: the file is damaged, or another fit wrote it.
        """
        path = self._path(name)
        if not os.path.lexists(path):
            return None
        try:
            os.close(open_regular(path, follow_links=True)[0])
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                facts = parse_checked((file.metadata() or {}).get("facts", "{}"), kind)
        except (SafetensorError, OSError, ValueError) as error:
            raise FitError(
                f"{path}: damaged: {shortened(str(error))}. Start the fit again without --resume."
            ) from error
        if facts.get("question") != self.question:
            raise FitError(
                f"{path} was written by a fit with other options or clips, perhaps at the same "
                "time for the same --out. Choose another --out, or start again without --resume."
            )
        return tensors, facts


@dataclass(frozen=True, eq=False)
class RunningSeed:
    """The state of one seed in training."""

    tensors: dict[str, Tensor]
    """Tensors of :meth:`emo.heads.training.steps.Steps.state`: weights, optimizer, generator."""
    state_json: str
    """JSON line of :meth:`emo.heads.training.steps.Steps.state`: step count and generators."""
    best: dict[str, Tensor]
    """Weights of the best round so far, by name."""
    history: tuple[Round, ...]
    """All rounds so far."""


def open_checkpoints(folder: Path, question: dict[str, Any], *, resume: bool) -> Checkpoints:
    """Open the checkpoints in ``folder``; without ``resume``, remove what is there.

    Args:
        folder: used by this fit alone; made when it does not exist.
        question: options and hashes of the clips, see
            :func:`emo.heads.training.fingerprint.question_of`.
        resume: continue what an interrupted fit left, if it left anything.

    Raises:
        FitError: the interrupted fit had other options or clips or was begun by another version of
            emo, or the folder cannot be written.
    """
    path = folder / QUESTION
    if resume and os.path.lexists(path):
        earlier = _read_question(path)
        version = earlier.pop(_BEGUN_BY, "0.1")  # 0.1 did not write it
        if version != emo.__version__:
            raise FitError(
                f"--resume: the interrupted fit was begun by emo {version}, this is emo "
                f"{emo.__version__}, and seeds of both would be mixed. Start again without "
                "--resume."
            )
        if earlier != question:
            raise FitError(
                f"--resume: the interrupted fit had other options or clips: "
                f"{_differences(earlier, question)}. Repeat its options, or start again without "
                "--resume."
            )
        return Checkpoints(folder, hash_of_question(question))
    shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps({**question, _BEGUN_BY: emo.__version__}, default=str)
    _put(path, lambda part: part.write_text(text, encoding="utf-8"))
    return Checkpoints(folder, hash_of_question(question))


def _read_question(path: Path) -> dict[str, Any]:
    """Read the question file of an interrupted fit."""
    try:
        data = read_regular(path, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True)
        found: dict[str, Any] = parse_checked(data, dict)
    except (OSError, ValueError) as error:
        raise FitError(
            f"{path}: damaged: {error}. Start the fit again without --resume."
        ) from error
    return found


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """Write the file under a temporary name, sync it to the disk and rename it."""
    part = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except (SafetensorError, OSError) as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise FitError(
            f"{path} cannot be written: {error}. Free space there, then repeat the command with "
            "--resume."
        ) from error


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """Return the fields in which two questions differ, in words."""
    differ = [name for name in {**earlier, **now} if earlier.get(name) != now.get(name)]
    return ", ".join(
        f"other {name}" if name in HASHED_FIELDS
        else f"{name} was {earlier.get(name)}, now {now.get(name)}"
        for name in differ
    )  # fmt: skip


def _rows(history: Iterable[Round]) -> list[dict[str, Any]]:
    """Return rounds as dictionaries, for JSON."""
    return [dataclasses.asdict(each) for each in history]
