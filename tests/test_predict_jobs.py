"""Parts of predictions by an executor, and extraction on the way: each clip once, the same bits."""

import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from emo.errors import EmoError
from emo.extract import resume
from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.executors._parts import ClaimedParts
from emo.extract.executors.local import Local, LocalOptions
from emo.extract.job import journal as journals
from emo.extract.job.files import claims as claim_file
from emo.extract.job.files.claims import Claims
from emo.extract.job.files.files_of import files_of
from emo.extract.job.folder import open_job
from emo.extract.job.journal import Journal
from emo.extract.job.missing import missing_parts
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.runs import chunks
from emo.predict.scale import chunked_manifest
from emo.predict.scale.part_job import PartJobs
from emo.predict.scale.to_parts import predict_to_parts
from emo.store import PartWriter, Store
from emo.store.backend.location import file_names, location
from tests import fake_slurm
from tests.make_batches import learnable, make_manifest, make_store

CLIPS = 60


class Here(Executor):
    """Runs the parts in this process, so that tests need not wait for another one."""

    def __init__(self, workers, options):
        pass

    def run(self, folder, parts, progress, *, is_dry_run=False):
        return Local(None, LocalOptions()).run(folder, parts, progress)


class OnDisk(Here):
    """Needs the job folder on a disk, as Slurm does."""

    needs_disk = True


HERE = PartJobs(f"{__name__}:Here")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on clips, one on dialogues, and one on tokens of other clips; c5 failed."""
    folder = tmp_path_factory.mktemp("jobs")
    labels, tokens = learnable(CLIPS)
    tokens["c5"].clear()
    store = make_store(folder / "features", tokens)
    splits = ["train"] * 40 + ["val"] * 20
    options = FitOptions(
        "linear",
        head_options={"solver": "ridge", "penalties": "3", "fusion": "late"},
        threads=1,
        allow_missing=0.2,
    )
    fit_head(make_manifest(labels, split=splits), [store], folder / "run", options)
    dialogues = [f"d{row % 7}{row > 39}" for row in range(CLIPS)]
    turns = [row // 7 for row in range(CLIPS)]
    given = make_manifest(labels, split=splits, dialogue=dialogues, turn=turns)
    of_dialogues = FitOptions.of(head="dialogue_bilstm", epochs=1, threads=1, allow_missing=0.2)
    fit_head(given, [store], folder / "dialogues", of_dialogues)
    other = [f"c{row // 2}" for row in range(CLIPS)]
    rows = tuple(
        replace(clip, targets={**clip.targets, "other": name})
        for clip, name in zip(given.clips, other, strict=True)
    )
    named = options.replace(streams=("fake/a@other",))
    fit_head(replace(given, clips=rows), [store], folder / "shared", named)
    pd.DataFrame(
        {"id": [f"c{row}" for row in range(CLIPS)], "text": "secret", "dialogue": dialogues,
         "turn": turns, "other": other}
    ).to_parquet(folder / "m.parquet")  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Chunks of 16 clips, or of the dialogues that fill them; passes of 2 dialogues."""
    monkeypatch.setattr(chunks, "CHUNK_CLIPS", 16)
    monkeypatch.setattr(chunked_manifest, "CHUNK_CLIPS", 16)
    monkeypatch.setattr(chunks, "EVALUATED_DIALOGUES", 2)


def predict(made, out, run="run", jobs=HERE, features=None):
    return predict_to_parts(
        made / run, made / "m.parquet", [features or made / "features"], f"{out}/", columns={},
        jobs=jobs,
    )  # fmt: skip


def parts_of(report):
    return {path.name: path.read_bytes() for path in Path(report.out).rglob("part-*.parquet")}


@pytest.mark.parametrize("run", ["run", "dialogues", "shared"])
def test_the_parts_of_a_job_are_those_of_one_process(made, tmp_path, run):
    alone = predict(made, tmp_path / "a", run, PartJobs())
    report = predict(made, tmp_path / "b", run)
    assert parts_of(report) == parts_of(alone)
    assert report.parts == report.written > 1
    assert (report.counts, report.failures, report.exit_code) == (
        alone.counts, alone.failures, 3,
    )  # fmt: skip
    folder = open_job(tmp_path / "b")
    assert "secret" not in (folder.path / "parts.jsonl").read_text()
    assert folder.journals() == {}
    metrics = (folder.path / "metrics.prom").read_text()
    assert f'outcome="failed"}} {len(alone.failures)}\n' in metrics
    for path in list(Path(report.out).glob("*.parquet"))[:1]:
        path.unlink()
    again = predict(made, tmp_path / "b", run)
    assert (again.written, parts_of(again)) == (1, parts_of(alone))
    assert predict(made, tmp_path / "b", run).written == 0


