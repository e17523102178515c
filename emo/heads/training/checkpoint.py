"""What a fit has done so far, kept beside its run so that a killed one goes on where it was.

One file for each finished seed and one for the seed at work, written under a temporary name,
synced and renamed; each names the question it answers, since two fits of one ``--out`` share the
folder. A fit that goes on gives the bits of one that was never stopped.
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

from emo.errors import FitError
from emo.heads.training.fingerprint import HASHED, name_of
from emo.heads.training.outcome import Outcome, Round
from emo.store.backend.commit import sync_folder

QUESTION = "question.json"
EVERY_SECONDS = 2.0
"""Between two writes; what is fitted does not depend on when they happen."""


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """Of one fit; see :func:`open_checkpoints`."""

    folder: Path
    question: str
    """The name of what was asked, see :func:`emo.heads.training.fingerprint.name_of`."""
    _written: dict[int, float] = field(default_factory=dict)
    """When the file of a seed was written last."""

    def finished(self, seed: int) -> Outcome | None:
        """The outcome of a seed, if it was finished."""
        found = self._read(f"finished-{seed}")
        if found is None:
            return None
        tensors, facts = found
        rounds = tuple(Round(**each) for each in facts["history"])
        return Outcome(seed, tensors, rounds, facts["is_exact"])

    def finish(self, outcome: Outcome) -> None:
        """Keep the outcome of a seed; what it left on the way is removed."""
        facts = {"history": _rows(outcome.history), "is_exact": outcome.is_exact}
        self._write(f"finished-{outcome.seed}", outcome.state, facts)
        self._path(f"running-{outcome.seed}").unlink(missing_ok=True)

    def running(self, seed: int) -> "Running | None":
        """Where a seed was."""
        found = self._read(f"running-{seed}")
        if found is None:
            return None
        tensors, facts = found
        best = {k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")}
        rounds = tuple(Round(**each) for each in facts["history"])
        return Running(tensors, facts["line"], best, rounds)

    def keep(self, seed: int, running: "Running") -> None:
        """Keep where a seed is, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._written.get(seed, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        tensors = {**running.tensors, **{f"best/{k}": v for k, v in running.best.items()}}
        self._write(
            f"running-{seed}", tensors, {"line": running.line, "history": _rows(running.history)}
        )
        self._written[seed] = time.monotonic()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def _write(self, name: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        text = json.dumps({**facts, "question": self.question})
        ours = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
        _put(self._path(name), lambda part: save_file(ours, part, metadata={"facts": text}))

    def _read(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        path = self._path(name)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                facts = json.loads(file.metadata()["facts"])
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise FitError(f"{path}: damaged: {error}. Fit without --resume.") from error
        if facts.get("question") != self.question:
            raise FitError(
                f"{path} was written by a fit that was asked something else, perhaps at the same "
                "time for the same --out. Choose another --out, or fit without --resume."
            )
        return tensors, facts


@dataclass(frozen=True, eq=False)
class Running:
    """A seed at work."""

    tensors: dict[str, Tensor]
    """Of :meth:`emo.heads.training.steps.Steps.state`."""
    line: str
    """The same."""
    best: dict[str, Tensor]
    """Weights of the best round so far."""
    history: tuple[Round, ...]


def open_checkpoints(folder: Path, question: dict[str, Any], *, resume: bool) -> Checkpoints:
    """The checkpoints in ``folder``; without ``resume`` what is there is removed.

    Args:
        folder: of this fit alone; made when the first checkpoint is written.
        question: what is asked on which clips, see
            :func:`emo.heads.training.fingerprint.question_of`.
        resume: go on with what an interrupted fit left, if it left anything.

    Raises:
        FitError: it was asked something else, or nothing can be written there.
    """
    path = folder / QUESTION
    if resume and path.is_file():
        earlier = _read_question(path)
        if earlier != question:
            raise FitError(
                f"--resume: the interrupted fit was asked another question: "
                f"{_told(earlier, question)}. Repeat its options, or start anew without --resume."
            )
        return Checkpoints(folder, name_of(question))
    shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(question, default=str)
    _put(path, lambda part: part.write_text(text, encoding="utf-8"))
    return Checkpoints(folder, name_of(question))


def _read_question(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FitError(f"{path}: damaged: {error}. Fit without --resume.") from error
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


def _told(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    differ = [name for name in {**earlier, **now} if earlier.get(name) != now.get(name)]
    return ", ".join(
        f"other {name}" if name in HASHED
        else f"{name} was {earlier.get(name)}, now {now.get(name)}"
        for name in differ
    )  # fmt: skip


def _rows(history: Iterable[Round]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(each) for each in history]
