"""Runs that W&B, MLflow and TensorBoard write themselves, without network, and read back."""

import dataclasses
import getpass
import socket
import struct
from collections import Counter
from pathlib import Path

import pytest

from emo.heads.runs.files import read_document
from emo.report.trackers.log import log_runs
from emo.report.trackers.tracked_runs import tracked_runs
from tests.report.trackers.conftest import PRIVATE

pytestmark = [
    pytest.mark.trackers,
    pytest.mark.filterwarnings("default"),  # those of the libraries
]
USER = "user-ann-example"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty folder in which nobody is logged in."""
    folder = tmp_path / "secret-folder"
    (folder / "home").mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.setenv("HOME", str(folder / "home"))
    return folder


def expected(tracked):
    """The ids of all parts, and the scores of the fit's first seed."""
    runs = [run for name in ("fit", "folds") for run in tracked_runs(tracked / "runs" / name)]
    return {run.id for run in runs}, runs[0]


def assert_nothing_private(*files):
    """Search all bytes for ids, people, paths, the user and the machine."""
    words = [*PRIVATE, USER, socket.gethostname(), str(Path.cwd()), getpass.getuser()]
    assert files
    for file in files:
        data = file.read_bytes()
        found = [word for word in words if len(word) > 4 and word.encode() in data]
        assert not found, file


def test_wandb(tracked):
    pytest.importorskip("wandb")
    ids, first = expected(tracked)
    for _ in range(2):
        line = log_runs([tracked / "runs"], "wandb", project="thesis")
    assert line.startswith(
        "wandb: 4 runs in 2 groups, send them with: wandb sync wandb/offline-run-*"
    )
    folders = list(Path("wandb").glob("offline-run-*"))
    assert len(folders) == 4
    assert {folder.name.rpartition("-")[2] for folder in folders} == ids
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert_nothing_private(*files)
    assert not any("requirements" in file.name for file in files)
    groups = Counter()
    for file in (file for file in files if file.suffix == ".wandb"):
        records = list(wandb_records(file))
        (run,) = [each.run for each in records if each.WhichOneof("record_type") == "run"]
        assert run.project == "thesis"
        assert not run.host
        groups[run.run_group] += 1
        rounds = [each for each in records if each.WhichOneof("record_type") == "history"]
        if run.run_id == first.id:
            assert len(rounds) == len(first.steps)
            summary = {
                item.key or "/".join(item.nested_key): float(item.value_json)
                for each in records if each.WhichOneof("record_type") == "summary"
                for item in each.summary.update if item.value_json[:1].isdigit()
            }  # fmt: skip
            assert first.scores.items() <= summary.items()
            config = {item.key: item.value_json for item in run.config.update}
            assert config["head"] == '"mean_pool"'
    assert groups == {first.group: 2, tracked_runs(tracked / "runs" / "folds")[0].group: 2}


def wandb_records(path):
    """Read the records of a .wandb file, which is a log of LevelDB, with the library's messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, pending, block = path.read_bytes(), 7, b"", 32768
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        pending += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            record = Record()
            record.ParseFromString(pending)
            yield record
            pending = b""


def test_mlflow(tracked):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    ids, first = expected(tracked)
    lines = {log_runs([tracked / "runs"], "mlflow", project="thesis") for _ in range(2)}
    assert lines == {
        "mlflow: 4 runs in 2 groups, see them with: mlflow server --backend-store-uri "
        "sqlite:///mlflow.db"
    }
    client = MlflowClient("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("thesis")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["emo.id"] for run in runs} == ids
    assert len(runs) == 4
    (run,) = [run for run in runs if run.data.tags["emo.id"] == first.id]
    assert first.scores.items() <= run.data.metrics.items()
    assert run.data.params["head"] == "mean_pool"
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == len(first.steps)
    assert_nothing_private(Path("mlflow.db"))
    assert [each.name for each in Path().iterdir() if each.is_dir()] == ["home"]

    document = read_document(tracked / "runs" / "fit")
    assert run.data.metrics["test/uar.mean"] == document["metrics"]["test"]["mean"]["uar"]


def test_mlflow_replaces_a_run_that_holds_other_numbers(tracked):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    from emo.report.trackers.library.mlflow import MLflow

    first = tracked_runs(tracked / "runs" / "fit")[0]
    other = dataclasses.replace(first, scores={**first.scores, "test/uar": 0.125})
    for run in (first, other):
        MLflow().write("emo", [run])
    client = MlflowClient("sqlite:///mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("emo").experiment_id])
    assert found.data.tags["emo.id"] == first.id
    assert found.data.metrics["test/uar"] == 0.125


def test_tensorboard(tracked):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    ids, first = expected(tracked)
    written = []
    for _ in range(2):
        log_runs([tracked / "runs"], "tensorboard", project="thesis")
        files = sorted(Path("tensorboard").rglob("events*"))
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    assert {file.suffix[1:] for file in files} == ids
    assert len(files) == 4
    assert_nothing_private(*files)
    (folder,) = [file.parent for file in files if file.suffix == f".{first.id}"]
    assert folder == Path("tensorboard", "thesis", first.group, "seed-0")
    read = EventAccumulator(str(folder))
    read.Reload()
    scalars = {name: [(e.step, e.value) for e in read.Scalars(name)]
               for name in read.Tags()["scalars"]}  # fmt: skip
    for name, value in first.scores.items():
        assert scalars[name] == [(0, pytest.approx(value, abs=1e-6))]
    assert [step for step, _ in scalars["val_loss"]] == [step.round for step in first.steps]
    assert (
        "hparams" in read.summary_metadata["_hparams_/session_start_info"].plugin_data.plugin_name
    )
