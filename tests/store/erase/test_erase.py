"""An erasure leaves nothing of the clips and everything else; a scan of its own tells."""

import csv
import dataclasses
import io
import json
import shutil
import zipfile
import zlib

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter, Store
from emo.store.adapted import SeenClips
from emo.store.erase.area import Remnant
from emo.store.erase.edits import ErasedClips, edit_of
from emo.store.erase.erase import erase
from emo.store.erase.spelled import IdPattern
from emo.store.erased_ids import forget_erased, read_erased, refuse_erased
from emo.store.exchange.pack import pack
from emo.store.index.file import index_paths
from emo.store.maintain.compact import compact
from emo.store.maintain.index import has_index, make_index
from emo.store.maintain.verify import verify
from tests.make_store import RECIPE, audio

GONE = [f"ann/clip_{k}" for k in range(3)]
KEPT = [f"bob/clip_{k}" for k in range(5)] + ["ann/clip_1b", "annann/clip_1"]


def tokens_of(clip_id, length=3):
    rng = np.random.default_rng(zlib.crc32(clip_id.encode()))
    return rng.normal(size=(length, 8)).astype(np.float16)


def fill(folder):
    """Two parts with both persons' clips, a part of one's alone, and a failure."""
    for number, ids in enumerate([[*GONE[:2], *KEPT[:3]], [*KEPT[3:]], [GONE[2]]]):
        with PartWriter(folder.path, RECIPE) as part:
            for clip_id in ids:
                part.add(clip_id, {"audio": tokens_of(clip_id)}, source=f"s{number}")
            if not number:
                part.fail("ann/clip_9", "no sound")
    folder.refresh()


def everything(store):
    folder = Store(store.path).recipes["toy"]
    ids = sorted(folder.ids)
    return {
        "tokens": {clip_id: folder.read("audio", [clip_id]).values.tobytes() for clip_id in ids},
        "failures": folder.failures, "sources": folder.sources, "attempts": folder.attempts,
    }  # fmt: skip


def names_in(area, *words):
    """Files whose bytes hold one of the words; zip members that are compressed are opened."""
    found = set()
    for path in area.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {path.name for word in words if word in data}
    return found


@pytest.fixture
def filled(folder):
    fill(folder)
    make_index(folder, progress=False)
    return folder


@pytest.fixture
def runs(tmp_path, filled):
    """A run's lists and predictions, a ledger, a job folder, a pack."""
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{\n  "notes": ["clip ann/clip_1 is long"],\n  "a": 0.10\n}\n')
    rows = [("id", "split", "init")] + [(k, "train", "") for k in [*GONE, *KEPT]]
    (run / "clips.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    (run / "predictions.csv").write_text(
        'id,text,p_joy\r\nann/clip_0,"a ""b""\r\nc",0.5\r\nbob/clip_0,"x ""y""\r\nz",0.25\r\n'
    )
    ledger = [
        {"clips": "0" * 16, "ids": sorted([*GONE, *KEPT])},
        {"clips": "0" * 16, "targets": ["emotion"], "asked": "q", "run": "first"},
    ]
    (run.parent / ".test-scorings.jsonl").write_text(
        "".join(f"\n{json.dumps(line)}\n" for line in ledger)
    )
    (run.parent / "log.txt").write_text("begin\nfailed: ann/clip_0 (toy): gone\nend\n")
    pack(filled.path.parent, tmp_path / "runs" / "all.zip")
    return run.parent


