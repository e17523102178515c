"""`metrics.prom` of a job: its counts as Prometheus text, for the file collector of node_exporter.

Each worker keeps its own counts in ``logs/<worker>.counts.json``; after each commit it writes the
sum over all workers; in a bucket, where nothing would collect it, the counts alone. The file is
replaced whole, under a lock, so that no count ever falls. Labels
name the store, the job, recipes and stages; nothing of a clip.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from emo.errors import StoreError
from emo.extract.job.files.files_of import Folder, files_of
from emo.extract.job.journal import LOGS, log_name, me
from emo.extract.job.paths import JOBS
from emo.extract.job.timings import WorkTotals
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.kinds import Fields, MapOf, OneOf
from emo.machine.whole_file import whole_file

try:
    import fcntl
except ImportError:  # Windows: the files of two workers may overtake each other there
    fcntl = None  # type: ignore[assignment]

METRICS_FILE = "metrics.prom"
"""Name of the file in the job folder."""
_COUNTS = ".counts.json"
_FORM = Fields(
    {"clips": MapOf(int), "stages": MapOf(float), "last_commit": float},
    {"done": int, "bytes": MapOf(int), "requests": int, "planned": OneOf((int, None))},
)
_MOST_BYTES = 2**20


class JobMetrics:
    """Counts of this worker, which it adds to the job's file after each commit."""

    def __init__(self, job: Folder, recipes: Iterable[str], planned: int | None = None) -> None:
        """Count for a job folder.

        Args:
            job: the folder.
            recipes: names of the job's recipes.
            planned: clips of the whole job; None: not known.
        """
        self._job, self._recipes, self._planned = job, tuple(recipes), planned
        self._done, self._requests = 0, 0
        self._bytes = {"fetched": 0, "written": 0}
        self._clips: Counter[str] = Counter()
        self._stages: dict[str, float] = {}

    def count_clip(self, failures: Mapping[str, str], fetched: tuple[int, int] = (0, 0)) -> None:
        """Count a clip that is done.

        Args:
            failures: a reason for each recipe that failed.
            fetched: requests for its media, and their bytes.
        """
        self._done += 1
        self._requests += fetched[0]
        self._bytes["fetched"] += fetched[1]
        for name in self._recipes:
            self._clips[f"{name}\n{'failed' if name in failures else 'done'}"] += 1

    def commit(self, work: WorkTotals, written_bytes: int = 0) -> None:
        """Add what a part took, and write the file; a disk that refuses it stops no job."""
        self._bytes["written"] += written_bytes
        for name, stage in work.stages.items():
            self._stages[name] = self._stages.get(name, 0.0) + stage.busy_seconds
        own: dict[str, object] = {
            "clips": self._clips,
            "stages": self._stages,
            "last_commit": time.time(),
            "done": self._done,
            "bytes": self._bytes,
            "requests": self._requests,
            "planned": self._planned,
        }
        name = log_name(me()).removesuffix(".jsonl") + _COUNTS
        if not isinstance(self._job, Path):
            with suppress(StoreError):
                files_of(self._job / LOGS).write(name, json.dumps(own).encode())
            return
        with suppress(OSError, StoreError), _locked(self._job):
            _replace(self._job / LOGS / name, json.dumps(own))
            _replace(self._job / METRICS_FILE, metrics_text(self._job))


def metrics_text(job: Path) -> str:
    """Return the counts of all workers of a job as Prometheus text."""
    clips: Counter[str] = Counter()
    stages: dict[str, float] = {}
    latest, done, requests, planned = 0.0, 0, 0, None
    counted: Counter[str] = Counter()
    for path in sorted((job / LOGS).glob(f"*{_COUNTS}")):
        with suppress(OSError, UnfitFileError, DocumentError):
            data = read_regular(path, most_bytes=_MOST_BYTES, follow_links=False)
            found = parse_checked(data, _FORM)
            clips.update(found["clips"])
            for name, seconds in found["stages"].items():
                stages[name] = stages.get(name, 0.0) + seconds
            latest = max(latest, found["last_commit"])
            done, requests = done + found.get("done", 0), requests + found.get("requests", 0)
            counted.update(found.get("bytes", {}))
            planned = found.get("planned", planned)
    store = job.parent.parent if job.parent.name.startswith(JOBS) else job.parent
    whole = {"store": store.name, "number": job.name}
    lines = [*_header("emo_clips_total", "counter", "Clips that workers committed.")]
    for key, count in sorted(clips.items()):
        recipe, _, outcome = key.partition("\n")
        lines.append(_line("emo_clips_total", {**whole, "recipe": recipe, "outcome": outcome},
                           str(count)))  # fmt: skip
    lines += _header("emo_stage_seconds_total", "counter", "Seconds that threads were busy.")
    for stage, seconds in sorted(stages.items()):
        lines.append(_line("emo_stage_seconds_total", {**whole, "stage": stage}, f"{seconds:.3f}"))
    lines += _header("emo_bytes_total", "counter", "Bytes of media fetched, and of parts written.")
    for direction, size in sorted(counted.items()):
        named = {**whole, "direction": direction}
        lines.append(_line("emo_bytes_total", named, str(size)))
    lines += _header("emo_requests_total", "counter", "Requests for media, without retries.")
    lines.append(_line("emo_requests_total", whole, str(requests)))
    if planned is not None:
        lines += _header("emo_queue", "gauge", "Clips of the job that no worker has done yet.")
        lines.append(_line("emo_queue", whole, str(max(0, planned - done))))
    lines += _header("emo_last_commit_seconds", "gauge", "Time of the last commit, Unix seconds.")
    lines.append(_line("emo_last_commit_seconds", whole, f"{latest:.3f}"))
    return "\n".join(lines) + "\n"


def _header(name: str, kind: str, said: str) -> Iterator[str]:
    yield f"# HELP {name} {said}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Mapping[str, str], value: str) -> str:
    pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {value}"


def _escaped(text: str) -> str:
    r"""Return the value of a label as Prometheus writes it.

    >>> print(_escaped('a"b\\c'))
    a\"b\\c
    """
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _replace(path: Path, text: str) -> None:
    """Write a file whole.

    Raises:
        StoreError: the disk refuses it.
    """
    with whole_file(path, StoreError) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def _locked(job: Path) -> Iterator[None]:
    """Hold the lock of the job's metrics; on a disk without locks, go on without."""
    with open(job / LOGS / ".metrics-lock", "a") as file:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
