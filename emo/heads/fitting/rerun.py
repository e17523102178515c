"""`emo rerun`: fit a run again from its ``run.json``, and say what is the same and what differs."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.errors import FitError
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.runs.comparing.changed_numbers import changed_lines, origin_words
from emo.heads.runs.document import WITH_HEAD, check_entries
from emo.heads.runs.files import RUN_FILE, check_free, read_document
from emo.machine.table import format_table
from emo.machine.untrusted.kinds import Fields, ListOf, MapOf
from emo.manifest import Manifest, read_manifest
from emo.manifest.tables.spreadsheet import table_file
from emo.store.backend.location import Location, location
from emo.store.recipe import RECIPE_FILE, Recipe

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-6
"""Largest difference of two scores that the order of additions alone explains."""
_ASKED = ("target", "targets", "tasks")
"""Options that are read from other entries of run.json."""
_WHOLE = Fields(
    {
        "options": dict, "targets": ListOf(dict), "metrics": dict, "recipes": MapOf(dict),
        "streams": dict,
        "manifest": Fields({"path": str}), "features": ListOf(str),
    },
    {"asked": ListOf(str), "folds": Fields({"by": str})},
)  # fmt: skip
"""What run.json must hold besides, so that the run can be done again."""


@dataclass(frozen=True, repr=False)
class RerunReport:
    """A run that was done again, beside the one it repeats."""

    run: Path
    """Folder of the run that is repeated."""
    out: Path
    """Folder of the new run."""
    differences: tuple[str, ...]
    """Lines on what differs: versions, manifest, features; empty: nothing that is known."""
    scores: tuple[Mapping[str, object], ...]
    """A row for each target, split and score: ``before``, ``now``."""
    predictions: str
    """A line on the predictions of the first target."""

    @property
    def largest(self) -> float:
        """Largest difference of two scores; 0: all are the same, bit by bit."""
        both = [(row["before"], row["now"]) for row in self.scores]
        return max((_distance(before, now) for before, now in both), default=math.inf)

    @property
    def is_same(self) -> bool:
        """Whether all scores are the same, bit by bit."""
        return self.largest == 0

    @property
    def frame(self) -> "pd.DataFrame":
        """One row for each target, split and score: ``before`` and ``now``."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.scores])

    def __repr__(self) -> str:
        """Return the table of `emo rerun`."""
        return self.table()

    def table(self) -> str:
        """Return the report as text for people."""
        if self.is_same:
            outcome = "scores: the same, bit by bit"
        elif math.isinf(self.largest):
            outcome = "scores: not the same ones; some are in one run alone"
        else:
            word = "the same within" if self.largest <= ROUNDING else "different, by up to"
            outcome = f"scores: {word} {self.largest:.2g}"
        known = self.differences or ("versions, manifest and features: the same",)
        lines = [f"{self.run} -> {self.out}", *known, outcome, self.predictions]
        return f"{format_table([dict(row) for row in self.scores], keys=3)}\n\n" + "\n".join(lines)