def test_nothing_of_the_clips_stays_and_all_else_does(store, filled, runs):
    before = everything(store)
    report = erase(store.path, [*GONE, "ann/clip_9"], runs=[runs])
    assert report.is_complete, report.lines()
    after = everything(store)
    for name, facts in before.items():
        assert after[name] == {
            k: v for k, v in facts.items() if k in KEPT and not k.startswith("ann/clip_9")
        }
    assert has_index(Store(store.path).recipes["toy"])
    assert not verify(Store(store.path), progress=False).problems
    words = [k.encode() for k in [*GONE, "ann/clip_9"]]
    secret = [row.tobytes() for k in GONE for row in tokens_of(k)]
    for area in (store.path, runs):
        held = {
            path.name
            for path in area.rglob("*")
            if path.is_file()
            for data in [path.read_bytes()]
            if any(token in data for token in secret)
            or any(word in data.replace(b"ann/clip_1b", b"").replace(b"annann/clip_1", b"")
                   for word in words)
        }  # fmt: skip
        assert not held
    assert (runs / "log.txt").read_text() == "begin\nend\n"
    assert (runs / "first" / "predictions.csv").read_bytes() == (
        b'id,text,p_joy\r\nbob/clip_0,"x ""y""\r\nz",0.25\r\n'
    )
    document = json.loads((runs / "first" / "run.json").read_text())
    assert document == {"notes": ["clip [erased] is long"], "a": 0.1}
    listed = list(csv.DictReader(io.StringIO((runs / "first" / "clips.csv").read_text())))
    assert [row["id"] for row in listed] == KEPT
    (fitted,) = report.survey.fitted.values()
    assert (fitted.kind, fitted.clips) == ("head", {"train": 3})
    ledger = [json.loads(x) for x in (runs / ".test-scorings.jsonl").read_text().split("\n") if x]
    assert ledger[0]["ids"] == sorted(KEPT)
    assert ledger[0]["clips"] == ledger[1]["clips"] != "0" * 16
    with zipfile.ZipFile(runs / "all.zip") as archive:
        assert archive.testzip() is None


def test_a_pack_can_still_be_unpacked(store, filled, runs, tmp_path):
    from emo.store.exchange.pack import unpack

    erase(store.path, [*GONE, "ann/clip_9"], runs=[runs])
    report = unpack(runs / "all.zip", tmp_path / "out")
    assert report.clips == len(KEPT)


def test_a_repeat_changes_nothing_and_says_the_same(store, filled, runs):
    first = erase(store.path, GONE, runs=[runs]).document
    files = {path: path.read_bytes() for path in [*store.path.rglob("*"), *runs.rglob("*")]
             if path.is_file()}  # fmt: skip
    again = erase(store.path, GONE, runs=[runs])
    assert again.is_complete
    assert again.document["clips"] == first["clips"]
    assert files == {path: path.read_bytes() for path in files}


def test_the_receipt_holds_no_id_and_no_token(store, filled, runs):
    report = erase(store.path, GONE, runs=[runs])
    text = json.dumps(report.document)
    assert not any(clip_id in text.replace("ann/clip_1b", "") for clip_id in GONE)
    assert report.document["tokens"] == {
        "of_no_kept_clip": 9, "shared_with_kept_clips": 0, "looked_for_at_every_byte": 18,
        "compared_as_rows_only": 0,
    }  # fmt: skip
    changed = {each["file"].rpartition("/")[2] for each in report.document["files"]}
    assert {"clips.csv", "predictions.csv", "all.zip", ".test-scorings.jsonl"} <= changed


def test_tokens_that_a_kept_clip_has_are_no_secret(store, folder):
    with PartWriter(folder.path, RECIPE) as part:
        part.add("ann/clip_0", audio(2, 1.5))
        part.add("bob/clip_0", audio(1, 1.5))
    report = erase(store.path, ["ann/clip_0"])
    assert report.is_complete
    assert (report.survey.rows.shared, len(report.survey.rows.rows)) == (1, 0)


def test_a_later_extract_is_refused_until_told(store, filled):
    erase(store.path, GONE)
    with pytest.raises(StoreError, match=r"3 of these clips were erased.*--allow-erased"):
        refuse_erased(store.path, [*GONE, *KEPT])
    assert not read_erased(store.path).among(KEPT)
    assert not names_in(store.path / ".erased", *(k.encode() for k in GONE))
    assert forget_erased(store.path, GONE[:1]) == 1
    refuse_erased(store.path, [GONE[0], *KEPT])
    with pytest.raises(StoreError, match="1 of these clips"):
        refuse_erased(store.path, [GONE[1]])


