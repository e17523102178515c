"""What `emo predict --out OUT/` says at its end: what was written, what failed, what was lost."""

from dataclasses import dataclass, field

from emo.errors import line_of, plural
from emo.extract.executor import EXIT_FAILED_CLIPS, EXIT_STOPPED
from emo.extract.job.paths import typed
from emo.heads.runs.files import MOST_PICTURED
from emo.machine.table import format_table, json_text
from emo.store.backend.location import location


@dataclass(frozen=True)
class PartsReport:
    """Result of predicting a manifest into a folder or bucket."""

    out: str
    """Folder of the parts of the first target."""
    clips: int
    """Clips of the manifest."""
    parts: int = 0
    """Parts that hold them."""
    written: int = 0
    """Parts that were written by this call; the others were there."""
    removed: int = 0
    """Parts of these clips that were removed, because their predictions are not the same now."""
    failed: int = 0
    """Clips without a prediction."""
    failures: dict[str, str] = field(default_factory=dict)
    """The first ten of them -> reason."""
    counts: dict[str, int] = field(default_factory=dict)
    """Predicted class -> number of clips in the parts written by this call."""
    lost: tuple[str, ...] = ()
    """One line for each part that was given up because its workers died."""
    submitted: tuple[str, ...] = ()
    """Ids that a scheduler gave to what was submitted; the parts are written later."""
    is_stopped: bool = False
    """Whether a signal stopped the call; what was finished is there."""
    job: str = ""
    """The job folder, where workers did the parts or will do them."""
    worker_command: str = ""
    """Command by which somebody else starts workers, which do the job later."""

    def table(self) -> str:
        """Return a text table of counts, then what was written, and the first failures."""
        shown = sorted(self.counts.items(), key=lambda item: -item[1])[:MOST_PICTURED]
        lines = [format_table([{"prediction": name, "clips": n} for name, n in shown])]
        lines = lines if shown else []
        removed = f", {plural(self.removed, 'part')} of other predictions removed"
        lines.append(
            f"{self.out}: {plural(self.clips, 'clip')} in {plural(self.parts, 'part')}, "
            f"{self.written:,} written now{removed if self.removed else ''}"
        )
        lines += [line_of(f"failed: {name}: {reason}") for name, reason in self.failures.items()]
        if self.failed > len(self.failures):
            more = plural(self.failed - len(self.failures), "more clip")
            lines.append(f"failed: {more}, see {self.out}/_failures")
        lines += [line_of(f"lost: {line}") for line in self.lost]
        lines += self._later_lines()
        if self.is_stopped:
            lines.append("stopped by a signal; finished parts are there: run the command again")
        return "\n".join(lines)

    def _later_lines(self) -> list[str]:
        """Return what is done later, and how to see how far it is."""
        lines = [f"submitted {' '.join(self.submitted)}"] if self.submitted else []
        if self.worker_command:
            lines.append(f"start workers, here and elsewhere: {self.worker_command}")
        if not lines:
            return []
        if self.job:
            return [*lines, f"how far it is: emo job status {typed(location(self.job))}"]
        return [*lines, "features are extracted first: when that is done, run this command again"]

    def json(self) -> str:
        """Return one line of JSON with all fields."""
        return json_text(dict(vars(self)))

    @property
    def exit_code(self) -> int:
        """Exit code: 75 if stopped by a signal, 1 if parts were lost, 3 if clips failed, else 0."""
        if self.is_stopped:
            return EXIT_STOPPED
        if self.lost:
            return 1
        return EXIT_FAILED_CLIPS if self.failed else 0
