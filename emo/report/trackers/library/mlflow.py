"""MLflow: a run for each seed or fold, in ``mlflow.db`` or at ``MLFLOW_TRACKING_URI``."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# read when mlflow is imported; with its own 7 retries a dead server would take minutes
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import alembic  # noqa: F401 - mlflow-skinny leaves out both, which its databases need
import sqlalchemy  # noqa: F401
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from emo.errors import OptionError, line_of
from emo.machine.untrusted.documents import shortened
from emo.report.trackers.tracker import TrackedRun, Tracker

FILE = "mlflow.db"
_ID, _GROUP, _PART = "emo.id", "emo.group", "emo.part"
"""Tags of a run."""
_NO_ARTIFACTS = "mlflow-artifacts:/emo"
"""Location of the artifacts, which there are none of; MLflow would note the current folder."""
_BATCH = 900
"""Numbers that are sent at once; MLflow takes 1,000 at most."""
_MOST_PARAMS = 90
"""Options that are sent at once; MLflow takes 100 at most."""
_LONGEST = 500
"""Letters of an option's value that are kept."""


class MLflow(Tracker):
    """MLflow: a run for each seed or fold in the SQLite file mlflow.db, or on a server.

    ``MLFLOW_TRACKING_URI`` names the server or another database.
    """

    def write(self, project: str, runs: Sequence[TrackedRun]) -> str:
        """Write a run of MLflow for each run; one that holds other numbers is replaced.

        Raises:
            OptionError: the server or database cannot be reached, or refuses.
        """
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{FILE}"
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        if uri == f"sqlite:///{FILE}" and not Path(FILE).exists():
            _make_database(uri)
        client = MlflowClient(uri)
        try:
            experiment = _experiment(client, project, is_local=uri.startswith("sqlite:"))
            for run in runs:
                _write(client, experiment, run)
        except MlflowException as error:
            raise OptionError(f"MLflow: {shortened(line_of(str(error)))}") from error
        if uri != f"sqlite:///{FILE}":
            return f"at MLFLOW_TRACKING_URI, experiment {project}"
        return f"see them with: mlflow server --backend-store-uri {uri}"


def _make_database(uri: str) -> None:
    """Make the tables of a new database, whose first experiment names no folder of this machine."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    make: Any = SqlAlchemyStore
    make(uri, _NO_ARTIFACTS)


def _experiment(client: Any, project: str, *, is_local: bool) -> str:
    """Return the id of the experiment of this name, which is made if it is not there."""
    found = client.get_experiment_by_name(project)
    if found is not None:
        return str(found.experiment_id)
    root = _NO_ARTIFACTS if is_local else None  # a server decides itself
    return str(client.create_experiment(project, artifact_location=root))


def _write(client: Any, experiment: str, run: TrackedRun) -> None:
    """Write one run, or nothing where MLflow has it already with the same numbers.

    MLflow keeps every value of a metric, so that other numbers are a new run, and the earlier one
    is deleted. The tag ``emo.id`` stays the same.
    """
    when = int(run.written_seconds * 1000)
    metrics = [
        *(Metric(_name(name), value, when, 0) for name, value in run.scores.items()),
        *(
            Metric(_name(name), value, when, step.round)
            for step in run.steps
            for name, value in step.values.items()
        ),
    ]
    earlier = client.search_runs([experiment], f"tags.`{_ID}` = '{run.id}'")
    if any(_numbers(client, each) == _sorted(metrics) for each in earlier):
        return
    for each in earlier:
        client.delete_run(each.info.run_id)
    made = client.create_run(
        experiment, start_time=when, run_name=f"{run.group}/{run.part}",
        tags={_ID: run.id, _GROUP: run.group, _PART: run.part},
    ).info.run_id  # fmt: skip
    params = [Param(_name(name), str(value)[:_LONGEST]) for name, value in run.facts.items()]
    for start in range(0, len(params), _MOST_PARAMS):
        client.log_batch(made, params=params[start : start + _MOST_PARAMS])
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(made, metrics=metrics[start : start + _BATCH])
    client.set_terminated(made, end_time=when)


def _numbers(client: Any, run: Any) -> list[tuple[str, int, float]]:
    """Return all numbers of a run that MLflow has."""
    return _sorted(
        each
        for name in run.data.metrics
        for each in client.get_metric_history(run.info.run_id, name)
    )


def _sorted(metrics: Any) -> list[tuple[str, int, float]]:
    """Return name, step and value of metrics in a fixed order."""
    return sorted((each.key, each.step, each.value) for each in metrics)


def _name(name: str) -> str:
    """Return a name in which letters that MLflow refuses are ``_``."""
    return re.sub(r"[^/\w.\- :]", "_", name)
