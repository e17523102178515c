"""The Executor contract: where the parts of a job run, and what is reported back.

A new executor is one file in ``emo/extract/executors/`` with one public subclass. The pipeline
calls, in this order and nothing else::

    options = MyExecutor.Options(partition="gpu")   # the flags that were given
    executor = MyExecutor(workers, options)         # workers: --workers, or None
    report = executor.run(folder, parts, progress)  # parts: numbers of parts of the job folder

An executor must implement at least ``__init__`` and ``run``. Its options are a dataclass in the
same file, and each field becomes a flag of `emo extract` and `emo job resume`. The help reads that
dataclass from the source, because importing an executor may import a large library; so types,
defaults and metadata must be literals. No field has the name of a flag of these commands, and a
flag that another executor has keeps its type; `emo list executors` says what is wrong in a file. An
executor ``module:Class`` from elsewhere has no flags: its options are given as
`-o executor.NAME=VALUE`. A complete example:

>>> @dataclass(frozen=True)
... class OneByOneOptions:
...     pause_seconds: float = field(default=0.0, metadata={"help": "Seconds between two parts."})
>>> class OneByOne(Executor):
...     Options = OneByOneOptions
...     def __init__(self, workers, options):
...         self.pause_seconds = options.pause_seconds
...     def run(self, folder, parts, progress, *, is_dry_run=False):
...         report = JobReport()
...         for part in parts:
...             done = run_parts(folder.path, str(part)).job  # from emo.extract.resume
...             report.add(done.clips, done.failures, done.work)
...             time.sleep(self.pause_seconds)
...         return report
>>> OneByOne(None, OneByOne.Options()).run(folder=None, parts=[], progress=Progress()).clips
0
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, get_origin, get_type_hints

from emo import plugins
from emo.errors import OptionError
from emo.extract.job.executor_options import build_options
from emo.extract.job.folder import JobFolder
from emo.extract.job.timings import WorkTotals
from emo.machine.progress import progress_bar
from emo.plugins import NoOptions

OWNER = "executor"
"""Before the dot of `-o executor.NAME=VALUE`."""
EXIT_FAILED_CLIPS = 3
"""Exit code: finished, but some clips failed; `emo store failures` lists them."""
EXIT_STOPPED = 75
"""Exit code (EX_TEMPFAIL): stopped by a signal after committing what was finished; the same
command goes on."""


@dataclass
class Progress:
    """The listener of a running job; ``on_clip(is_failed)`` is called after every clip."""

    on_clip: Callable[[bool], None] = lambda failed: None


@dataclass
class JobReport:
    """How a job ended."""

    clips: int = 0
    """Clips that this run committed, failed ones included."""
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    """Recipe name -> clip id -> reason, for the clips that failed in this run."""
    is_stopped: bool = False
    """A signal stopped the run; what was finished is committed."""
    lost: list[str] = field(default_factory=list)
    """One line for each part that was given up because its workers died; its clips are undone."""
    submitted: list[str] = field(default_factory=list)
    """Ids that a scheduler gave to what was submitted; the work is done later."""
    queued: int = 0
    """Tasks with missing parts that the scheduler already had in its queue."""
    worker_command: str = ""
    """Command by which somebody else starts workers, if the executor starts none."""
    work: WorkTotals = field(default_factory=WorkTotals)
    """Time that the workers spent in each stage."""

    def add(self, clips: int, failures: Mapping[str, Mapping[str, str]], work: WorkTotals) -> None:
        """Add what a worker committed to the sums."""
        self.clips += clips
        self.work.add(work)
        for name, reasons in failures.items():
            self.failures.setdefault(name, {}).update(reasons)

    @property
    def exit_code(self) -> int:
        """Exit code: 0; 1 if parts were lost; 3 if clips failed; 75 if stopped by a signal."""
        if self.is_stopped:
            return EXIT_STOPPED
        if self.lost:
            return 1
        return EXIT_FAILED_CLIPS if any(self.failures.values()) else 0


class Executor(ABC):
    """Runs every part once, or says which it could not; running a part twice is harmless."""

    Options: ClassVar[type] = NoOptions
    """A frozen dataclass in the same file; each field has a default and ``metadata={"help": "…"}``,
    and may have ``"metavar"``, the word for its value in the help. Types: ``int``, ``float``,
    ``str``, each also ``| None``, ``bool``, and ``tuple[str, ...]`` for a flag that is repeated."""
    title: ClassVar[str] = ""
    """Heading of its options in `emo extract --help`, a literal; empty: the name of the file."""
    is_scheduler: ClassVar[bool] = False
    """Whether `run` only submits the job, to a queue, and returns before its parts are done."""
    needs_disk: ClassVar[bool] = False
    """Whether job folders must lie on a disk that all workers see; False: a bucket will do, too."""

    @abstractmethod
    def __init__(self, workers: int | None, options: Any) -> None:
        """Keep the options.

        Args:
            workers: how many parts may run at the same time; None: as many as fit.
            options: an instance of ``Options``.
        """

    @abstractmethod
    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Run the parts of a job; return when all are committed, lost, submitted, or stopped.

        Args:
            folder: the job.
            parts: numbers of the parts to run.
            progress: told after every clip, if the executor hears of single clips.
            is_dry_run: only for a scheduler: write what would be submitted, and submit nothing.
        """


