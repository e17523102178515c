"""A finished run: its scores, predictions and plots as a notebook wants them."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.api.clips import Clips, clips_of
from emo.errors import FitError, OptionError
from emo.heads.head import Head
from emo.heads.runs.command_lines import commands_of
from emo.heads.runs.figures.canvas import as_plain_text
from emo.heads.runs.figures.confusion import draw_confusion, normalised, plan_of
from emo.heads.runs.figures.curves import draw_scores, finish_curves
from emo.heads.runs.figures.folders import confusion_counts, curves_of, is_exact
from emo.heads.runs.files import predictions_file, read_document
from emo.heads.runs.in_bucket import near_run
from emo.heads.runs.run import check_code

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from emo.api.store import Store
    from emo.heads.fitting.rerun import RerunReport


class FittedRun:
    """A run folder of `emo fit-head`, whether it was made here or by the command.

    Example::

        run = emo.fit(m, store, head="linear", target="label", seeds=5, out="runs/a")
        run.scores        # split × score: mean, std, low, high
        run.predictions   # id, split, seed, label, prediction, p_…
        run.confusion     # true × predicted
        run.predict("clip.mp4", text="I am fine.")
    """

    def __init__(self, path: str | Path, *, gone: Callable[[], None] | None = None) -> None:
        """Read a run folder.

        Args:
            path: the folder, or a URL in a bucket, of which a copy is read.
            gone: called when this object is not used any more.

        Raises:
            FitError: the folder is no run, or damaged.
        """
        self.path = near_run(path)
        self.document: dict[str, Any] = read_document(self.path)
        if gone is not None:
            weakref.finalize(self, gone)

    @property
    def targets(self) -> list[str]:
        """Targets of the run, the first one first."""
        return [str(each["name"]) for each in self.document["targets"]]

    @property
    def classes(self) -> list[str]:
        """Classes of the first target; empty for numbers."""
        return list(self.document["classes"])

    @property
    def scores(self) -> "pd.DataFrame":
        """Scores of the first target: ``split``, ``score``, ``mean``, ``std``, ``low``, ``high``.

        ``std`` is over seeds; ``low`` and ``high`` are the ends of the bootstrap interval.
        """
        return self.scores_of(self.targets[0])

    def scores_of(self, target: str) -> "pd.DataFrame":
        """Return the scores of one target, see :attr:`scores`.

        Raises:
            OptionError: there is no such target.
        """
        import pandas as pd

        rows = [
            {
                "split": split,
                "score": score,
                "mean": mean,
                "std": found["std"].get(score),
                "low": found["interval"].get(score, (None, None))[0],
                "high": found["interval"].get(score, (None, None))[1],
                "seeds": len(found["seeds"]),
                "clips": found["clips"],
            }
            for split, found in self._metrics(target).items()
            for score, mean in found["mean"].items()
        ]
        return pd.DataFrame(rows)

    @property
    def by_class(self) -> "pd.DataFrame":
        """Precision, recall and F1 of each class of the first target in each split.

        Raises:
            FitError: the target has no classes.
        """
        import pandas as pd

        rows = [
            {"split": split, "class": name, **values}
            for split, found in self._metrics(self.targets[0]).items()
            for name, values in found.get("classes", {}).items()
        ]
        if not rows:
            raise FitError(f"{self.path}: target {self.targets[0]} has no classes")
        return pd.DataFrame(rows)

    @property
    def predictions(self) -> "pd.DataFrame":
        """Predictions of the first target: id, split, seed, label, prediction, probabilities."""
        return self.predictions_of(self.targets[0])

    def predictions_of(self, target: str) -> "pd.DataFrame":
        """Return the predictions of one target, see :attr:`predictions`.

        Raises:
            OptionError: there is no such target.
            FitError: the run has no such file.
        """
        import pandas as pd

        self._known(target)
        name = predictions_file(target, is_first=target == self.targets[0])
        is_numeric = not self._target(target)["classes"]
        kinds: dict[str, Any] = {"id": str, "cause_id": str, "dialogue": str}
        if not is_numeric:
            kinds |= {"label": str, "prediction": str}
        try:
            return pd.read_csv(self.path / name, dtype=kinds, keep_default_na=is_numeric)
        except (OSError, ValueError) as error:
            raise FitError(f"{self.path / name}: {error}") from error

    @property
    def confusion(self) -> "pd.DataFrame":
        """Counts of true (rows) by predicted (columns) classes on test, the mean over seeds.

        Without a test split it is val's.

        Raises:
            FitError: the first target is not one of classes.
        """
        return self.confusion_of()

    def confusion_of(
        self, target: str = "", *, split: str = "", normalize: str | None = None
    ) -> "pd.DataFrame":
        """Return counts, the mean over seeds, or shares of true (rows) by predicted classes.

        Args:
            target: a target; empty: the first.
            split: ``train``, ``val`` or ``test``; empty: test, else val.
            normalize: ``"true"`` divides each row by its sum, ``"pred"`` each column, ``"all"`` by
                all; None: counts.

        Raises:
            FitError: the target is not one of classes.
            OptionError: there is no such target, split or normalisation.
        """
        import pandas as pd

        counts, found, _ = confusion_counts(self.path, target or None, split)
        shares = normalised(counts, normalize) if normalize else counts
        classes = list(found.target.classes)
        frame = pd.DataFrame(shares, index=classes, columns=classes)
        return frame.rename_axis(index="label", columns="prediction")

    @property
    def plot(self) -> "Plots":
        """Plots of the run; each returns matplotlib's Axes, so that it can be changed and saved."""
        return Plots(self)

    def predict(
        self,
        clips: "Clips | pd.DataFrame | Sequence[str | Path] | None" = None,
        *,
        text: str | None = None,
        features: "str | Path | Store | Sequence[str | Path | Store]" = (),
        weights: Mapping[str, str | Path] = MappingProxyType({}),
        speaker: str = "",
        like: "str | Path | Sequence[str | Path]" = (),
        root: str | Path | None = None,
    ) -> "pd.DataFrame":
        """Predict new clips.

        Args:
            clips: a manifest, a DataFrame or the path of a table; or a folder of media, one media
                file, or a list of media files.
            text: what is said in the media file, or a text alone.
            features: a store, or several, with the clips' features; empty: extract them first.
            weights: recipe -> folder of its weights on this machine.
            speaker: the person who speaks in all clips, for a run that scales by speaker; empty:
                the column ``speaker`` of the clips counts.
            like: further media files of that person, or folders, which are not predicted.
            root: folder of the media of a table; None: the table's.

        Returns:
            One row a clip: ``id``, ``prediction``, a probability a class, and ``absent``, the
            streams that the clip lacks.

        Raises:
            EmoError: a clip cannot be decoded, or the run's recipes cannot be repeated here.
        """
        from emo.api.predicting import predict_frame

        options = [f"{recipe}.weights={folder}" for recipe, folder in weights.items()]
        return predict_frame(self.path, clips, text, features, options, speaker, like, root)

    @property
    def command(self) -> str:
        """The commands that make this run again: `emo extract …` for each recipe, `emo fit-head`.

        Paths are those of the machine that made the run.
        """
        return "\n".join(commands_of(self.document))

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know: splits that were cut, clips without features …"""
        return [str(note) for note in self.document.get("notes", [])]

    def __repr__(self) -> str:
        """Return the folder, the head and the streams, and below them the notes."""
        first = f"Run {self.path}: {self.document['head']['name']} on {', '.join(self._streams())}"
        return "\n".join([first, *(f"- {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        from html import escape

        table: str = self.scores.round(3).to_html(index=False)
        title, *notes = repr(self).split("\n")
        return f"<b>{escape(title)}</b>{table}" + "<br>".join(map(escape, notes))

    def _streams(self) -> list[str]:
        return list(self.document["streams"])

    def _target(self, name: str) -> dict[str, Any]:
        self._known(name)
        found: dict[str, Any] = next(
            each for each in self.document["targets"] if each["name"] == name
        )
        return found

    def _known(self, target: str) -> None:
        if target not in self.targets:
            raise OptionError(f"{self.path}: {plugins.unknown('target', target, self.targets)}")

    def _metrics(self, target: str) -> dict[str, Any]:
        self._known(target)
        if target == self.targets[0]:
            found = self.document["metrics"]
        else:
            found = self.document["metrics_of_others"][target]
        return dict(found) if "mean" not in found else {"all": found}


class Plots:
    """Plots of a run: ``run.plot.confusion()``, ``run.plot.curves()``."""

    def __init__(self, run: FittedRun) -> None:
        """Remember the run."""
        self._run = run

    def confusion(
        self,
        *,
        target: str = "",
        split: str = "",
        normalize: str | None = "true",
        fmt: str = "",
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw true by predicted classes.

        Args:
            target: a target; empty: the first.
            split: ``train``, ``val`` or ``test``; empty: test, else val.
            normalize: see :meth:`FittedRun.confusion_of`.
            fmt: format of the numbers, such as ``{:.0%}``; empty: shares as per cent, or counts.
            ax: where to draw; None: a new figure.

        Raises:
            FitError: the target is not one of classes.
        """
        import matplotlib.pyplot as plt

        counts = self._run.confusion_of(target, split=split)
        if ax is None:
            plan = plan_of(list(counts.index))
            ax = plt.subplots(figsize=(plan.width, plan.height), layout="constrained")[1]
        else:
            inches = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
            plan = plan_of(list(counts.index), width=inches.width, height=inches.height)
        draw_confusion(ax, counts.to_numpy(float), plan, normalize=normalize or "none", fmt=fmt)
        as_plain_text(ax)
        return ax

    def curves(self, *, ax: "Axes | None" = None) -> "Axes":
        """Draw the score on val by round, a line for each seed.

        Raises:
            FitError: the run has no curve, as cross-validations and single solutions.
        """
        import matplotlib.pyplot as plt

        curves, headline = curves_of(self._run.path)
        ax = ax or plt.subplots(layout="constrained")[1]
        for number, curve in enumerate(curves):
            draw_scores(ax, curve, colour=f"C{number}", label=f"seed {number}")
        finish_curves(ax, is_exact=is_exact(self._run.document))
        ax.set_ylabel(f"val_{headline}")
        as_plain_text(ax)
        return ax


