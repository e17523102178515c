"""Which stage limits: artificial slow stages show as busy, the others as idle."""

import time

import pytest

from emo.extract.executor import EXIT_FAILED_CLIPS
from emo.extract.job import timings
from emo.extract.job.logs import log_facts
from emo.extract.job.request import requests_from_words
from emo.extract.job.timings import (
    STAGES,
    StageTotals,
    WorkTotals,
    advice,
    limiting,
    stage_lines,
    stage_table,
)
from emo.extract.run import ExtractOptions, extract
from emo.extract.worker import encode
from emo.extract.worker.decoding import prepare
from emo.extract.worker.decoding.face_stage import FaceStage, StageClock
from emo.extract.worker.meter import StageMeter
from emo.manifest import Clip, Manifest

REQUESTS = requests_from_words(["tests.make_backbone:Letters"])
CLIPS = 16


def run(root, **options):
    clips = tuple(Clip(f"c{k}", text="ab" if k else "!raise") for k in range(CLIPS))
    manifest = Manifest(root / "m.csv", root, clips, "")
    options = ExtractOptions(part_clips=8, batch_clips=2, **options)
    report = extract(manifest, root / "store", REQUESTS, options, progress=False)
    assert report.exit_code == EXIT_FAILED_CLIPS
    return report


def slowed(monkeypatch, name, seconds):
    module = encode if name == "encode_batch" else prepare
    real = getattr(module, name)

    def slow(*args, **named):
        time.sleep(seconds)
        return real(*args, **named)

    monkeypatch.setattr(module, name, slow)


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setattr("emo.extract.executors.local.cores", lambda: 1)


@pytest.mark.parametrize(
    ("name", "seconds", "stage", "idle"),
    [("load_segments", 0.06, "decode", "encode"), ("prepare_one", 0.06, "prepare", "encode"),
     ("encode_batch", 0.12, "encode", "decode")],
)  # fmt: skip
def test_a_slow_stage_is_busy_and_the_others_are_not(
    name, seconds, stage, idle, tmp_path, monkeypatch, one_thread
):
    slowed(monkeypatch, name, seconds)
    totals = run(tmp_path).job.work
    shares = {each: totals.stage(each).busy_share for each in STAGES}
    assert shares[stage] > 0.5
    assert shares[idle] < 0.3
    assert shares["decode"] + shares["faces"] + shares["prepare"] <= 1.01
    assert shares["load"] + shares["encode"] + shares["write"] <= 1.01
    assert totals.stage(stage).busy_seconds > 0.057 * CLIPS
    assert (totals.stage("decode").items, totals.stage("encode").items) == (CLIPS, CLIPS)
    assert (totals.stage("write").items, totals.stage("load").items) == (2, 1)
    assert limiting(totals) == stage
    waiting = totals.stage("encode").queued_seconds / totals.wall_seconds
    assert waiting > 1 if stage == "encode" else waiting < 1


def test_what_is_reported_is_what_the_log_holds(tmp_path):
    report = run(tmp_path)
    logged = log_facts(report.folder.logs).work
    for name in STAGES:
        reported = vars(report.job.work.stage(name))
        assert vars(logged.stage(name)) == pytest.approx(reported, abs=0.01)
    assert [logged.stage(name).items for name in ("decode", "encode", "write")] == [CLIPS, CLIPS, 2]


def test_the_command_shows_it_on_stderr_and_status_sums_it_up(emo, tmp_path, monkeypatch):
    monkeypatch.setattr(timings, "SHOWN_SECONDS", 0.0)
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,two\n")
    code, out, err = emo("extract", "m.csv", "--backbone", "tests.make_backbone:Letters")
    assert (code, "waiting before it" in out) == (0, False)
    lines = err.splitlines()
    assert [line.split()[0] for line in lines[-7:-1]] == [
        "stage", "load", "decode", "prepare", "encode", "write",
    ]  # fmt: skip
    _, out, _ = emo("job", "status", "features")
    told = out.splitlines()
    start = next(index for index, line in enumerate(told) if line.startswith("stage  "))
    assert [line.split()[0] for line in told[start : start + 6]] == [
        line.split()[0] for line in lines[-7:-1]
    ]
    done = [line.split()[3] for line in lines[-6:-1]]  # seconds so short are rounded apart
    assert [line.split()[3] for line in told[start + 1 : start + 6]] == done


