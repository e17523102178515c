"""metrics.prom: whole text that Prometheus reads, summed over workers, without ids of clips."""

import re
import shutil
import subprocess

import pytest

from emo.extract.job.timings import StageTotals, WorkTotals
from emo.extract.worker import metrics
from emo.extract.worker.metrics import JobMetrics

LINE = re.compile(r'[a-z_]+\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\} [0-9.]+')


def test_counts_of_workers_are_summed_and_never_fall(tmp_path, monkeypatch):
    job = tmp_path / "features" / ".jobs" / "0001"
    (job / "logs").mkdir(parents=True)
    work = WorkTotals(stages={"decode": StageTotals(busy_seconds=1.5)})
    for worker, failures in (("h/1/a", {}), ("h/2/b", {"classic": "no sound in clip_7"})):
        monkeypatch.setattr(metrics, "me", lambda worker=worker: worker)
        one = JobMetrics(job, ["classic"], planned=10)
        one.count_clip(failures, (2, 500))
        one.count_clip({})
        one.commit(work, 1000)
    text = (job / "metrics.prom").read_text()
    labels = 'store="features",number="0001"'
    assert f'emo_clips_total{{{labels},recipe="classic",outcome="done"}} 3\n' in text
    assert f'emo_clips_total{{{labels},recipe="classic",outcome="failed"}} 1\n' in text
    assert f'emo_stage_seconds_total{{{labels},stage="decode"}} 3.000\n' in text
    assert f'emo_bytes_total{{{labels},direction="fetched"}} 1000\n' in text
    assert f'emo_bytes_total{{{labels},direction="written"}} 2000\n' in text
    assert f"emo_requests_total{{{labels}}} 4\n" in text
    assert f"emo_queue{{{labels}}} 6\n" in text
    assert "clip_7" not in text
    assert all(line.startswith("# ") or LINE.fullmatch(line) for line in text.splitlines())
    assert [path.name for path in job.iterdir()] != []
    assert not list(job.glob(".metrics.prom-*"))


def test_a_job_writes_the_file_beside_its_status(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,two\nc,!raise\n")
    assert emo("extract", "m.csv", "--backbone", "tests.make_backbone:Letters")[0] == 3
    text = (tmp_path / "features" / ".jobs" / "0001" / "metrics.prom").read_text()
    counts = dict(re.findall(r'outcome="(\w+)"\} (\d+)', text))
    assert counts == {"done": "2", "failed": "1"}
    assert re.search(r"^emo_queue\{.*\} 0$", text, re.M)
    parts = (tmp_path / "features" / "letters").glob("part-*")
    written = sum(path.stat().st_size for path in parts)
    assert f'direction="written"}} {written}\n' in text


def test_the_parser_and_the_linter_of_prometheus_accept_the_file(emo, tmp_path):
    parser = pytest.importorskip("prometheus_client.parser")
    (tmp_path / "m.csv").write_text("id,text\na,one\nb,!raise\n")
    emo("extract", "m.csv", "--backbone", "tests.make_backbone:Letters")
    path = tmp_path / "features" / ".jobs" / "0001" / "metrics.prom"
    families = {f.name: f for f in parser.text_string_to_metric_families(path.read_text())}
    assert {name: family.type for name, family in families.items()} == {
        "emo_clips": "counter", "emo_stage_seconds": "counter", "emo_bytes": "counter",
        "emo_requests": "counter", "emo_queue": "gauge", "emo_last_commit_seconds": "gauge",
    }  # fmt: skip
    assert all(family.documentation and family.samples for family in families.values())
    if promtool := shutil.which("promtool"):
        with path.open() as file:
            done = subprocess.run([promtool, "check", "metrics"], stdin=file, capture_output=True,
                                  text=True, check=False)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
