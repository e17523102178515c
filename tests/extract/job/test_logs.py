"""Tests of emo/extract/job/logs.py: a killed worker leaves complete lines, and a full disk."""

import os
import time

import pytest

from emo.errors import StoreError
from emo.extract.job import logs as task_log
from emo.extract.job.logs import TaskLog, read_logs


def test_every_line_is_there_at_once_and_a_cut_one_is_left_out(tmp_path):
    with TaskLog(tmp_path, device="cpu") as log:
        log.write("clip", clip="é")
        with log.path.open("ab") as file:
            file.write(b'{"event": "cl')
        assert [(line["event"], line.get("clip")) for line in read_logs(tmp_path)] == [
            ("start", None),
            ("clip", "é"),
        ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_disk_that_is_full_is_named_and_closing_tries_no_second_time(tmp_path):
    def run():
        with TaskLog(tmp_path) as log:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, log._file.file.fileno())
            os.close(full)
            log.write("clip")

    with pytest.raises(StoreError, match="no space left"):
        run()


def test_a_line_that_was_cut_inside_a_letter_is_left_out(tmp_path):
    with TaskLog(tmp_path) as log:
        log._file.file.write('{"event": "é'.encode()[:-1] + b"\n")
        log.write("clip")
    assert [line["event"] for line in read_logs(tmp_path)] == ["start", "clip"]


def test_a_log_stays_fresh_while_its_worker_is_at_a_long_clip_and_no_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(task_log, "BEAT_SECONDS", 0.01)
    with TaskLog(tmp_path) as log:
        os.utime(log.path, (1, 1))
        end = time.monotonic() + 20
        while log.path.stat().st_mtime == 1:
            assert time.monotonic() < end
            time.sleep(0.01)
    time.sleep(0.1)
    os.utime(log.path, (1, 1))
    time.sleep(0.1)
    assert log.path.stat().st_mtime == 1
