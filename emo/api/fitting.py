"""Fit heads from Python, as `emo fit-head` does."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.api.clips import Clips, Manifest, clips_of
from emo.api.runs import FittedRun, head_class
from emo.api.store import Store, locations
from emo.errors import OptionError
from emo.heads.fitting.options_from_cli import fit_options
from emo.heads.head import Head
from emo.heads.options import LOOP_FIELDS, FitOptions, LoopOptions
from emo.store.backend.location import Location

if TYPE_CHECKING:
    import pandas as pd

_OPTIONS = {field.name for field in fields(FitOptions)} - {"loop"} | set(LOOP_FIELDS)


def fit(
    clips: "Clips | pd.DataFrame",
    features: "str | Path | Store | Sequence[str | Path | Store]" = "features",
    *,
    head: "str | type[Head] | None" = None,
    streams: Sequence[str] = (),
    targets: Sequence[str] | str = (),
    tasks: Mapping[str, str] | str = MappingProxyType({}),
    seeds: int = 1,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    preset: str | None = None,
    head_options: Mapping[str, Any] = MappingProxyType({}),
    columns: Mapping[str, str] = MappingProxyType({}),
    root: str | Path | None = None,
    progress: bool | None = None,
    **options: Any,
) -> FittedRun:
    """Fit a head on stored features, score it, and return the run.

    Args:
        clips: a manifest, a DataFrame, or the path of a table.
        features: a store, or several.
        head: a name of `emo list heads`, ``module:Class``, or a class of your own; None: the
            preset's, or ``attention_pool``.
        streams: ``RECIPE`` or ``RECIPE/STREAM``, with ``@COLUMN`` for the tokens of the clip whose
            id is in that column, which are kept once; empty: all.
        targets: columns to predict; empty: ``label``.
        tasks: task of each target, or one word for all; empty: the task that the cells suggest.
        seeds: heads that are fitted.
        out: folder of the run; None: a temporary one that lives as long as the result.
        overwrite: replace a run in ``out``.
        resume: continue what an interrupted fit left in ``out``.
        preset: a name of `emo list presets`.
        head_options: options of the head by name.
        columns: columns of ``clips`` under other names.
        root: folder of the media.
        progress: whether to show a bar; None: in a terminal or a notebook.
        options: further options of `emo fit-head`, such as ``epochs=20``, ``learning_rate=1e-3``,
            ``class_weights=True``, ``search=30``, ``cut="clips"``, ``top_classes=1500``,
            ``choose_by="accuracy"``, ``loss="mae"``, ``refit=True``,
            ``by_columns="question_word"`` (its ``--by``).

    Returns:
        The run. Choices that were made for the user, such as splits that were cut, are in its
        ``notes``, which are shown with it.

    Raises:
        EmoError: the command `emo fit-head` would end with this sentence.
        TypeError: there is no such option.
    """
    from emo.heads.fitting.fit import fit_head

    made = Request(clips, features, head, streams, targets, tasks, seeds, preset, head_options,
                    columns, root, options)  # fmt: skip
    with _folder(out, overwrite=overwrite or resume) as (folder, gone):
        fit_head(made.manifest, made.stores, folder, made.options, resume=resume, progress=progress)
        return FittedRun(folder, gone=gone)


def cross_validate(
    clips: "Clips | pd.DataFrame",
    features: "str | Path | Store | Sequence[str | Path | Store]" = "features",
    *,
    by: str,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> FittedRun:
    """Fit and score a head on folds, so that every clip is tested once.

    Args:
        clips: a manifest, a DataFrame, or the path of a table.
        features: a store, or several.
        by: number of folds, or a column whose values are left out in turn, such as ``speaker``.
        out: folder of the run; None: a temporary one that lives as long as the result.
        overwrite: replace a run in ``out``.
        resume: continue what an interrupted call left in ``out``.
        progress: whether to show a bar; None: in a terminal or a notebook.
        options: ``head``, ``streams``, ``targets`` … as :func:`fit` takes them.

    Raises:
        EmoError: the command `emo fit-head --cv` would end with this sentence.
    """
    from emo.heads.fitting.folds.cross_validate import cross_validate as run

    made = Request.of(clips, features, options)
    with _folder(out, overwrite=overwrite or resume) as (folder, gone):
        run(made.manifest, made.stores, folder, made.options, by=str(by), resume=resume,
            progress=progress)  # fmt: skip
        return FittedRun(folder, gone=gone)


class Request:
    """What the commands get, made of the arguments of Python."""

    manifest: Manifest
    """The clips."""
    stores: list[Location]
    """Locations of the stores."""
    options: FitOptions
    """Options of the fit."""

    def __init__(
        self,
        clips: "Clips | pd.DataFrame",
        features: "str | Path | Store | Sequence[str | Path | Store]",
        head: "str | type[Head] | None",
        streams: Sequence[str],
        targets: Sequence[str] | str,
        tasks: Mapping[str, str] | str,
        seeds: int,
        preset: str | None,
        head_options: Mapping[str, Any],
        columns: Mapping[str, str],
        root: str | Path | None,
        options: Mapping[str, Any],
    ) -> None:
        """Read the clips and check the options; see :func:`fit` for the arguments."""
        self.manifest = clips_of(clips, columns, root)
        self.stores = locations(features)
        for name in options:
            if name not in _OPTIONS:
                raise TypeError(f"fit: {plugins.unknown('option', name, _OPTIONS)}")
        given = {**options, "seeds": seeds}
        for name, value in given.items():
            _check_number(name, value)
        if head is not None:
            given["head"] = head if isinstance(head, str) else plugins.lend(head_class(head))
        if isinstance(given.get("by_columns"), str):
            given["by_columns"] = (given["by_columns"],)
        if streams:
            given["streams"] = (streams,) if isinstance(streams, str) else tuple(streams)
        names = (targets,) if isinstance(targets, str) else tuple(targets)
        words = [tasks] if isinstance(tasks, str) else [f"{k}={v}" for k, v in tasks.items()]
        weights = given.pop("target_weights", {})
        self.options = fit_options(
            given,
            targets=names,
            tasks=[word for word in words if word],
            weights=[f"{name}={factor}" for name, factor in weights.items()],
            option=[f"{name}={plugins.option_word(value)}" for name, value in head_options.items()],
            preset=preset,
        )

    @classmethod
    def of(
        cls,
        clips: "Clips | pd.DataFrame",
        features: "str | Path | Store | Sequence[str | Path | Store]",
        options: Mapping[str, Any],
    ) -> "Request":
        """Build a request from the keyword arguments of :func:`fit`."""
        usual: dict[str, Any] = {
            "head": None, "streams": (), "targets": (), "tasks": {}, "seeds": 1, "preset": None,
            "head_options": {}, "columns": {}, "root": None,
        }  # fmt: skip
        own = {name: options.get(name, value) for name, value in usual.items()}
        rest = {name: value for name, value in options.items() if name not in usual}
        return cls(clips, features, **own, options=rest)


def _check_number(name: str, value: Any) -> None:
    """Raise OptionError if an option that is a number is given as something else."""
    usual = getattr(LoopOptions if name in LOOP_FIELDS else FitOptions, name, None)
    expected: dict[type, tuple[Any, str]] = {
        int: (Integral, "a whole number"), float: (Real, "a number"),
    }  # fmt: skip
    kind, words = expected.get(type(usual), (object, ""))
    if value is not None and not isinstance(value, kind):
        raise OptionError(f"{name}: expected {words}, got {value!r}")


@contextmanager
def _folder(
    out: str | Path | None, *, overwrite: bool
) -> Iterator[tuple[Path, Callable[[], None] | None]]:
    """Yield the folder of a run, and what removes it later when it is temporary.

    A temporary folder is removed at once if the block raises.
    """
    from emo.heads.runs.files import check_free

    if out is not None:
        if not overwrite:
            check_free(Path(out))
        yield Path(out), None
        return
    folder = Path(tempfile.mkdtemp(prefix="emo-run-"))
    try:
        yield folder / "run", lambda: shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