def check_workers(workers: int | None) -> None:
    """Check the number of workers.

    Raises:
        OptionError: it is below 1.
    """
    if workers is not None and workers < 1:
        raise OptionError(f"--workers: expected 1 or more, got {workers}")


def make_executor(name: str, workers: int | None, given: Mapping[str, Any]) -> Executor:
    """Build an executor.

    Args:
        name: a file of ``emo/extract/executors/``, or ``module:Class``.
        workers: how many parts may run at the same time; None: as many as fit.
        given: options by field name of its ``Options``; the others have their defaults.

    Raises:
        PluginError: there is none of that name, or its library is missing.
        OptionError: it has no such option, a value is out of its range, or ``workers`` is below 1.
    """
    check_workers(workers)
    kind = plugins.load(plugins.EXECUTORS, name, Executor)  # type: ignore[type-abstract]
    return kind(workers, build_options(name, kind.Options, given))


def code_options(name: str) -> frozenset[str]:
    """Return the names of those options of an executor that a shell or a scheduler obeys.

    Their fields have ``metadata={"is_code": True}``. When a job is resumed that somebody else
    wrote, their values are shown, and used only with consent.

    Args:
        name: a file of ``emo/extract/executors/``; of ``module:Class`` none is returned, since
            the class itself needs consent.
    """
    if ":" in name:
        return frozenset()
    kind = plugins.load(plugins.EXECUTORS, name, Executor)  # type: ignore[type-abstract]
    return frozenset(each.name for each in fields(kind.Options) if each.metadata.get("is_code"))


def options_from_words(name: str, words: Sequence[str]) -> dict[str, Any]:
    """Convert ``NAME=VALUE`` words into options of an executor, for those that have no flag.

    Args:
        name: a file of ``emo/extract/executors/``, or ``module:Class``.
        words: such as ``queue=long`` or ``executor.queue=long``; a list's name may be repeated.

    Raises:
        PluginError: there is no such executor, or its library is missing.
        OptionError: an unknown name, a value of another type, or a single value given twice.
    """
    if not words:
        return {}
    kind = plugins.load(plugins.EXECUTORS, name, Executor)  # type: ignore[type-abstract]
    hints = get_type_hints(kind.Options)
    lists: dict[str, tuple[str, ...]] = {}
    single: dict[str, str] = {}
    for word in words:
        for key, text in plugins.split_options([word], [OWNER])[OWNER].items():
            if key not in hints:
                raise OptionError(f"executor {name!r}: {plugins.unknown('option', key, hints)}")
            if get_origin(hints.get(key)) is tuple:
                lists[key] = (*lists.get(key, ()), text)
            elif key in single:
                raise OptionError(f"-o {word}: {key} is given twice; give it once")
            else:
                single[key] = text
    parsed: Any = plugins.parse_options(kind.Options, single, OWNER)
    return lists | {key: getattr(parsed, key) for key in single}


@contextmanager
def clip_bar(clips: int, shown: bool | None, what: str = "extract") -> Iterator[Progress]:
    """Show a progress bar of clips on stderr.

    Args:
        clips: number of clips.
        shown: whether to show it; None: when stderr is a terminal.
        what: the word before the bar.
    """
    failed = 0
    with progress_bar(shown=shown, total=clips, unit="clip", desc=what) as bar:

        def on_clip(is_failed: bool) -> None:
            nonlocal failed
            failed += is_failed
            if is_failed:
                bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        yield Progress(on_clip)
