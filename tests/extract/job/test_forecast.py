"""`emo extract --dry-run --sample`: a forecast from some clips, with intervals that hold."""

import dataclasses
import json
import math
import random
import re
from itertools import pairwise

import pytest

from emo.errors import OptionError
from emo.extract.job.plan import PartPlan, Todo
from emo.extract.job.request import requests_from_words
from emo.extract.job.status.forecast import ClipCost, Measured, forecast_job
from emo.extract.job.status.sample import draw
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, read_manifest

LETTERS = "tests.make_backbone:Letters"


def part_of(clips):
    return PartPlan(tuple(clips), {"r": Todo(frozenset(clip.id for clip in clips))})


def measured(costs, lengths, clips, workers=1, part=100):
    groups = [costs[k : k + 8] for k in range(0, len(costs), 8)]
    sizes = [min(part, clips - k) for k in range(0, clips, part)]
    return Measured(
        groups, lengths, sizes, part_bytes=0.0, recipes=1, workers=workers, threads=1,
        start_seconds=0.0, wall_share=1.0, batch_clips=1, faces_on_gpu=False, failed=0, warm_up=8,
        seed=0, wall_seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("is_known", [True, False])
def test_intervals_hold_the_truth_as_often_as_they_say(is_known):
    """400 draws of 64 from 1,000 clips of very different lengths: 95 % is expected."""
    chance = random.Random(1)
    seconds = [chance.expovariate(1 / 3) + 0.5 for _ in range(1000)]
    costs = [
        ClipCost(str(k), {"decode": s * chance.uniform(0.8, 1.2)}, 100 * s)
        for k, s in enumerate(seconds)
    ]
    lengths = {cost.clip_id: s for cost, s in zip(costs, seconds, strict=True)}
    truth = sum(cost.seconds["decode"] for cost in costs) / 3600
    found = [
        forecast_job(measured(chance.sample(costs, 64), lengths if is_known else None, 1000))
        for _ in range(400)
    ]
    share = sum(each.hours.low <= truth <= each.hours.high for each in found) / 400
    assert 0.9 < share < 0.99
    widths = [each.hours.high - each.hours.low for each in found]
    assert (sum(widths) / 400 < 0.1 * truth) == is_known  # lengths tell most of it
    if not is_known:
        size = 100 * sum(seconds)
        share = sum(each.store_bytes.low <= size <= each.store_bytes.high for each in found) / 400
        assert 0.9 < share < 0.99


def test_the_slowest_threads_and_the_last_worker_give_the_time():
    costs = [ClipCost(str(k), {"decode": 2.0, "encode": 1.0, "write": 0.5}, 1.0) for k in range(16)]
    one = measured(costs, None, 300)
    assert forecast_job(one).hours.expected * 3600 == pytest.approx(300 * 2 + 1.5)
    four = dataclasses.replace(one, threads=4)
    assert forecast_job(four).hours.expected * 3600 == pytest.approx(300 * 1.5 + 0.5)
    two = dataclasses.replace(one, workers=2)
    found = forecast_job(two, price_hour=3.0)  # three parts of 100 clips: one worker does two
    assert found.hours.expected * 3600 == pytest.approx(200 * 2 + 1.5)
    assert found.money.expected == pytest.approx(3 * found.hours.expected)
    assert json.dumps(found.to_json())
    assert found.requests is None
    far = [dataclasses.replace(cost, requests=2, fetched_bytes=50) for cost in costs]
    found = forecast_job(measured(far, None, 300))
    assert (found.requests.expected, found.fetched_bytes.low) == (600, 15_000)
    assert "requests for media" in "\n".join(found.lines())
    assert math.isfinite(found.hours.high)


def test_neighbours_are_drawn_where_clips_share_a_file():
    single = [Clip(str(k), video=f"{k}.mp4") for k in range(200)]
    drawn = draw([part_of(single[:100]), part_of(single[100:])], 64, 2)
    places = [int(clip.id) for part in drawn.measured for clip in part.clips]
    assert (len(places), len(set(places)), len(drawn.groups)) == (64, 64, 8)
    assert sum(b == a + 1 for a, b in pairwise(places)) < 16
    assert drawn.lengths is None
    assert not {clip.id for part in drawn.warm_up for clip in part.clips} & set(map(str, places))
    film = [Clip(str(k), video="a.mp4", start_seconds=k, end_seconds=k + 2.0) for k in range(200)]
    drawn = draw([part_of(film)], 64, 1)
    assert all(
        [int(a) for a in group] == list(range(int(group[0]), int(group[0]) + 8))
        for group in drawn.groups
    )
    assert drawn.lengths["7"] == 2.0
    with pytest.raises(OptionError, match="at least 4 clips, got 3"):
        draw([part_of(film[:3])], 64, 1)


def test_a_sample_writes_nothing_and_its_bytes_are_those_of_the_job(emo, tmp_path):
    rows = "".join(f"{k},{'word ' * (1 + k % 7)}\n" for k in range(60))
    (tmp_path / "m.csv").write_text("id,text\n" + rows + "bad,!raise\n")
    words = ["extract", "m.csv", "--backbone", LETTERS]
    code, out, err = emo(*words, "--dry-run", "--sample", 40, "--price-hour", 2)
    assert (code, err) == (0, "")
    assert "measured 40 clips" in out
    assert re.search(r"^money +\S+ +\S+ +\S+$", out, re.M)
    assert not (tmp_path / "features").exists()
    requests = requests_from_words([LETTERS])
    clips, store = read_manifest(tmp_path / "m.csv"), tmp_path / "features"
    options = ExtractOptions(sample=40)
    found = extract(clips, store, requests, options, is_dry_run=True).forecast
    assert emo(*words)[0] == 3
    size = sum(path.stat().st_size for path in (store / "letters").glob("part-*"))
    assert found.store_bytes.low <= size <= found.store_bytes.high
    assert found.store_bytes.high < 1.3 * size
    for more, said in (
        (["--sample", 4], "add --dry-run"),
        (["--price-hour", 1], "needs a forecast"),
        (["--dry-run", "--sample", 2, "--price-hour", -1], "--price-hour -1: expected a price"),
        (["--dry-run", "--sample", 2, "--price-hour", "nan"], "expected a price"),
        (["--dry-run", "--sample", 4, "--executor", "slurm"], "not by --executor slurm"),
        (["--dry-run", "--sample", 1], "expected 2 or more"),
    ):
        code, _, err = emo(*words, *more)
        assert (code, said in err) == (1, True)
