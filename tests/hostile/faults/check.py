"""One faulted command: the error that it prints, what it leaves, and its repetition."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emo.heads.runs.test_ledger import LEDGER
from tests.hostile.faults.shim import Done, Fault, Shim
from tests.hostile.faults.world import Case

ERRORS = (errno.ENOSPC, errno.EIO)
MOST_CALLS = 3
"""Most calls of one kind that are let fail, the first and last among them."""
STDOUT = "standard output"
ODD = ("Traceback", "Exception ignored", "Exception in")
SCRATCH = {"tmp", "cache", "config", ".jobs"}
"""Folders whose files come and go."""


@dataclass(frozen=True)
class Undisturbed:
    """What a command makes when nothing fails."""

    before: object
    outcome: object
    names: set[str]
    """Paths of all files afterwards."""
    done: Done


def undisturbed(shim: Shim, world: Path, scratch: Path, case: Case) -> Undisturbed:
    """Run a command without faults, in a copy of the world at ``scratch/here``."""
    shutil.rmtree(scratch / "here", ignore_errors=True)  # of a case that failed
    here = shutil.copytree(world, scratch / "here", symlinks=True)
    before = case.outcome(here / case.made)
    done = _run(shim, here, case)
    assert done.code == 0, done.err
    found = Undisturbed(before, case.outcome(here / case.made), _names(here), done)
    shutil.rmtree(here)
    return found


def faults(kind: str, calls: int) -> Iterator[Fault]:
    """Yield what is let fail of ``calls`` calls: a spread sample, once and from there on."""
    step = max(1, -(-(calls - 1) // (MOST_CALLS - 1)))
    for number, at in enumerate(sorted({*range(1, calls + 1, step), calls} - {0})):
        for error in ERRORS if at == 1 else (ERRORS[number % 2],):
            yield Fault(kind, at, error)
    if calls:
        middle = 1 + calls // 2
        yield Fault(kind, middle, ERRORS[middle % 2], from_there_on=True)
        if kind == "write":
            yield Fault(kind, middle, errno.ENOSPC, from_there_on=True, fills_up=True)


def problems(
    shim: Shim, world: Path, scratch: Path, case: Case, right: Undisturbed, fault: Fault
) -> list[str]:
    """Return what is wrong with a command under a fault: nothing."""
    here = shutil.copytree(world, scratch / "here", symlinks=True)
    try:
        done = _run(shim, here, case, fault)
        found = [*_told(done, fault, case), *_kept(here, world, case, right, done)]
        if done.code == 0 and case.outcome(here / case.made) != right.outcome:
            found.append("exit 0 with another outcome")
        found += _repeated(shim, here, case, right, fault)
        return [f"{fault} ({done.victim.removeprefix(str(here))}): {each}" for each in found]
    finally:
        shutil.rmtree(here)


def _run(
    shim: Shim, here: Path, case: Case, fault: Fault | None = None, *, again: bool = False
) -> Done:
    words = [*case.words.split(), *(case.again.split() if again else ())]
    return shim.run(here, words, fault, out=here / case.made if case.to_stdout else None)


def _told(done: Done, fault: Fault, case: Case) -> Iterator[str]:
    """Check exit code and stderr."""
    lines = done.err.splitlines()
    if any(word in done.err for word in ODD):
        yield f"traceback: {lines[-1]} in {[line for line in lines if '/emo/' in line][-1:]}"
        return
    if done.code == 0:
        return
    reasons = [os.strerror(fault.error).lower()]
    if fault.error == errno.ENOSPC:
        reasons.append("no space left to write")
    errors = [line for line in lines if line.startswith("emo: error: ")]
    if done.code != 1 or len(errors) != 1 or len(lines) > 1:
        yield f"code {done.code}, {len(errors)} error lines of {lines}"
    elif not any(reason in errors[0].lower() for reason in reasons):
        yield f"no reason in: {errors[0]}"
    elif not any(name in errors[0] for name in (*Path(done.victim).parts[-2:], case.made, STDOUT)):
        yield f"no file in: {errors[0]}"


def _kept(here: Path, world: Path, case: Case, right: Undisturbed, done: Done) -> Iterator[str]:
    """Check that nothing that was there before is lost."""
    for file in sorted(world.rglob("*")):
        name = file.relative_to(world)
        if name.parts[0] in {case.made, *case.changes, *SCRATCH} or file.is_dir():
            continue
        now, before = _bytes(here / name), file.read_bytes()
        if now != before and not (name.name == LEDGER and now.startswith(before)):
            yield f"{name} was changed or lost"
    if case.to_stdout:
        return
    try:
        now = case.outcome(here / case.made)
    except Exception as error:
        yield f"what is there cannot be read: {error!r}"
        return
    if case.is_stepwise:
        if not right.before.items() <= now.items() <= right.outcome.items():
            yield "something is lost or wrong"
    elif now is None and any(case.outcome(place) == right.before for place in _named(here, done)):
        return  # the disk took it back as little as the new one, and the error says where it is
    elif now not in (right.before, right.outcome):
        yield "neither the old nor the new"


def _named(here: Path, done: Done) -> list[Path]:
    """Return the folders that an error names."""
    words = (word.rstrip(",;:") for word in done.err.split())
    return [Path(word) for word in words if word.startswith(str(here)) and Path(word).is_dir()]


def _repeated(
    shim: Shim, here: Path, case: Case, right: Undisturbed, fault: Fault
) -> Iterator[str]:
    """Check that the command gives the undisturbed outcome now, and leaves nothing over."""
    was_whole = False
    with contextlib.suppress(Exception):
        was_whole = not case.to_stdout and case.outcome(here / case.made) == right.outcome
    done = _run(shim, here, case, again=bool(case.again))
    if done.code and not (was_whole and "exists" in done.err):
        yield f"the repetition fails: {done.err}"
    elif case.outcome(here / case.made) != right.outcome:
        yield f"the repetition differs: {_differ(case.outcome(here / case.made), right.outcome)}"
    over = sorted(_names(here) - right.names)
    if over and fault.kind != "unlink":
        yield f"left over: {over}"


def _differ(now: object, then: object) -> str:
    """Return where two outcomes differ, in brief."""
    if isinstance(now, dict) and isinstance(then, dict):
        keys = [key for key in {**now, **then} if now.get(key) != then.get(key)]
        return "; ".join(f"{key}: {_differ(now.get(key), then.get(key))}" for key in keys[:3])
    return f"{str(now)[:80]!r}, not {str(then)[:80]!r}"


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _names(here: Path) -> set[str]:
    """Return the paths of all files but those whose names are counted up with every try."""
    names = (file.relative_to(here) for file in here.rglob("*"))
    return {
        str(name)
        for name in names
        if not SCRATCH & set(name.parts) and not name.name.startswith("index-")
    }
