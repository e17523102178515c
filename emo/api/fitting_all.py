"""Fit several heads from Python and rank them by val, as `emo fit-head --head all` does."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.api.clips import Clips, clips_of
from emo.api.fitting import Request
from emo.api.runs import FittedRun
from emo.api.store import Store
from emo.errors import OptionError
from emo.heads.fitting.several.all_heads import EVERY_HEAD, heads_of
from emo.heads.fitting.several.all_heads import fit_all as fit_heads
from emo.heads.fitting.several.ranked import HeadRuns
from emo.heads.head import Head
from emo.heads.runs.files import check_free

if TYPE_CHECKING:
    import pandas as pd


class FittedRuns(Mapping[str, FittedRun]):
    """Runs of several heads on the same clips, by the head's name; the best on val first."""

    def __init__(self, result: HeadRuns, temporary: Path | None = None) -> None:
        """Open the runs.

        Args:
            result: the heads that were tried.
            temporary: folder that is removed when none of the runs is used any more; None: none.
        """
        self.result = result
        fitted = result.ranked
        gone = _Folder(temporary, len(fitted)).leave if temporary is not None else None
        self._runs = {found.head: FittedRun(found.run, gone=gone) for found in fitted}

    def __getitem__(self, head: str) -> FittedRun:
        """Return the run of a head."""
        return self._runs[head]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the heads that have a run."""
        return iter(self._runs)

    def __len__(self) -> int:
        """Number of heads that have a run."""
        return len(self._runs)

    @property
    def best(self) -> FittedRun:
        """Run of the head that val chooses."""
        return next(iter(self._runs.values()))

    @property
    def looks(self) -> int:
        """Number of settings that were scored on these test clips."""
        return self.result.looks

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a head: ``head``, ``status``, ``val``, ``is_chosen``, scores on test, ``reason``.

        Heads that have a run come first, the best on val on top.
        """
        import pandas as pd

        return pd.DataFrame(self.result.records())

    def __repr__(self) -> str:
        """Return the table of `emo fit-head --head all`."""
        return self.result.table()

    def _repr_html_(self) -> str:
        table: str = self.frame.to_html(index=False)
        return table


def fit_all(
    clips: "Clips | pd.DataFrame",
    features: "str | Path | Store | Sequence[str | Path | Store]" = "features",
    *,
    heads: "str | Sequence[str | type[Head]]" = EVERY_HEAD,
    most_minutes: float | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    head_options: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    progress: bool | None = None,
    **options: Any,
) -> FittedRuns:
    """Fit every head that suits the clips and rank the runs by val.

    A head that does not suit the clips is skipped, and one that fails does not stop the others.

    Args:
        clips: a manifest, a DataFrame, or the path of a table.
        features: a store, or several.
        heads: ``all``, or names of `emo list heads` and classes of your own.
        most_minutes: heads whose forecast is longer are skipped; None: no limit.
        out: folder of the runs, each in a folder of its head's name; None: a temporary one.
        overwrite: replace runs in ``out``.
        resume: keep the finished runs of an interrupted call.
        head_options: head -> its options by name.
        progress: whether to show bars; None: in a terminal or a notebook.
        options: ``streams``, ``targets``, ``seeds``, ``epochs`` … as :func:`emo.fit` takes them.

    Raises:
        EmoError: the clips cannot be read, an option is wrong, or no head was fitted.
        TypeError: there is no such option.
    """
    for name in ("head", "init"):
        if name in options:
            raise TypeError(f"fit_all: {name}: give heads=[…], or use emo.fit for one head")
    words = [heads] if isinstance(heads, str) else heads
    names = heads_of([each if isinstance(each, str) else plugins.lend(each) for each in words])
    if odd := head_options.keys() - set(names):
        raise OptionError(plugins.unknown("head of head_options", odd.pop(), names))
    manifest = clips_of(clips, options.pop("columns", {}), options.pop("root", None))
    made = {
        name: Request.of(
            manifest, features,
            {**options, "head": name, "head_options": head_options.get(name, {})},
        )
        for name in names
    }  # fmt: skip
    temporary = Path(tempfile.mkdtemp(prefix="emo-runs-")) if out is None else None
    folder = temporary / "runs" if temporary is not None else Path(str(out))
    if not (overwrite or resume):
        check_free(folder, is_ablation=True)
    first = next(iter(made.values()))
    try:
        result = fit_heads(
            first.manifest, first.stores, folder,
            {name: each.options for name, each in made.items()},
            most_minutes=most_minutes, resume=resume, progress=progress,
        )  # fmt: skip
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return FittedRuns(result, temporary)


class _Folder:
    """A temporary folder that several runs share."""

    def __init__(self, path: Path, users: int) -> None:
        """Remember the folder and how many runs use it."""
        self.path, self.users = path, users

    def leave(self) -> None:
        """Remove the folder when the last of its runs is not used any more."""
        self.users -= 1
        if self.users == 0:
            shutil.rmtree(self.path, ignore_errors=True)