def test_what_an_erasure_cannot_mend_is_a_hit(store, filled, tmp_path):
    area = tmp_path / "exports"
    area.mkdir()
    (area / "tokens.bin").write_bytes(b"abc" + tokens_of(GONE[0])[1].tobytes() + b"d")
    (area / "wide.bin").write_bytes(tokens_of(GONE[1]).astype(np.float32).tobytes())
    (area / "names.bin").write_bytes(b"\0ann/clip_1\0ann/clip_1b")
    report = erase(store.path, GONE, runs=[area])
    assert not report.is_complete
    assert sorted(hit.file.rpartition("/")[2] for hit in report.scan.hits) == [
        "names.bin", "tokens.bin", "wide.bin",
    ]  # fmt: skip
    shutil.rmtree(area)
    area.mkdir()
    assert erase(store.path, GONE, runs=[area]).is_complete


def fit_on_all(store, out, head, **options):
    """Fit a head on the clips of both persons; one of them is ann."""
    from emo.heads.fitting.fit import FitOptions, fit_head
    from tests.make_batches import make_manifest

    ids = [*GONE, *KEPT]
    split = ["train", "train", "val", "train", "train", "val", "train", "train", "test", "test"]
    manifest = make_manifest([f"e{k % 2}" for k in range(10)], split=split)
    clips = tuple(
        dataclasses.replace(clip, id=clip_id, speaker=clip_id.partition("/")[0])
        for clip, clip_id in zip(manifest.clips, ids, strict=True)
    )
    manifest = dataclasses.replace(manifest, clips=clips)
    fit_head(manifest, [store.path], out, FitOptions(head, threads=1, **options))


@pytest.mark.parametrize("scaling", [{}, {"toy/audio": "speaker"}])
def test_a_support_vector_machine_that_keeps_tokens_is_found(store, filled, tmp_path, scaling):
    area = tmp_path / "fitted"
    own = {"cost": "3", "gamma": "1"}
    fit_on_all(store, area / "svm", "svm", head_options=own, scaling=scaling)
    fit_on_all(store, area / "linear", "linear", scaling=scaling)
    report = erase(store.path, GONE, runs=[area])
    assert [(hit.what, hit.file.rpartition("/")[2]) for hit in report.scan.hits] == [
        ("a head that keeps tokens; --remove-heads removes its weights", "head.safetensors")
    ]
    report = erase(store.path, GONE, runs=[area], is_head_removed=True)
    assert report.is_complete
    assert not (area / "svm" / "head.safetensors").exists()
    assert (area / "linear" / "head.safetensors").exists()


def test_lists_of_what_adapted_weights_saw_are_shortened(store):
    from dataclasses import replace

    seen = SeenClips.of({"train": [*GONE, *KEPT[:2]], "val": [KEPT[2]]})
    recipe = replace(RECIPE, facts={"adapted": seen.facts})
    folder = store.add_recipe("adapted", recipe, seen=seen)
    with PartWriter(folder.path, recipe) as part:
        part.add(KEPT[0], {"audio": tokens_of(KEPT[0])})
    assert erase(store.path, GONE).is_complete
    found = Store(store.path).recipes["adapted"]
    assert found.seen == SeenClips.of({"train": KEPT[:2], "val": [KEPT[2]]})
    assert len(list(folder.path.glob("adapted-*.csv"))) == 1