def rerun(
    run: Path,
    out: Path | None = None,
    *,
    manifest: Manifest | Path | None = None,
    features: Sequence[Location | str] = (),
    root: Path | None = None,
    progress: bool | None = None,
) -> RerunReport:
    """Fit a run again with its options, and compare both.

    A manifest or store that is not given is looked for where it was, and else where the run was
    moved to: below the folders that hold the run, under the last parts of its path.

    Args:
        run: folder of the run.
        out: folder of the new run; None: ``RUN-again`` beside it.
        manifest: the manifest; None: the run's.
        features: stores; empty: the run's.
        root: folder of the media; None: the run's.
        progress: whether to show a bar; None: in a terminal.

    Raises:
        FitError: the run, manifest or a store is not found, or cannot be read.
        PluginError: its head is ``module:Class``, and the user did not name it in this call.
    """
    document = read_document(run)
    check_entries(run / RUN_FILE, document, WITH_HEAD)
    check_entries(run / RUN_FILE, document, _WHOLE)
    kind: type[Head] = plugins.load(
        plugins.HEADS,
        document["head"]["name"],
        Head,  # type: ignore[type-abstract]
        document=run / RUN_FILE,
    )
    out = out or run.with_name(f"{run.name}-again")
    check_free(out)
    options = options_of(document, run, kind)
    stores = [location(each) for each in features] or _stores(document, run)
    clips = manifest if isinstance(manifest, Manifest) else None
    if clips is None:
        path = manifest if isinstance(manifest, Path) else _manifest(document, run)
        root = root or _root(document, run)
        clips = read_manifest(path, columns=document["manifest"].get("columns", {}), root=root)
    if not options.streams and _names(stores) > document["recipes"].keys():
        options = replace(options, streams=tuple(document["streams"]))  # recipes came in since
    if "folds" in document:
        by = str(document["folds"].get("by", ""))
        cross_validate(clips, stores, out, options, by=by, progress=progress)
    else:
        fit_head(clips, stores, out, options, progress=progress)
    now = read_document(out)
    return RerunReport(
        run, out, tuple(_differences(document, now)), tuple(_scores(document, now)),
        _predictions(run, out),
    )  # fmt: skip


def options_of(document: Mapping[str, Any], run: Path, kind: type[Head]) -> FitOptions:
    """Return the options that a run was fitted with; of a search, the options that it found.

    Raises:
        FitError: this version of emo does not take them.
    """
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document["options"].items()
        if name not in _ASKED
    }
    targets = tuple(str(each["name"]) for each in document["targets"])
    fields |= {
        "head": document["head"]["name"], "head_options": _words(document, kind),
        "target": targets[0] if len(targets) == 1 else targets, "search": 0,
        "tasks": {str(each["name"]): str(each["task"]) for each in document["targets"]},
    }  # fmt: skip
    try:
        return FitOptions.of(**fields)
    except (TypeError, ValueError, AttributeError) as error:
        raise FitError(
            f"{run}: this version of emo does not take the options of its run.json: {error}"
        ) from error


def _words(document: Mapping[str, Any], kind: type[Head]) -> dict[str, str]:
    """Return the options of a run's head as they are typed behind ``-o``."""
    found = plugins.current_names(kind.Options, document["head"]["options"])
    return {name: plugins.option_word(value) for name, value in found.items()}


def _manifest(document: Mapping[str, Any], run: Path) -> Path:
    """Return the path of a run's manifest, where it is now."""
    was = str(document["manifest"].get("path", ""))
    found = _found(was, run, lambda path: table_file(path).is_file())
    if found is None:
        raise FitError(f"{run}: its manifest, {_name(was)}, is not here; name it with --manifest")
    return found


def _root(document: Mapping[str, Any], run: Path) -> Path | None:
    """Return the folder of a run's media, where it is now; None: the manifest's own folder."""
    was = document["manifest"].get("root")
    return _found(str(was), run, Path.is_dir) if was else None


def _stores(document: Mapping[str, Any], run: Path) -> list[Location]:
    """Return the locations of a run's stores, where they are now."""
    found: list[Location] = []
    for was in map(str, document.get("features", [])):
        if "://" in was:
            raise FitError(f"{run}: its features are in a bucket; name them with --features")
        path = _found(was, run, lambda path: any(path.glob(f"*/{RECIPE_FILE}")))
        if path is None:
            lines = "; ".join(line for line in document.get("asked", [])[:-1] if line)
            made = f". They were made by: {lines}" if lines else ""
            raise FitError(
                f"{run}: its features, {_name(was)}, are not here; name them with --features{made}"
            )
        found.append(path)
    return found


def _names(stores: Sequence[Location]) -> set[str]:
    """Return the names of all recipes of the stores on a disk."""
    files = [store.glob(f"*/{RECIPE_FILE}") for store in stores if isinstance(store, Path)]
    return {file.parent.name for found in files for file in found}