def load_run(path: str | Path, *, head: "type[Head] | None" = None) -> FittedRun:
    """Open a run folder.

    Args:
        path: the folder.
        head: class of a head of your own. A run that names such a class is otherwise refused when
            it predicts, because a run of somebody else could name any code.

    Raises:
        FitError: the folder is no run, or of another head, or of this class before it was edited.
    """
    run = FittedRun(path)
    if head is not None:
        name = str(run.document["head"]["name"])
        own = plugins.lend(head_class(head))
        if name != own and name.rpartition(":")[2] != own.rpartition(":")[2]:
            raise FitError(f"{path}: its head is {name}, not {own}")
        check_code(run.path, run.document, head)
        plugins.lend(head, name=name)
    return run


def head_class(head: object) -> "type[Head]":
    """Return a class of a head that was handed over in Python.

    Raises:
        OptionError: it is something else.
    """
    if isinstance(head, type) and issubclass(head, Head):
        return head
    found = f"{head.__name__!r}" if isinstance(head, type) else f"{head!r}"
    raise OptionError(f"head: expected a class that inherits from emo.Head, got {found}")


def rerun(
    run: "str | Path | FittedRun",
    *,
    out: str | Path | None = None,
    clips: "Clips | pd.DataFrame | None" = None,
    features: "str | Path | Store | Sequence[str | Path | Store]" = (),
    root: str | Path | None = None,
    progress: bool | None = None,
) -> "RerunReport":
    """Do a run again with its options, and compare both.

    A manifest or store that is not given is looked for where it was, and else where the run was
    moved to.

    Args:
        run: a run, or its folder.
        out: folder of the new run; None: ``RUN-again`` beside it.
        clips: the manifest, a DataFrame or the path of a table; None: the run's manifest.
        features: a store, or several; empty: the run's.
        root: folder of the media.
        progress: whether to show a bar; None: in a terminal or a notebook.

    Returns:
        A report: ``differences`` of versions and features, ``scores`` before and now, ``is_same``.

    Raises:
        EmoError: the command `emo rerun` would end with this sentence.
    """
    from emo.api.store import locations
    from emo.heads.fitting.rerun import rerun as run_again

    path = run.path if isinstance(run, FittedRun) else Path(run)
    is_path = isinstance(clips, str | Path)
    manifest = Path(str(clips)) if is_path else None if clips is None else clips_of(clips)
    return run_again(
        path, Path(out) if out is not None else None, manifest=manifest,
        features=locations(features) if features else (),
        root=Path(root) if root is not None else None, progress=progress,
    )  # fmt: skip
