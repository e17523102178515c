"""What all sections of a page share: options, names, numbers of clips, manifests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emo.report.manifests import Manifests
from emo.report.names import Names
from emo.report.options import ReportOptions


@dataclass(frozen=True, eq=False)
class Context:
    """What all sections of a page share."""

    options: ReportOptions
    """What is shown."""
    run_names: Mapping[Path, str]
    """Folder of each run -> its name on the page."""
    names: Names
    """What ids and speakers are called."""
    clips: Mapping[str, int]
    """Id of each clip -> its number on the page."""
    manifests: Manifests
    """Manifests of the runs."""