def _found(was: str, run: Path, is_there: Callable[[Path], bool]) -> Path | None:
    """Return where something is now that was at ``was``; None: it was not found."""
    parts = [part for part in re.split(r"[/\\]+", was) if part not in ("", "..", ".")]
    return next((path for path in _candidates(Path(was), parts, run) if is_there(path)), None)


def _candidates(was: Path, parts: Sequence[str], run: Path) -> Iterator[Path]:
    """Iterate over the path itself, and over its last parts below the folders that hold the run."""
    yield was
    for folder in run.absolute().parents:
        for start in range(len(parts)):
            yield folder.joinpath(*parts[start:])


def _name(path: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]+", path)[-1]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Iterate over lines on what differs between two runs besides their scores."""
    for what, key in (("fit", "versions"), *(("features", name) for name in now["recipes"])):
        ours, theirs = (_versions(each, what, key) for each in (before, now))
        for name in dict.fromkeys([*ours, *theirs]):
            if ours.get(name) != theirs.get(name) and ours:
                owner = "" if what == "fit" else f" of {key}"
                yield f"{name}{owner}: {ours.get(name, '–')} -> {theirs.get(name, '–')}"
    for line in changed_lines(before):
        yield f"{origin_words(before)}; since then: {line}"
    if before["head"].get("code", code := now["head"].get("code")) != code:
        yield "the head's code: edited since the earlier run"
    if before["manifest"].get("sha256") != now["manifest"].get("sha256"):
        yield "manifest: another file than before"
    for name in dict.fromkeys([*before["recipes"], *now["recipes"]]):
        yield from _recipe_differences(name, before["recipes"].get(name), now["recipes"].get(name))


def _versions(document: Mapping[str, Any], what: str, key: str) -> dict[str, str]:
    """Return the versions of a fit, or of what made a recipe's features; empty: not known."""
    found = document.get(key if what == "fit" else "made_with", {})
    found = found if what == "fit" or not isinstance(found, dict) else found.get(key, {})
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _recipe_differences(name: str, before: Any, now: Any) -> Iterator[str]:
    """Iterate over lines on two recipes of one name."""
    if before is None or now is None:
        yield f"features {name}: only in the {'new' if before is None else 'earlier'} run"
        return
    for line in Recipe.from_json(before).differences(Recipe.from_json(now)):
        yield f"features {name}: {line}"


def _scores(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Iterate over rows ``target``, ``split``, ``score``, ``before``, ``now``: means over seeds."""
    ours, theirs = _means(before), _means(now)
    for key in dict.fromkeys([*ours, *theirs]):
        target, split, score = key
        yield {
            "target": target, "split": split, "score": score,
            "before": ours.get(key), "now": theirs.get(key),
        }  # fmt: skip


def _means(document: Mapping[str, Any]) -> dict[tuple[str, str, str], float | None]:
    """Return (target, split, score) -> mean over seeds."""
    every = {document["target"]: document["metrics"], **document.get("metrics_of_others", {})}
    return {
        (target, split, score): mean
        for target, metrics in every.items()
        for split, found in ({"all": metrics} if "mean" in metrics else metrics).items()
        for score, mean in found["mean"].items()
    }


def _distance(before: object, now: object) -> float:
    """Return the difference of two scores; two that are undefined are equal."""
    if isinstance(before, int | float) and isinstance(now, int | float):
        return abs(before - now)
    return 0.0 if before is now else math.inf


def _predictions(run: Path, out: Path) -> str:
    """Return a line on how many rows of the predictions are the same in both runs."""
    try:
        before, now = (
            (path / "predictions.csv").read_text(encoding="utf-8").splitlines()
            for path in (run, out)
        )
    except (OSError, ValueError):
        return "predictions: not compared, because a predictions.csv cannot be read"
    if before == now:
        return f"predictions: the same in all {len(now) - 1:,} rows, to the last digit written"
    same = len(set(before[1:]) & set(now[1:]))
    return f"predictions: the same in {same:,} of {len(now) - 1:,} rows, to the last digit written"
