"""Weights & Biases: a run for each seed or fold, offline unless you are logged in."""

import netrc
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported

import wandb

from emo.report.trackers.tracker import TrackedRun, Tracker

_NO_NAME = ""
"""Name of the machine and of its user, which W&B would look up."""
_INIT_SECONDS = 30
"""Seconds that a server has to answer."""


class WandB(Tracker):
    """Weights & Biases: sent if you are logged in, else in a folder for `wandb sync`.

    No code, git state, list of packages, machine or system statistics is recorded.
    """

    def write(self, project: str, runs: Sequence[TrackedRun]) -> str:
        """Write a run of W&B for each run; the offline folder of an earlier log is replaced."""
        folder, mode = Path(os.environ.get("WANDB_DIR") or "."), _mode()
        try:
            for run in runs:
                for earlier in (folder / "wandb").glob(f"offline-run-*-{run.id}"):
                    shutil.rmtree(earlier)
                _write(project, run, folder, mode)
        finally:
            wandb.teardown()
        if mode != "offline":
            return f"sent to the project {project}"
        return f"send them with: wandb sync {folder / 'wandb' / 'offline-run-*'}"


def _write(project: str, run: TrackedRun, folder: Path, mode: Any) -> None:
    """Write one run, and finish it.

    Without ``resume``, W&B's server replaces a run of the same id.
    """
    settings = wandb.Settings(
        console="off", silent=True, disable_git=True, disable_code=True, save_code=False,
        x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True,
        x_save_requirements=False, init_timeout=_INIT_SECONDS, host=_NO_NAME, username=_NO_NAME,
        email=_NO_NAME,
    )  # fmt: skip
    with wandb.init(
        project=project, id=run.id, group=run.group, name=f"{run.group}/{run.part}",
        config=dict(run.facts), dir=str(folder), mode=mode, settings=settings,
    ) as written:  # fmt: skip
        for step in run.steps:
            written.log(dict(step.values), step=step.round)
        written.summary.update(dict(run.scores))


def _mode() -> str:
    """Return ``WANDB_MODE``; else ``online`` where there is a key of the server, or ``offline``."""
    if chosen := os.environ.get("WANDB_MODE"):
        return chosen
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname
    try:
        known = netrc.netrc().authenticators(host or "")
    except (OSError, netrc.NetrcParseError):
        known = None
    return "online" if known else "offline"