def test_slurm_does_the_parts_as_tasks_of_a_job(made, tmp_path, emo, monkeypatch):
    commands = fake_slurm.install(tmp_path, runs=False)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    words = ["predict", made / "run", "--manifest", made / "m.parquet", "--features",
             made / "features", "--out", "parts/", "--executor", "slurm"]  # fmt: skip
    code, out, err = emo(*words, "--time", "1:00:00", "--parts-per-task", 2)
    assert (code, "submitted 100" in out) == (0, True), err
    assert "how far it is: emo job status parts/.jobs/0001" in out
    (tmp_path / "queue").write_text("100 0 RUNNING\n100 1 PENDING\n")
    code, _, err = emo(*words)
    assert (code, "60 of these clips are in Slurm's queue already" in err) == (1, True)
    assert emo(*words, "--anyway")[0] == 0
    (tmp_path / "queue").unlink()
    script = (tmp_path / "parts/.jobs/0001/slurm.sh").read_text()
    assert "\n#SBATCH --time=1:00:00\n" in script
    assert f"-m emo job run {tmp_path}/parts/.jobs/0001 --part " in script

    def run_here(folder, parts, progress, **_):
        return Here(None, None).run(folder, parts, progress)

    monkeypatch.setattr(resume, "run_supervised", run_here)
    code, out, err = emo("job", "run", "parts/.jobs/0001", "--part", "0-1")
    assert (code, "did 32 clips of 2 parts; store: parts" in out) == (3, True), err
    assert "failed: c5 (predict): broken" in out
    assert "4: 2 done, 0 running, 2 to do" in emo("job", "status", "parts")[1]
    assert "did 28 clips of 2 parts" in emo("job", "resume", "parts", "--executor",
                                            f"{__name__}:Here")[1]  # fmt: skip
    code, out, _ = emo(*words)
    assert (code, "60 clips in 4 parts, 0 written now" in out) == (3, True)


