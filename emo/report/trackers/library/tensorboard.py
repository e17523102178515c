"""TensorBoard: an event file for each seed or fold, in ``tensorboard/PROJECT/RUN/``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from emo.errors import FitError
from emo.machine.whole_file import whole_file
from emo.report.trackers.tracker import TrackedRun, Tracker

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """Event files for TensorBoard, with curves, scores and options, written without a service.

    The names of the files of TensorBoard's own writer hold the name of the machine; these do not.
    """

    def write(self, project: str, runs: Sequence[TrackedRun]) -> str:
        """Write an event file for each run; that of an earlier log is replaced."""
        for run in runs:
            folder = Path(FOLDER, project, run.group, run.part)
            folder.mkdir(parents=True, exist_ok=True)
            with (
                whole_file(folder / f"events.out.tfevents.{run.id}", FitError) as unfinished,
                unfinished.open("wb") as file,
            ):
                writer = RecordWriter(file)
                for event in _events(run):
                    writer.write(event.SerializeToString())
        return f"see them with: tensorboard --logdir {FOLDER}"


def _events(run: TrackedRun) -> Iterator[Event]:
    """Iterate over the events of a run; all have the time at which it was written."""
    when = run.written_seconds
    yield Event(wall_time=when, file_version="brain.Event:2")
    options = hparams_pb(dict(run.facts), trial_id=run.id, start_time_secs=when)
    yield Event(wall_time=when, step=0, summary=options)
    for step in run.steps:
        yield Event(wall_time=when, step=step.round, summary=_scalars(step.values))
    yield Event(wall_time=when, step=0, summary=_scalars(run.scores))


def _scalars(values: Mapping[str, float]) -> Summary:
    """Return numbers as TensorBoard keeps them."""
    return Summary(
        value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
    )
