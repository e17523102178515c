"""What the logs of a job's workers tell, summed up: rate, stages, reasons of failures."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from emo.extract.job.logs import read_logs
from emo.extract.job.timings import WorkTotals

RECENT_SECONDS = 300
"""The rate is that of the last five minutes in which anything was done."""


@dataclass
class LogFacts:
    """What the workers' logs tell, summed up."""

    clips: int = 0
    """Clips that went through a worker, repeated ones too."""
    clips_per_second: float | None = None
    """Of all workers together; None: too little is known."""
    stage_seconds: Counter[str] = field(default_factory=Counter)
    """Core seconds by stage."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Failures by kind; file names, numbers and quoted words are left out."""
    examples: dict[str, str] = field(default_factory=dict)
    """Kind of failure -> a clip and its reason in full."""
    work: WorkTotals = field(default_factory=WorkTotals)
    """Where the workers' time went."""


def log_facts(folder: Path) -> LogFacts:
    """Sum up the logs."""
    facts, times = LogFacts(), []
    for line in read_logs(folder):
        if "work" in line:
            facts.work.add(WorkTotals.from_json(line["work"]))
        if line.get("event") != "clip":
            continue
        facts.clips += 1
        facts.stage_seconds.update(line["seconds"])
        times.append(datetime.fromisoformat(line["time"]).timestamp())
        _count_reasons(facts, line)
    facts.clips_per_second = _clips_per_second(times)
    return facts


def _count_reasons(facts: LogFacts, line: Mapping[str, Any]) -> None:
    for recipe, reason in line.get("failed", {}).items():
        kind = re.sub(r"'[^']*'|\S*[/\\]\S*|\d+", "…", reason)
        facts.reasons[kind] += 1
        facts.examples.setdefault(kind, f"{line['clip']} ({recipe}): {reason}")


def _clips_per_second(times: list[float]) -> float | None:
    recent = [moment for moment in times if moment > max(times) - RECENT_SECONDS]
    if len(recent) < 2 or max(recent) == min(recent):
        return None
    return (len(recent) - 1) / (max(recent) - min(recent))
