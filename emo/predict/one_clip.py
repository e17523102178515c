"""Predict one media file, or a text alone."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo.errors import FitError, MediaError, line_of
from emo.heads.runs.predictions import MANY_CLASSES, MOST_PROBABLE
from emo.heads.runs.run import Run, absent_of, stored_tokens
from emo.machine.table import format_table, json_text
from emo.manifest import Clip, Manifest
from emo.predict.features import features_of
from emo.predict.person import EVERYONE, Person, speakers_and_notes
from emo.predict.predicted import label_of


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of one clip."""

    clip_id: str
    target: str
    """Name of the run's first target, such as ``emotion``."""
    label: str
    """The most probable class; for a multilabel target, all classes with probability > 0.5."""
    probabilities: dict[str, float]
    """Class -> probability in [0, 1]."""
    absent: dict[str, str]
    """Stream that the clip lacks -> reason."""
    others: dict[str, dict[str, float]] = field(default_factory=dict)
    """Each further target of the run, except pair targets -> class -> probability."""
    notes: tuple[str, ...] = ()
    """Notes on the clip's speaker, of a run that scales by speaker."""

    def table(self) -> str:
        """Return a text table, classes from the most to the least probable."""
        tables = []
        for target, shares in {self.target: self.probabilities, **self.others}.items():
            ranked = sorted(shares.items(), key=lambda item: -item[1])
            more = len(ranked) - MOST_PROBABLE if len(ranked) > MANY_CLASSES else 0
            ranked = ranked[: len(ranked) - more]
            tables.append(
                format_table([{target: name, "probability": share} for name, share in ranked])
                + (f"\nand {more:,} less probable classes (--json prints all)" if more else "")
            )
        notes = [line_of(f"without {stream}: {reason}") for stream, reason in self.absent.items()]
        notes += [line_of(f"- {note}") for note in self.notes]
        return "\n".join(["\n\n".join(tables), *notes])

    def json(self) -> str:
        """Return one line of JSON with id, target, label, probabilities, others, absent.

        ``notes`` is added if there are any.
        """
        document = {
            "id": self.clip_id, "target": self.target, "label": self.label,
            "probabilities": self.probabilities, "others": self.others, "absent": self.absent,
        }  # fmt: skip
        return json_text(document | ({"notes": self.notes} if self.notes else {}))


def predict_file(
    run_path: Path,
    media: Path | None,
    text: str | None,
    *,
    options: Sequence[str] = (),
    person: Person = EVERYONE,
) -> Prediction:
    """Predict class probabilities of one video or audio file, or of a text alone.

    Args:
        run_path: a folder from ``emo fit-head``.
        media: the file; None: text alone.
        text: what is said in it.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.
        person: the speaker of the clip, and further clips.

    Raises:
        EmoError: the file does not exist or cannot be decoded, or the run's recipes cannot be
            repeated on this machine.
    """
    if media is not None and not media.is_file():
        raise MediaError(f"{media}: no such file")
    run = Run.load(run_path)
    clip_id = str(media) if media else "text"
    clip = Clip(clip_id, video=media.name if media else None, text=text)
    root = media.absolute().parent if media else Path.cwd()
    manifest = Manifest(path=root, root=root, clips=(clip,), sha256="")
    manifest = person.added_to(manifest, run)
    with tempfile.TemporaryDirectory(prefix="emo-predict-") as folder:
        store, failures = features_of(run, manifest, (), Path(folder), options, progress=False)
        clips = [each for each in manifest.clips if each.id not in failures]
        streams, bare = stored_tokens(run, clips, store)
        failures |= bare
        if clip_id in failures:
            raise MediaError(f"{clip_id}: {failures[clip_id]}")
        clips = [each for each in clips if each.id not in failures]
        speakers, notes = speakers_and_notes(run, clips, streams, person=person, failures=failures)
        streams = {name: tokens.select([0]) for name, tokens in streams.items()}
        tables = run.predict_all(streams, speakers=speakers and speakers.select([0]))
        absent = absent_of(run, clip, store)
    return prediction_of(run, clip_id, tables, absent, notes)


def prediction_of(
    run: Run,
    clip_id: str,
    tables: Mapping[str, np.ndarray],
    absent: dict[str, str],
    notes: tuple[str, ...],
) -> Prediction:
    """Return what a run predicts of one clip as a :class:`Prediction`.

    Args:
        run: the run.
        clip_id: id of the clip.
        tables: target -> probabilities float32 (1, C), from :meth:`Run.predict_all`.
        absent: stream that the clip lacks -> reason; those that the head does not read are not
            told.
        notes: notes on the clip's speaker.

    Raises:
        FitError: the first target of the run is of pairs of turns.
    """
    check_one_clip(run)
    shares = {
        target.name: dict(
            zip(target.classes or (target.name,), tables[target.name][0].tolist(), strict=True)
        )
        for target in run.targets
        if target.task != "pairs"
    }
    first = run.targets[0]
    label = label_of(first, tables[first.name][0]) if first.classes else first.name
    absent = {name: why for name, why in absent.items() if name in run.head.read_streams}
    return Prediction(clip_id, run.target, label, shares.pop(run.target), absent, shares, notes)


def check_one_clip(run: Run) -> None:
    """Raise FitError if the first target of a run is of pairs of turns, which one clip lacks."""
    if run.targets[0].task == "pairs":
        raise FitError(
            f"{run.path}: its first target, {run.target}, is a target of pairs of turns, which "
            "needs a whole dialogue; give it with --manifest"
        )