def totals_of(wall=40.0, is_on_gpu=False, threads=4, **busy):
    """``busy``: seconds of each ten."""
    totals = WorkTotals(wall, wall if is_on_gpu else 0.0)
    for name in STAGES:
        count = threads if name in ("decode", "faces", "prepare") else 1
        if name == "faces" and is_on_gpu:
            count = 1
        seconds = busy.get(name, 0.1) * wall / 10
        totals.stages[name] = StageTotals(seconds, count * wall, 100, 2 * wall)
    return totals


def test_the_table_lines_up_and_the_advice_follows_from_it(monkeypatch):
    totals = totals_of(decode=30.0, faces=6.0, encode=2.0)
    lines = stage_table(totals).splitlines()
    assert lines[0].split("  ")[0] == "stage"
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split() == ["decode", "4", "75", "100", "120", "2"]
    assert "--cpus-per-task" in advice(totals)
    assert "the limiting stage is decoding" in advice(totals)
    assert "finding faces on the CPU" in advice(totals_of(decode=9.0, faces=20.0))
    assert "finding faces on the GPU" in advice(totals_of(is_on_gpu=True, decode=20.0, faces=9.0))
    assert "--gpus-per-task)" in advice(totals_of(encode=9.0))
    assert "--batch-clips or --batch-size" in advice(totals_of(is_on_gpu=True, encode=9.0))
    assert "--part-clips" in advice(totals_of(write=6.0, encode=3.0))
    assert "--parts-per-task" in advice(totals_of(load=6.0, encode=3.0))
    assert "no stage limits" in advice(totals_of())
    assert stage_lines(totals) == [stage_table(totals), advice(totals)]
    assert stage_lines(totals_of(wall=timings.SHOWN_SECONDS - 1)) == []


def test_totals_of_two_workers_add_up_and_survive_the_log():
    one, two = totals_of(decode=30.0), totals_of(wall=5.0, decode=1.0)
    both = WorkTotals.from_json(one.to_json())
    both.add(two)
    assert both.wall_seconds == 45.0
    assert both.stage("decode") == StageTotals(120.5, 180.0, 200, 90.0)
    assert both.stage("decode").busy_share == pytest.approx(120.5 / 180)


def test_time_without_a_part_in_hand_does_not_count():
    meter = StageMeter(2)
    with meter.working(), meter.working():
        time.sleep(0.02)
    time.sleep(0.3)
    with meter.working():
        time.sleep(0.02)
    assert 0.035 < meter.take().wall_seconds < 0.25
    assert meter.take().wall_seconds == 0


@pytest.mark.parametrize("is_on_gpu", [False, True])
def test_on_a_gpu_threads_take_turns_and_waiting_is_not_work(is_on_gpu):
    from concurrent.futures import ThreadPoolExecutor

    meter, at_once, most = StageMeter(4, is_on_gpu=is_on_gpu), [], []

    def detect(frames):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.05)
        at_once.pop()
        return [frames]

    stage = FaceStage(detect, meter, is_on_gpu=is_on_gpu)

    def clip(number):
        clock = StageClock(stage)
        time.sleep(0.05)
        assert stage(number) == [number]
        return clock.decoded()

    with meter.working(), ThreadPoolExecutor(4) as pool:
        seconds = list(pool.map(clip, range(4)))
    faces = meter.take().stage("faces")
    assert (max(most) == 1) == is_on_gpu
    assert faces.items == 4
    assert faces.busy_seconds == pytest.approx(sum(each["faces"] for each in seconds))
    for each in seconds:
        assert 0.05 <= each["decode"] < 0.12
        assert 0.05 <= each["faces"] < 0.12
    assert (faces.queued_seconds > 0.15) == is_on_gpu
