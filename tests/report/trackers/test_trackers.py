"""What trackers are told about runs, by a tracker that keeps it in a file."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest

from emo.heads.runs.files import read_document
from emo.report.trackers.tracked_runs import tracked_runs
from emo.report.trackers.tracker import Tracker
from tests.report.trackers.conftest import PRIVATE

FAKE = "tests.report.trackers.test_trackers:Fake"


class Fake(Tracker):
    """Keeps all runs in one file."""

    def write(self, project, runs):
        """Write the file."""
        found = [dataclasses.asdict(run) for run in runs]
        Path(f"{project}.json").write_text(json.dumps(found))
        return f"in {project}.json"


class Broken(Tracker):
    """Fails as a service may that does not answer."""

    def write(self, project, runs):
        """Raise an error that is none of emo's."""
        raise ConnectionError("no answer")


def test_a_run_a_seed_and_a_run_a_fold_and_nothing_private(tracked, emo):
    code, out, err = emo("log", tracked / "runs", "--to", FAKE, "--project", "thesis")
    assert (code, out) == (0, f"{FAKE}: 4 runs in 2 groups, in thesis.json\n"), err
    text = Path("thesis.json").read_text()
    assert [word for word in PRIVATE if word in text] == []
    runs = json.loads(text)
    assert [run["part"] for run in runs] == ["seed-0", "seed-1", "fold-1", "fold-2"]
    assert len({run["id"] for run in runs}) == 4
    assert len({run["group"] for run in runs}) == 2
    fit, folds = (read_document(tracked / "runs" / name) for name in ("fit", "folds"))
    test = fit["metrics"]["test"]
    for run, seed in zip(runs, ("0", "1"), strict=False):
        for score, mean in test["mean"].items():
            assert run["scores"][f"test/{score}"] == test["seeds"][seed][score]
            assert run["scores"][f"test/{score}.mean"] == mean
        low_and_high = [run["scores"][f"test/weighted_f1.{end}"] for end in ("low", "high")]
        assert low_and_high == test["interval"]["weighted_f1"]
        assert "test/weighted_f1.without fake/a" in run["scores"]
        assert [step["round"] for step in run["steps"]] == [1, 2, 3]
        assert run["facts"]["epochs"] == 3
        assert run["facts"]["fingerprint.fake/a"] == fit["streams"]["fake/a"]["fingerprint"]
    for run, fold in zip(runs[2:], folds["folds"]["each"], strict=True):
        assert run["scores"]["test/uar"] == fold["metrics"]["label"]["mean"]["uar"]


def test_seeds_that_are_all_the_same_are_one_run(tracked):
    assert [run.part for run in tracked_runs(tracked / "exact")] == ["seed-0"]


def test_a_run_keeps_its_id_and_other_options_have_another(tracked, tmp_path):
    first, again = (tracked_runs(tracked / "runs" / "fit") for _ in range(2))
    assert first == again
    shutil.copytree(tracked / "runs" / "fit", tmp_path / "fit")
    assert [run.id for run in tracked_runs(tmp_path / "fit")] == [run.id for run in first]
    document = read_document(tmp_path / "fit")
    document["options"]["epochs"] = 4
    document["options"]["init"] = ["/home/ann/secret-folder/runs/first"]
    document["head"]["options"]["weights"] = "data/secret-folder/w.pt"
    (tmp_path / "fit" / "run.json").write_text(json.dumps(document))
    other = tracked_runs(tmp_path / "fit")
    assert not {run.id for run in other} & {run.id for run in first}
    assert other[0].group != first[0].group
    assert other[0].facts["init"] == "first"
    assert other[0].facts["head.weights"] == "w.pt"


def fit(emo, folder, *words):
    return emo("fit-head", folder / "m.csv", "--features", folder / "features", "--head", "linear",
               "-o", "solver=ridge", "--stream", "fake/a", "--threads", 1, "--out", "runs/x",
               *words)  # fmt: skip


def test_a_fit_is_reported_and_a_tracker_that_fails_does_not_fail_it(tracked, emo):
    code, out, err = fit(emo, tracked, "--report-to", f"{__name__}:Broken, {FAKE}")
    assert code == 0, err
    assert f"{FAKE}: 1 run in 1 group, in emo.json" in out
    assert "emo: warning: --report-to" in err
    assert "no answer (ConnectionError); the run is written: emo log runs/x --to" in err
    assert Path("runs/x/run.json").is_file()
    assert json.loads(Path("emo.json").read_text())[0]["part"] == "seed-0"


def test_a_tracker_that_there_is_not_is_said_before_the_fit(tracked, emo):
    code, _, err = fit(emo, tracked, "--report-to", "wandbb")
    assert (code, "--report-to: unknown tracker 'wandbb'; did you mean 'wandb'?" in err) == (
        1,
        True,
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_a_library_that_is_not_installed_is_one_line(name, tracked, emo, monkeypatch):
    monkeypatch.delitem(sys.modules, f"emo.report.trackers.library.{name}", raising=False)
    for module in [name, *(each for each in sys.modules if each.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    code, _, err = emo("log", tracked / "exact", "--to", name)
    assert (code, err.count("\n")) == (1, 1)
    assert f"pip install 'emo-pipeline[{name}]'" in err


def test_a_folder_that_is_no_run_is_one_line(emo, tmp_path):
    code, _, err = emo("log", tmp_path, "--to", FAKE)
    assert (code, "is no run folder" in err, err.count("\n")) == (1, True, 1)


def test_trackers_are_listed_without_their_libraries(emo):
    code, out, _ = emo("list", "trackers")
    assert code == 0
    assert all(name in out for name in ("mlflow", "tensorboard", "wandb"))
