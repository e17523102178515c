"""Write finished runs for a tracker: `emo log`, and `emo fit-head --report-to`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from emo import plugins
from emo.errors import EmoError, OptionError, plural
from emo.report.trackers.tracked_runs import run_folders, tracked_runs
from emo.report.trackers.tracker import Tracker

PROJECT = "emo"
"""Name under which trackers gather runs, if no other is given."""


def log_runs(paths: Sequence[Path], name: str, *, project: str = PROJECT) -> str:
    """Write runs for a tracker, and return a line that says where they are.

    Args:
        paths: folders of runs, or of several runs.
        name: a tracker of `emo list trackers`, or ``module:Class``.
        project: name under which the tracker gathers the runs.

    Raises:
        EmoError: a folder is no run, there is no such tracker, or its library is not installed.
    """
    kind = plugins.load(plugins.TRACKERS, name, Tracker)  # type: ignore[type-abstract]
    folders = dict.fromkeys(folder for path in paths for folder in run_folders(path))
    runs = [run for folder in folders for run in tracked_runs(folder)]
    where = kind().write(project, runs)
    return f"{name}: {plural(len(runs), 'run')} in {plural(len(folders), 'group')}, {where}"


def tracker_names(words: str | None) -> list[str]:
    """Return the trackers of ``--report-to A,B``, checked without importing them.

    Raises:
        OptionError: there is no such tracker.
    """
    names = [word.strip() for word in words.split(",")] if words is not None else []
    known = plugins.available(plugins.TRACKERS)
    for name in names:
        if ":" not in name and name not in known:
            raise OptionError(f"--report-to: {plugins.unknown('tracker', name, known)}")
    return names


def report_fit(path: Path, names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Write a run that was just fitted for trackers; whatever fails there does not fail the fit.

    Args:
        path: folder of the run, or of several runs.
        names: the trackers.

    Yields:
        Whether it succeeded, and a line for the user.
    """
    for name in names:
        try:
            yield True, log_runs([path], name)
        except (Exception, SystemExit) as error:  # a tracker's library may do anything
            why = str(error) if isinstance(error, EmoError) else plugins.error_text(error)
            yield (
                False,
                f"--report-to {name}: {why}; the run is written: emo log {path} --to {name}",
            )