def test_ids_that_are_words_or_numbers_change_only_what_is_about_the_clips(store, folder):
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id in ("12", "toy", "other"):
            part.add(clip_id, {"audio": tokens_of(clip_id)})
    notes = store.path.parent / "run"
    notes.mkdir()
    (notes / "run.json").write_text('{"epochs": "12", "recipe": "toy", "ids": ["12", "13"]}')
    (notes / "history.csv").write_text("round,val\n12,0.5\n")
    (notes / "predictions.csv").write_text("id,prediction\n12,toy\n13,toy\n")
    assert erase(store.path, ["12", "toy"], runs=[notes]).is_complete
    assert json.loads((notes / "run.json").read_text()) == {
        "epochs": "12", "recipe": "toy", "ids": ["13"],
    }  # fmt: skip
    assert (notes / "history.csv").read_text() == "round,val\n12,0.5\n"
    assert (notes / "predictions.csv").read_text() == "id,prediction\n13,toy\n"
    assert list(Store(store.path).ids("toy")) == ["other"]


def test_lines_of_a_jobs_plan_keep_their_positions():
    clips = ErasedClips(frozenset(GONE), IdPattern(GONE))
    line = {"part": 0, "todo": {"toy": {"attempt": 0, "clips": [GONE[0], KEPT[0]]}},
            "rows": [{"id": GONE[0], "text": "é"}, {"id": KEPT[0]}]}  # fmt: skip
    data = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for _ in range(2))
    edit = edit_of("parts.jsonl", data, clips)
    assert edit is not None
    assert edit.pieces is None
    assert len(edit.data) == len(data)
    assert edit.data.index(b"\n") == data.index(b"\n")
    assert json.loads(edit.data.split(b"\n")[1]) == {
        "part": 0, "todo": {"toy": {"attempt": 0, "clips": [KEPT[0]]}}, "rows": [{"id": KEPT[0]}],
    }  # fmt: skip


