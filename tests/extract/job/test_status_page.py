"""The page of a running job: what it says, what it must not say, and that nothing in it can run."""

import base64
import hashlib
import re
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from emo.errors import StoreError
from emo.extract.job.logs import LogFacts, TaskLog, log_facts
from emo.extract.job.status.page import page_of, write_job_page
from emo.extract.job.status.status import Status
from emo.extract.job.timings import StageTotals, WorkTotals

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVIL = "<img src=x onerror=y>\u202e"
LETTERS = "tests.make_backbone:Letters"


class Page(HTMLParser):
    """The tags of a page, its attributes and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = Counter(), {}, []
        self.feed(text)
        self.words = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes.setdefault(tag, []).append(dict(attrs))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def status(tmp_path):
    """A job of 1,000 clips in 10 parts, of which 4 parts are done and 1 is running."""
    with TaskLog(tmp_path) as log:
        for number in range(6):
            clip = f"clip-of-ann-{number}"
            log.write(
                "clip",
                clip=clip,
                seconds={"decode": 0.25, "encode": 0.5},
                failed={"logmel": f'/home/ann/{clip}.mp4: cannot read {clip} in "ann.wav" {EVIL}'},
            )
    logs = log_facts(tmp_path)
    logs.clips_per_second = 2.0
    logs.work = WorkTotals(100.0, 0.0, {"decode": StageTotals(80.0, 100.0, 6, 0.0)})
    folder = SimpleNamespace(path=tmp_path / "<b>0001", parts=[None] * 10, notes=["/home/ann"])
    missing = dict.fromkeys(range(4, 10), 100)
    return Status(folder, 1000, missing, frozenset([4]), Counter(RUNNING=2), 6, 1, logs)


def test_progress_rate_failures_and_stages_are_on_the_page(status):
    page = Page(page_of(status, when=WHEN))
    for words in (
        "emo job <b>0001 : running", "400 of 1,000 clips, 40 %", "10: 4 done, 1 running, 5 to do",
        "rate 2.0 clips/s", "time left about 5 min", "Slurm tasks 2 RUNNING", "dead workers 1,",
        "failed clips 6", "decode 250 80%", "encode 500 –", "the limiting stage is decoding",
        "2026-01-02 03:04:05 UTC",
    ):  # fmt: skip
        assert words in page.words.replace(": running", " : running"), words
    assert page.attributes["progress"] == [
        {"aria-labelledby": "progress", "max": "1000", "value": "400"}
    ]
    assert (
        "6 … cannot read … in … <img src=x onerror=y>" in page.words
    )  # one kind, counted together


def test_nothing_runs_and_nothing_is_loaded(status):
    text = page_of(status, when=WHEN, has_ids=True)
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "a", "b"} & set(page.tags)
    assert "\u202e" not in text
    given = {name for each in page.attributes.values() for one in each for name in one}
    assert not {name for name in given if name.startswith("on")} | given & {"style", "src", "href"}
    policy = page.attributes["meta"][2]["content"]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_clips_are_named_only_when_asked_for(status):
    text = page_of(status, when=WHEN)
    assert not any(word in text for word in ("ann.wav", "of-ann", "/home", ".mp4"))
    assert "clip-of-ann-0 (logmel)" in page_of(status, when=WHEN, has_ids=True)


def test_the_page_loads_itself_again_until_the_job_is_over(status):
    assert '<meta http-equiv="refresh" content="10">' in page_of(status, when=WHEN)
    over = Status(status.folder, 1000, {}, frozenset(), Counter(), 0, 0, LogFacts())
    text = page_of(over, when=WHEN)
    assert "refresh" not in text
    assert "<title>100 % · emo job &lt;b&gt;0001</title>" in text


def test_a_page_is_replaced_whole(status, tmp_path):
    out = tmp_path / "job.html"
    out.write_text("earlier")
    write_job_page(out, status)
    assert out.read_text(encoding="utf-8").endswith("</html>\n")
    assert [each.name for each in tmp_path.iterdir() if "html" in each.name] == ["job.html"]
    with pytest.raises(StoreError, match=r"no/job\.html"):
        write_job_page(tmp_path / "no" / "job.html", status)


def test_watch_writes_the_page_of_a_job(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\nfirst-clip,one\nsecond-clip,two\n")
    words = ["--backbone", LETTERS, "--part-clips", 1, "--executor", "slurm", "--dry-run"]
    assert emo("extract", "m.csv", *words)[0] == 0
    code, out, err = emo("job", "watch", "features", "--html", "job.html")
    assert (code, err) == (0, "")
    assert "2: 0 done" in out
    text = Path("job.html").read_text(encoding="utf-8")
    assert "emo job 0001: stopped" in text
    assert emo("job", "run", "features")[0] == 0
    assert emo("job", "watch", "features", "--html", "job.html")[0] == 0
    text = Path("job.html").read_text(encoding="utf-8")
    assert "emo job 0001: done" in text
    assert not any(word in text for word in ("first-clip", str(tmp_path), "features"))
    code, _, err = emo("job", "watch", "features", "--ids")
    assert (code, "--ids: only with --html" in err) == (2, True)


def test_reasons_that_differ_in_names_alone_are_one_and_the_rest_is_counted(status):
    kinds = {f"{name}.mp4: not a media file": 2 for name in ("a", "b.x", "c d")}
    kinds |= {f"reason {'abcdefghijk'[k]}": 1 for k in range(9)}
    status.logs.reasons = Counter({**kinds, "… a.mp4: not a media file": 1})
    words = Page(page_of(status, when=WHEN)).words
    assert words.count("not a media file") <= 2  # "c d.mp4" keeps its first word
    assert "(2 other reasons)" in words or "(3 other reasons)" in words
    shown = re.findall(r'class="number">([\d,]+)</td>', page_of(status, when=WHEN))
    assert sum(map(int, shown[-9:])) == 16
