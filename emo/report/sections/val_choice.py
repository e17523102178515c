"""Which of several runs val would have chosen, if val can tell."""

from collections.abc import Collection
from dataclasses import dataclass

from emo.heads.metrics.measures import HEADLINES
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.files import CLIPS_FILE
from emo.machine.untrusted.files import read_regular
from emo.report.group import Group, by_split
from emo.store.adapted import MOST_LIST_BYTES, parse_clip_ids


@dataclass(frozen=True)
class ValChoice:
    """What val says on the runs of a group."""

    run: ScoredRun | None = None
    """Run with the best headline score on val; None: not known, or several share it."""
    tied: tuple[ScoredRun, ...] = ()
    """Runs that share the best score on val; empty: there is one, or it is not known."""
    has_other_clips: bool = False
    """Whether the runs were scored on different val clips, so that val compares nothing."""


def chosen_by_val(group: Group) -> ValChoice:
    """Return the run with the best headline score on val, in a group of several runs on test.

    Runs that score alike on val are told apart by nothing: test must not choose between them.
    """
    headline = HEADLINES[group.target.task]
    found = {run: by_split(run).get("val", {}).get("mean", {}).get(headline)
             for run in group.ranked if run.split == "test"}  # fmt: skip
    if len(found) < 2 or any(value is None for value in found.values()):
        return ValChoice()
    clips = [_val_clips(run) for run in found]
    if None in clips:
        clips = [str(by_split(run)["val"].get("clips")) for run in found]
    if any(each != clips[0] for each in clips):
        return ValChoice(has_other_clips=True)
    best = (min if group.target.task == "regress" else max)(found.values())
    first = tuple(run for run, value in found.items() if value == best)
    return ValChoice(first[0]) if len(first) == 1 else ValChoice(tied=first)


def _val_clips(run: ScoredRun) -> Collection[str] | None:
    """Return the ids of a run's val clips; None: it keeps no list of clips."""
    path = run.path / CLIPS_FILE
    try:
        table = read_regular(path, most_bytes=MOST_LIST_BYTES, follow_links=True)
        return frozenset(parse_clip_ids(table).get("val", ()))
    except (OSError, ValueError):
        return None
