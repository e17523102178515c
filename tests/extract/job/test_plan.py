"""Tests of emo/extract/job/plan.py: which clips are missing, and how parts are cut."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from emo.extract.decode.source import source_hash
from emo.extract.job.plan import Redo, StaleClips, by_file, forecast_bytes, make_plan
from emo.extract.job.request import Job, make_request
from emo.manifest import Clip
from emo.store.part.writer import PartWriter
from emo.store.store import Store
from tests.make_backbone import LettersOptions

LETTERS = make_request("tests.make_backbone:Letters", "letters", {})


@pytest.fixture
def job(tmp_path):
    return Job(root=tmp_path, store=tmp_path / "store", requests=(LETTERS,))


@pytest.fixture
def folder(job):
    return Store.create(job.store).add_recipe("letters", LETTERS.recipe)


def clips_of(count):
    return [Clip(f"c{k}", text=f"text {k}") for k in range(count)]


def commit(folder, clips, root, *, failed=(), attempt=0):
    with PartWriter(folder.path, LETTERS.recipe, attempt=attempt) as part:
        for clip in clips:
            source = source_hash(clip, root)
            if clip.id in failed:
                part.fail(clip.id, "broken", source=source)
            else:
                part.add(clip.id, {"letters": np.ones((2, 3), np.float32)}, source=source)
    folder.refresh()


def ids(plan):
    return [[clip.id for clip in part.clips] for part in plan.parts]


def test_parts_are_cut_from_the_manifest_and_what_is_done_is_left_out(job, folder):
    clips = clips_of(7)
    assert ids(make_plan(job, {"letters": folder}, clips, part_clips=3)) == [
        ["c0", "c1", "c2"], ["c3", "c4", "c5"], ["c6"],
    ]  # fmt: skip
    commit(folder, clips[1:4], job.root)
    plan = make_plan(job, {"letters": folder}, clips, part_clips=3)
    assert ids(plan) == [["c0", "c2"][:1], ["c4", "c5"], ["c6"]]
    assert plan.done == {"letters": 3}


def test_a_finished_manifest_leaves_nothing_and_a_grown_one_only_the_new(job, folder):
    clips = clips_of(4)
    commit(folder, clips, job.root)
    assert not make_plan(job, {"letters": folder}, clips, part_clips=2).parts
    assert ids(make_plan(job, {"letters": folder}, clips_of(5), part_clips=2)) == [["c4"]]


def test_a_plan_holds_no_clips_but_cuts_them_when_asked(job):
    clips = clips_of(20_000)
    tracemalloc.start()
    try:
        plan = make_plan(job, {"letters": None}, clips, part_clips=256)
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held_bytes < 100_000
    assert plan.clips == 20_000
    assert plan.parts[78].clips == tuple(clips[78 * 256 :])
    assert len(plan.parts) == 79


def test_each_recipe_has_its_own_todo(job, folder):
    clips = clips_of(3)
    commit(folder, clips[:2], job.root)
    plan = make_plan(job, {"letters": folder, "other": None}, clips, part_clips=8)
    assert plan.parts[0].todo["letters"].ids == {"c2"}
    assert plan.parts[0].todo["other"].ids == {"c0", "c1", "c2"}


def test_failures_are_kept_until_they_are_asked_for(job, folder):
    clips = clips_of(3)
    commit(folder, clips, job.root, failed={"c1"})
    plan = make_plan(job, {"letters": folder}, clips, part_clips=8)
    assert not plan.parts
    assert plan.failed == {"letters": {"c1": "broken"}}
    again = make_plan(job, {"letters": folder}, clips, part_clips=8, redo=Redo(failed=True))
    assert ids(again) == [["c1"]]
    assert again.parts[0].todo["letters"].attempt == 1
    assert again.failed == {"letters": {}}


def test_a_changed_clip_stops_or_is_redone_or_kept(job, folder):
    clips = clips_of(3)
    commit(folder, clips, job.root)
    changed = [clips[0], Clip("c1", text="another text"), clips[2]]
    with pytest.raises(StaleClips, match=r"1 clip of .* 'c1'.*--changed redo"):
        make_plan(job, {"letters": folder}, changed, part_clips=8)
    kept = make_plan(job, {"letters": folder}, changed, part_clips=8, redo=Redo(changed="keep"))
    assert not kept.parts
    redo = make_plan(job, {"letters": folder}, changed, part_clips=8, redo=Redo(changed="redo"))
    assert ids(redo) == [["c1"]]
    assert redo.parts[0].todo["letters"].attempt == 1


def test_a_failed_clip_whose_file_changed_is_tried_again_unasked(job, folder):
    missing = Clip("v", video="v.mp4")
    commit(folder, [missing], job.root, failed={"v"})
    assert not make_plan(job, {"letters": folder}, [missing], part_clips=8).parts
    (job.root / "v.mp4").write_bytes(b"now it is there")
    assert ids(make_plan(job, {"letters": folder}, [missing], part_clips=8)) == [["v"]]


@pytest.mark.parametrize(
    "other",
    [
        Clip("v", video="w.mp4"),
        Clip("v", video="v.mp4", text="x"),
        Clip("v", video="v.mp4", start_seconds=1.0),
        Clip("v", video="v.mp4", audio_channel="left"),
        Clip("v", video="v.mp4", audio_track="1"),
    ],
)
def test_the_source_hash_sees_every_change_of_the_row(tmp_path, other):
    clip = Clip("v", video="v.mp4")
    assert source_hash(clip, tmp_path) != source_hash(other, tmp_path)
    assert source_hash(clip, tmp_path) == source_hash(Clip("w", video="v.mp4"), tmp_path)


def test_the_source_hash_of_a_clip_without_an_audio_track_is_that_of_older_versions(tmp_path):
    clip = Clip("v", video="v.mp4", text="x", start_seconds=1.0)
    facts = ["v.mp4", -1, 0, None, 0, 0, 1.0, None, "mix", "x"]
    expected = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    assert source_hash(clip, tmp_path) == expected


def test_the_forecast_multiplies_tokens_width_and_bytes():
    tokens = {"letters": {"letters": 10.0}}
    assert forecast_bytes([LETTERS], tokens, 5) == 5 * 10 * LettersOptions().width * 4


def test_stretches_of_one_file_are_planned_together():
    def clip(name, video, start=None):
        return Clip(name, video=video, start_seconds=start)

    mixed = [
        clip("a2", "a.mp4", 4.0), clip("x", "x.mp4"), clip("b1", "b.mp4", 0.0),
        clip("a1", "a.mp4", 1.0), clip("b2", "b.mp4", 3.0), clip("a0", "a.mp4", 0.0),
    ]  # fmt: skip
    assert [found.id for found in by_file(mixed)] == ["a0", "a1", "a2", "x", "b1", "b2"]
    in_order = by_file(mixed)
    assert by_file(in_order) is in_order
    whole = [clip("x", "a.mp4"), clip("y", "a.mp4")]
    assert by_file(whole) is whole


def test_a_dry_run_says_that_files_are_missing(emo, tmp_path):
    (tmp_path / "there.wav").write_bytes(b"RIFF")
    rows = [f"{'there' if k % 2 else 'lost'}.wav,c{k}" for k in range(100)]
    (tmp_path / "m.csv").write_text("\n".join(["audio,id", *rows]))
    words = ("extract", "m.csv", "--backbone", "logmel", "--dry-run")
    code, out, _ = emo(*words)
    assert code == 0
    said = f"10 files cannot be found, such as {tmp_path / 'lost.wav'}; `emo check` looks at all"
    assert said in out
    (tmp_path / "lost.wav").write_bytes(b"RIFF")
    assert "cannot be found" not in emo(*words)[1]