def test_addresses_and_etags_of_the_clips_media_leave_the_plan_and_are_looked_for(store, filled):
    url = {k: f"s3://media/file{n}.wav" for n, k in enumerate([*GONE, *KEPT])}
    rows = [{"id": k, "audio": url[k]} for k in [*GONE, *KEPT]]
    rows += [{"id": GONE[0], "video": f"s3://media/x.tar!{n}@512+9"} for n in ("a1.mp4", "b1.mp4")]
    rows += [{"id": KEPT[0], "video": "s3://media/x.tar!c1.mp4@9728+9"}]
    rows += [{"id": KEPT[1], "audio": f"{url[GONE[2]]}.flac"}]  # longer than an erased one
    objects = {each: [9, f"{n:032x}"] for n, each in enumerate(url.values())}
    objects |= {"s3://media/x.tar": [9, "f" * 32]}
    job = store.path / ".jobs" / "0001"
    job.mkdir(parents=True)
    line = json.dumps({"part": 0, "todo": {}, "rows": rows, "objects": objects})
    (job / "parts.jsonl").write_text(line + "\n")
    (job / "more.csv").write_text(f"path,label\n{url[GONE[1]]},a\n{url[KEPT[0]]},b\n")
    (job / "log.txt").write_text(f"slow: {url[GONE[2]]}\nslow: {url[GONE[2]]}.flac\n")
    (job / "etag.bin").write_bytes(b"\xff\0" + objects[url[GONE[0]]][1].encode())
    report = erase(store.path, GONE)
    assert [(hit.file.rpartition("/")[2], hit.what) for hit in report.scan.hits] == [
        ("etag.bin", "the address or ETag of a clip, from byte 2")
    ]
    found = json.loads((job / "parts.jsonl").read_text())
    assert found["objects"] == {
        each: facts for each, facts in objects.items() if each not in [url[k] for k in GONE]
    }
    assert [row["id"] for row in found["rows"]] == [*KEPT, KEPT[0], KEPT[1]]
    assert (job / "more.csv").read_text() == f"path,label\n{url[KEPT[0]]},b\n"
    assert (job / "log.txt").read_text() == f"slow: {url[GONE[2]]}.flac\n"
    (job / "etag.bin").unlink()
    assert erase(store.path, GONE).is_complete
    assert not list((store.path / ".erased").glob("pending-*"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_texts_of_two_or_four_bytes_a_letter_are_edited_and_looked_into(
    encoding, store, filled, tmp_path
):
    area = tmp_path / "exports"
    area.mkdir()
    ids = [*GONE, *KEPT]  # the latter hold ids that are longer than erased ones
    table = "id,text\r\n" + "".join(f"{k},é\r\n" for k in ids)
    (area / "t.csv").write_bytes(table.encode(encoding))
    (area / "short.csv").write_bytes("id\r\n12\r\n13\r\n".encode(encoding))  # too short for a scan
    (area / "kept.bin").write_bytes(b"\xff\0\0" + "\0".join(KEPT).encode(encoding) + b"\xff")
    (area / "held.bin").write_bytes(b"\xff\0\0" + f"{KEPT[0]};{GONE[1]}".encode(encoding))
    report = erase(store.path, [*GONE, "12"], runs=[area])
    assert [hit.file.rpartition("/")[2] for hit in report.scan.hits] == ["held.bin"]
    kept = "id,text\r\n" + "".join(f"{k},é\r\n" for k in KEPT)
    assert (area / "t.csv").read_bytes() == kept.encode(encoding)
    assert (area / "short.csv").read_bytes() == "id\r\n13\r\n".encode(encoding)


def test_an_id_that_is_nowhere_is_told(store, filled, tmp_path):
    area = tmp_path / "exports"
    area.mkdir()
    for name, text in (("l.txt", "only/in_a_text é\n"), ("t.csv", "id\r\n12\r\n")):
        (area / name).write_bytes(text.encode("utf-16"))
    (area / "b.bin").write_bytes(b"\0only/in_bytes\0")
    (area / "only_a_name.npy").write_bytes(b"")
    ids = ["ann/clip_9", GONE[0], "only/in_a_text", "12", "only/in_bytes", "only_a_name"]
    report = erase(store.path, [*ids, "nowhere/clip"], runs=[area])
    assert (report.clips, report.nowhere) == (7, 1)
    assert report.lines()[0].startswith("erased 6 clips: 2 records in parts")
    assert "1 id was found nowhere: check the list, and --runs" in report.lines()
    assert len(report.document["found_nowhere"]) == 1
    (area / "b.bin").unlink()
    again = erase(store.path, [*ids, "nowhere/clip"], runs=[area])
    assert again.nowhere == 2  # the file with one of them was removed by hand
    last = erase(store.path, [*ids, "nowhere/clip"], runs=[area])
    assert last.lines()[0].startswith("erased 0 clips")
    assert "7 ids were found nowhere, and named by an earlier erasure" in last.lines()


def test_parquet_and_compressed_files_are_looked_into(store, filled, tmp_path):
    pyarrow, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    area = tmp_path / "pred"
    area.mkdir()
    table = pyarrow.table({"id": [*GONE, *KEPT], "p_joy": np.arange(len(GONE) + len(KEPT)) / 10})
    pq.write_table(table, area / "part-1.parquet")
    with zipfile.ZipFile(area / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.txt", f"a\n{GONE[0]}\n")
    report = erase(store.path, GONE, runs=[area])
    assert report.scan.hits == [Remnant(str(area / "export.zip"), "a member with an id")]
    kept = pq.read_table(area / "part-1.parquet")
    assert kept.column("id").to_pylist() == KEPT
    assert kept.column("p_joy").to_pylist()[0] == 0.3


def test_compaction_and_an_older_index_bring_nothing_back(store, filled):
    (old,) = index_paths(filled.path)
    data = old.read_bytes()
    erase(store.path, GONE)
    compact(Store(store.path).recipes["toy"], progress=False)
    (filled.path / old.name).write_bytes(data)  # as if an erasure had died after the index
    assert erase(store.path, GONE).is_complete
    assert not names_in(store.path, b"ann/clip_0")