def test_parts_in_a_bucket_are_done_by_workers_too(made, tmp_path, bucket, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = predict(made, tmp_path / "a", jobs=PartJobs())
    report = predict(made, f"{bucket}/p")
    assert (report.written, report.counts) == (4, alone.counts)
    for name, data in parts_of(alone).items():
        if name not in {path.name for path in Path(alone.out).glob("_failures/*")}:
            assert (location(report.out) / name).read_bytes() == data
    folder = open_job(f"{bucket}/p")
    assert str(folder.path) == f"{bucket}/p/.jobs/0001"
    assert list(missing_parts(folder)) == []
    assert not (tmp_path / "emo-jobs").exists()
    (location(report.out) / sorted(parts_of(alone))[0]).unlink()
    report = predict(made, f"{bucket}/p", jobs=PartJobs(f"{__name__}:OnDisk"))
    assert (report.written, report.job) == (1, str(next(tmp_path.glob("emo-jobs/*/0001"))))
    assert predict(made, f"{bucket}/p").written == 0


@pytest.fixture
def _worker_here(monkeypatch):
    """`emo job work` does its parts in this process, one after the other, as they are claimed."""

    def run_here(folder, parts, progress, **_):
        report = JobReport()
        while (part := parts.take()) is not None:
            done = Here(None, None).run(folder, [part], progress)
            report.add(done.clips, done.failures, done.work)
            parts.finished(part)
        return report

    monkeypatch.setattr(resume, "run_supervised", run_here)


@pytest.mark.usefixtures("_worker_here")
def test_a_run_in_a_bucket_is_copied_by_each_machine(made, tmp_path, bucket, emo, monkeypatch):
    far, run = location(bucket) / "runs" / "first", made / "run"
    for path in filter(Path.is_file, run.iterdir()):
        (far / path.name).write_bytes(path.read_bytes())
    words = ("predict", f"{far}/", "--manifest", made / "m.parquet", "--features",
             made / "features", "--out", f"{bucket}/p", "--executor")  # fmt: skip
    code, _, err = emo(*words, "queue")
    assert code == 0, err
    job = open_job(f"{bucket}/p").path
    assert json.loads((job / "job.json").read_bytes())["files"]["options"]["run"] == str(far)
    assert str(tmp_path / "cache").encode() not in (job / "job.json").read_bytes()
    shutil.rmtree(tmp_path / "cache")
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("EMO_CACHE", str(elsewhere))  # a worker on another machine
    assert "did 60 clips of 4 parts" in emo("job", "work", f"{bucket}/p")[1]
    assert not (tmp_path / "cache").exists()
    assert len(list(elsewhere.glob("runs/*/*/first/run.json"))) == 1
    report = predict(made, f"{bucket}/p")
    assert report.written == 0  # the run has the same hash here
    (location(report.out) / file_names(location(report.out))[0]).unlink()
    (far / "run.json").write_bytes((run / "run.json").read_bytes() + b"\n")
    assert f"{far}: the run is another one than when" in emo("job", "work", f"{bucket}/p")[2]
    assert "4 written now" in emo(*words, f"{__name__}:Here")[1]  # those of another run


@pytest.mark.usefixtures("_worker_here")
def test_workers_of_a_queue_share_the_parts_and_take_over_those_of_a_killed_one(
    made, tmp_path, bucket, emo, monkeypatch
):
    out = f"{bucket}/p"
    words = ("predict", made / "run", "--manifest", made / "m.parquet", "--features",
             made / "features", "--out", out)  # fmt: skip
    code, said, err = emo(*words, "--executor", "queue")
    assert (code, f"start workers, here and elsewhere: emo job work {out}/.jobs/0001" in said) == (
        0, True,
    ), err  # fmt: skip
    assert f"how far it is: emo job status {out}/.jobs/0001" in said
    folder = open_job(out)
    with monkeypatch.context() as patched:  # a worker on another machine does a part and is killed
        for module in (journals, claim_file):
            patched.setattr(module, "me", lambda: "node9.0badcafe/77.1/abcdef")
        claims = Claims(folder.path).__enter__()
        theirs = ClaimedParts(folder, claims, list(folder.parts))
        first, second = theirs.take(), theirs.take()
        Here(None, None).run(folder, [first], Progress())
        theirs.finished(first)
        claims._is_closed.set()
    assert "4: 1 done, 0 running, 3 to do" in emo("job", "status", out)[1]
    with Claims(folder.path) as claims:  # it is thought alive for a while
        waiting = ClaimedParts(folder, claims, [first, second])
        assert (waiting.take(), waiting.is_over()) == (None, False)
    monkeypatch.setattr(journals, "FRESH_SECONDS", -2)
    code, said, err = emo("job", "work", out)
    assert (code, f"of 3 parts; store: {out}" in said) == (3 if first else 0, True), err
    assert sorted(files_of(folder.path / "claims").claims(f"{second:06}")) == [0, 1]
    assert emo("job", "work", out)[:2] == (0, f"nothing to do; store: {out}\n")
    report = predict(made, out)
    assert report.written == 0
    alone = predict(made, tmp_path / "alone", jobs=PartJobs())
    names = {path.name for path in Path(alone.out).glob("*.parquet")}
    place = location(report.out)
    assert {name for name in file_names(place) if name.endswith(".parquet")} == names
    ids = [pd.read_parquet(io.BytesIO((place / name).read_bytes()))["id"] for name in names]
    assert sorted(pd.concat(ids)) == sorted({f"c{row}" for row in range(CLIPS)} - {"c5"})
    assert all((place / name).read_bytes() == (Path(alone.out) / name).read_bytes()
               for name in names)  # fmt: skip


def test_a_job_whose_run_or_features_changed_says_so(made, tmp_path):
    _, tokens = learnable(CLIPS)
    tokens["c20"].clear()
    store = make_store(tmp_path / "features", tokens)

    class Later(Here):
        def run(self, folder, parts, progress, *, is_dry_run=False):
            stored = Store(store).recipes["fake"]
            with PartWriter(stored.path, stored.recipe, attempt=1) as part:
                part.add("c20", learnable(CLIPS)[1]["c20"])
            return super().run(folder, parts, progress)

    from emo import plugins

    later = PartJobs(plugins.lend(Later, name="later:Later"))
    with pytest.raises(EmoError, match=r"part 1 .* changed since the job was planned"):
        predict(made, tmp_path / "p", jobs=later, features=store)
    assert open_job(tmp_path / "p").journals() == {}  # an error is no death
    assert predict(made, tmp_path / "p", features=store).written == 3
    path = open_job(tmp_path / "p").path / "job.json"
    document = json.loads(path.read_text())
    document["files"]["options"]["hash"] = "0" * 16
    path.write_text(json.dumps(document))
    with pytest.raises(EmoError, match="the run is another one than when"):
        Here(None, None).run(open_job(tmp_path / "p"), [0], resume.JobReport())
    document["files"]["options"]["run"] = str(tmp_path / "nowhere")
    path.write_text(json.dumps(document))
    with pytest.raises(EmoError, match=r"nowhere is no run folder on this machine; .* bucket"):
        Here(None, None).run(open_job(tmp_path / "p"), [0], resume.JobReport())
    document["files"]["maker"] = "elsewhere"
    path.write_text(json.dumps(document))
    with pytest.raises(EmoError, match="unknown kind of job 'elsewhere'"):
        Here(None, None).run(open_job(tmp_path / "p"), [0], resume.JobReport())


def test_a_journal_lists_the_clips_in_hand_by_which_a_death_is_noticed(made, tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(Journal, "begin", lambda self, ids: begun.append(list(ids)))
    predict(made, tmp_path / "p")
    assert sorted(len(ids) for ids in begun) == [12, 16, 16, 16]


def test_lacking_features_are_extracted_on_the_way(emo, tmp_path):
    labels = ["joy", "anger"] * 10
    frame = pd.DataFrame(
        {"id": [f"c{row}" for row in range(20)],
         "text": ["so happy" if label == "joy" else "very cross" for label in labels],
         "label": labels, "split": ["train"] * 14 + ["val"] * 6}
    )  # fmt: skip
    frame.to_csv("old.csv", index=False)
    (tmp_path / "new.csv").write_text(
        "id,text\nc3,so happy\nn1,so cross\nn2,very happy\nn3,!raise\n"
    )
    letters = ("--backbone", "tests.make_backbone:Letters")
    assert emo("extract", "old.csv", *letters, "--out", "features")[0] == 0
    fit = ("fit-head", "old.csv", "--features", "features", "--head", "linear",
           "-o", "solver=ridge", "--out", "run")  # fmt: skip
    assert emo(*fit)[0] == 0
    words = ("predict", "run", "--manifest", "new.csv", "--allow-code", "--features")
    code, out, err = emo(*words, "features", "--out", "p/")
    assert code == 3, err
    assert "failed: n1: not in the store; run emo extract, or emo predict with --extract" in out
    code, out, err = emo(*words, "features", "--out", "p/", "--extract")
    assert (code, "4 clips in 1 part, 1 written now" in out) == (3, True), err
    assert "failed: n3: this clip asked to fail" in out
    assert set(Store("features").ids("letters")) >= {"n1", "n2"}
    (part,) = (tmp_path / "p").glob("run=*/part-*.parquet")
    assert pd.read_parquet(part)["id"].tolist() == ["c3", "n1", "n2"]
    code, out, _ = emo(*words, "features", "--out", "p/", "--extract")
    assert (code, "0 written now" in out) == (3, True)
    assert emo(*words, "fresh", "--out", "q/", "--extract")[0] == 3  # a store that it makes
    assert emo(*words, "other", "--out", "q.csv", "--extract")[0] == 3
    assert pd.read_csv("q.csv")["id"].tolist() == ["c3", "n1", "n2"]
    code, out, _ = emo(*words, "late", "--out", "s/", "--extract", "--executor", "queue")
    assert (code, "start workers, here and elsewhere: emo job work late/.jobs/0001" in out) == (
        0, True,
    )  # fmt: skip
    assert "features are extracted first" in out
    assert emo(*words[:-1], "--out", "r/", "--extract")[0] == 2
    assert emo(*words, "features", "--out", "q.csv", "--workers", 2)[0] == 2
