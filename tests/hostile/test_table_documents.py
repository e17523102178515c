"""Manifests, answers, vocabularies and downloads that may be anything: one line each, quickly."""

import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from emo import plugins
from emo.datasets.synthetic.dataset import is_complete
from emo.datasets.tree import list_tree
from emo.datasets.votes import TABULATED, Votes
from emo.errors import StoreError
from emo.extract.models import file_hashes, weights
from emo.extract.models.tensor_files.checkpoint import read_config, read_tensor, read_tensors
from emo.extract.transforms.clip_tokenizer import ClipTokenizer
from emo.machine.untrusted import files
from emo.manifest import inspect_manifest, read_manifest
from emo.manifest.annotations.collect import from_annotations
from emo.manifest.annotations.format import AnnotationFormat
from emo.manifest.conversations import conversation_rows, from_conversations
from emo.manifest.rows import read_rows
from emo.manifest.tables import parquet
from emo.score.readers.answers import read_table
from emo.store.interop.mertools import Mertools
from tests.hostile.build import refused
from tests.hostile.documents import DAMAGES, DEEP, damage, is_line_or_fine, variants, write

CSV = "id,text,label\na,x,joy\nb,y,anger\n"
ROW = {"id": "a", "text": "x", "label": "joy"}
TALK = [{
    "conversation_ID": 1,
    "conversation": [{"utterance_ID": 1, "text": "x", "speaker": "s", "emotion": "joy"}],
    "emotion-cause_pairs": [["1_joy", "1_x"]],
}]  # fmt: skip
ECF = "1 1\n(1,1)\n1 | s | joy | x | 00:00\n"
ODD = [name for name in DAMAGES if name.startswith("a ") and name != "a list"]


def table(folder: Path, ending: str) -> Path:
    path = folder / f"m{ending}"
    if ending == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"id": ["a", "b"], "text": ["x", "y"]}), path)
    elif ending == ".jsonl":
        path.write_text(json.dumps(ROW) + "\n")
    else:
        path.write_text(CSV.replace(",", "\t") if ending == ".tsv" else CSV)
    return path


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_damaged_manifests(tmp_path, ending, name):
    path = table(tmp_path, ending)
    damage(path, name)
    started = time.monotonic()
    if name == "cut in half" and ending != ".parquet":
        is_line_or_fine(lambda: read_manifest(path), path.name)
    else:
        refused(lambda: read_manifest(path), path.name)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_failing_disk_is_one_line(tmp_path, ending, monkeypatch):
    path = table(tmp_path, ending)

    class Failing:
        def __init__(self, handle, mode="r"):
            os.close(handle)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, size=-1):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files.os, "fdopen", Failing)
    refused(lambda: read_manifest(path), path.name, "Input/output error")


@pytest.mark.parametrize("row", variants(ROW, optional=("id", "label")))
def test_rows_of_json_of_other_types(tmp_path, row):
    path = tmp_path / "m.jsonl"
    write(path, row)
    is_line_or_fine(lambda: read_manifest(path), "m.jsonl")


@pytest.mark.parametrize("line", ["[]", "3", '"x"', "null", '{"id": [1], "text": "x"}', DEEP,
                                  '{"id": "a", "text": ' + 60 * "[" + 60 * "]" + "}"])  # fmt: skip
def test_lines_that_are_no_rows(tmp_path, line):
    path = tmp_path / "m.jsonl"
    path.write_text(line + "\n")
    refused(lambda: read_manifest(path), "line 1")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_100_000_columns(tmp_path, ending):
    path = tmp_path / f"m{ending}"
    names = ["text", *(f"c{k}" for k in range(100_000))]
    mark = "\t" if ending == ".tsv" else ","
    if ending == ".jsonl":
        path.write_text(json.dumps(dict.fromkeys(names, "x")) + "\n")
    else:
        path.write_text(mark.join(names) + "\n" + mark.join("x" for _ in names) + "\n")
    started = time.monotonic()
    refused(lambda: read_manifest(path), "expected at most 10,000 columns, found 100,001")
    assert time.monotonic() - started < 3


def test_another_key_in_each_line_makes_no_square_of_cells(tmp_path):
    path = tmp_path / "m.jsonl"
    lines = ({"text": "x", f"k{k % 9000}": 1} for k in range(12_000))
    path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    refused(lambda: read_manifest(path), "expected at most 100,000,000 cells")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_line_of_a_gigabyte_is_not_read(tmp_path, ending):
    path = tmp_path / f"m{ending}"
    for start in (b"", CSV.encode()):
        path.write_bytes(start)
        with open(path, "r+b") as file:
            file.truncate(2**29)
        started = time.monotonic()
        refused(lambda: read_rows(path), "a line of it has more than 16,777,216 bytes")
        assert time.monotonic() - started < 3


def test_a_text_in_every_row_of_a_parquet_file_is_counted(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(parquet, "MOST_TABLE_BYTES", 2**20)
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000), pa.array(["x" * 2_000]))
    pq.write_table(pa.table({"text": text}), tmp_path / "m.parquet")
    assert (tmp_path / "m.parquet").stat().st_size < 10_000
    refused(lambda: read_rows(tmp_path / "m.parquet"), "m.parquet: column text would take")


@pytest.mark.parametrize("cell", ["9" * 5000, "9" * 5000 + ":00:01", "x" * 5000, "/" + "y" * 5000])
@pytest.mark.parametrize(
    "column", ["turn", "start_seconds", "audio_channel", "audio_track", "split", "video"]
)
def test_messages_show_little_of_a_huge_cell(tmp_path, column, cell):
    path = tmp_path / "m.csv"
    path.write_text(f"id,text,dialogue,{column}\na,x,d,{cell}\nb,y,d,\n")
    if column == "video" and cell[0] != "/":
        return
    refused(lambda: read_manifest(path), "m.csv")
    _, problems = inspect_manifest(path)
    assert all(len(problem.message) < 500 for problem in problems)


def test_rows_of_a_parquet_file_are_counted_before_they_are_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000_000, np.int8)), pa.array(["x"]))
    pq.write_table(pa.table({"text": one}), tmp_path / "m.parquet", compression="zstd")
    assert (tmp_path / "m.parquet").stat().st_size < 50_000
    started = time.monotonic()
    refused(lambda: read_rows(tmp_path / "m.parquet"), "at most 1,000,000 rows .* found 5,000,000")
    assert time.monotonic() - started < 0.5


def test_a_duration_that_no_clock_shows_is_one_line(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a", "b"], "label": pa.array([2**62, 1], pa.duration("s"))})
    pq.write_table(table, tmp_path / "m.parquet")
    refused(lambda: read_rows(tmp_path / "m.parquet"), "m.parquet: not a Parquet file: Overflow")


@pytest.mark.parametrize("encoding", ["UTF-7", "UTF-32", "no-such-thing"])
def test_annotations_in_an_odd_encoding(tmp_path, encoding):
    path = tmp_path / "a.eaf"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?><ANNOTATION_DOCUMENT/>')
    refused(lambda: from_annotations([path], out=tmp_path / "m.csv"), "a.eaf: not XML")


@pytest.mark.parametrize("error", [OverflowError("x"), KeyError("a\nb"), ZeroDivisionError()])
def test_whatever_a_reader_of_annotations_raises_is_one_line(tmp_path, monkeypatch, error):
    def read(path):
        raise error

    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    monkeypatch.setattr(plugins.load(plugins.ANNOTATIONS, "srt", AnnotationFormat), "read", read)
    words = f"a.srt: not a file of annotations that can be read: {type(error).__name__}"
    refused(lambda: from_annotations([tmp_path / "a.srt"], out=tmp_path / "m.csv"), words)


@pytest.mark.parametrize(("ending", "lines"), [("csv", 70_000), ("tsv", 70_000), ("jsonl", 9e6)])
def test_a_subtitle_that_no_manifest_holds_names_its_file(tmp_path, ending, lines):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n" + "x\n" * int(lines))
    words = "a.srt, annotation at 1 s: its text has 139,999 letters"
    refused(
        lambda: from_annotations([tmp_path / "a.srt"], out=tmp_path / f"m.{ending}"),
        words if ending != "jsonl" else "not written, because a row of it would have more than",
    )
    assert not (tmp_path / f"m.{ending}").exists()


@pytest.mark.parametrize("talk", [pytest.param([each.values[0]], id=each.id)
                                  for each in variants(TALK[0])])  # fmt: skip
def test_conversations_of_other_types(tmp_path, talk):
    path = tmp_path / "talk.json"
    write(path, talk)
    is_line_or_fine(lambda: from_conversations({"train": path}, out=tmp_path / "m.csv"), "talk")


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("file", ["talk.json", "talk.txt"])
def test_damaged_conversations(tmp_path, file, name):
    path = tmp_path / file
    path.write_text(json.dumps(TALK) if file.endswith("json") else ECF)
    assert conversation_rows(path, "train")
    damage(path, name)
    refused(lambda: from_conversations({"train": path}, out=tmp_path / "m.csv"), "talk|no dial")
    assert not (tmp_path / "m.csv").exists()


def test_a_count_of_utterances_is_no_loop(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("1 1000000000\n(1,1)\n1 | s | joy | x\n")
    refused(lambda: conversation_rows(path, "train"), "talk.txt")


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_answers(tmp_path, name):
    path = tmp_path / "answers.json"
    write(path, {"a": "joy", "b": "anger"})
    assert read_table(path).columns["id"] == ["a", "b"]
    damage(path, name)
    if name == "an empty object" or name == "a list":
        is_line_or_fine(lambda: read_table(path), "answers.json")
    else:
        refused(lambda: read_table(path), "answers.json")


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_marks_of_the_demo_are_made_again(tmp_path, name):
    marker = {"version": 1}
    write(tmp_path / "synthetic.json", marker)
    assert is_complete(tmp_path, [], marker)
    damage(tmp_path / "synthetic.json", name)
    assert not is_complete(tmp_path, [], marker)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_settings_of_weights(tmp_path, name):
    write(tmp_path / "config.json", {"weight_map": {"a": "b"}})
    assert read_config(tmp_path / "config.json")
    damage(tmp_path / "config.json", name)
    if name != "an empty object":
        refused(lambda: read_config(tmp_path / "config.json"), "config.json")


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
@pytest.mark.parametrize("name", [name for name in ODD if name != "a terabyte"])
def test_other_things_in_place_of_weights(tmp_path, ending, name):
    path = tmp_path / f"w{ending}"
    path.write_bytes(b"x" * 100)
    damage(path, name)
    refused(lambda: read_tensors(path), path.name)
    refused(lambda: read_tensor(path, "a"), path.name)


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("file", ["main", "hashes"])
def test_damaged_notes_about_weights_are_not_used(tmp_path, monkeypatch, file, name):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    main = tmp_path / "models--a--b" / "refs" / "main"
    main.parent.mkdir(parents=True)
    main.write_text("0123abc")
    hashes = tmp_path / "hashes.json"
    write(hashes, {"facts": "hash"})
    monkeypatch.setattr(file_hashes, "_hash_file", lambda: hashes)
    assert weights._snapshot("a/b").name == "0123abc"
    assert file_hashes._remembered() == {"facts": "hash"}
    damage(main if file == "main" else hashes, name)
    assert weights._snapshot("a/b").is_relative_to(tmp_path / "models--a--b")
    assert file_hashes._remembered() in ({}, {"facts": "hash"})


@pytest.mark.parametrize("text", ["../../../etc", "/etc", "..", "a/b", "\0"])
def test_a_revision_leads_nowhere_else(tmp_path, monkeypatch, text):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    main = tmp_path / "models--a--b" / "refs" / "main"
    main.parent.mkdir(parents=True)
    main.write_text(text)
    assert weights._snapshot("a/b") == tmp_path / "models--a--b"


def vocabulary(folder):
    write(folder / "vocab.json", {"a": 0, "a</w>": 1, "<|startoftext|>": 2, "<|endoftext|>": 3})
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder / "vocab.json", folder / "merges.txt"


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("file", ["vocab.json", "merges.txt"])
def test_damaged_vocabularies(tmp_path, file, name):
    paths = vocabulary(tmp_path)
    assert ClipTokenizer(*paths)("a")[1] == 3
    damage(tmp_path / file, name)
    if file == "merges.txt" and name in ("empty", "cut in half"):
        is_line_or_fine(lambda: ClipTokenizer(*paths), file)
    else:
        refused(lambda: ClipTokenizer(*paths), "vocab.json|merges.txt")


@pytest.mark.parametrize("number", [-1, 2**40, "1", None, 1.5, True])
def test_numbers_of_words_that_are_none(tmp_path, number):
    paths = vocabulary(tmp_path)
    write(paths[0], json.loads(paths[0].read_text()) | {"a": number})
    refused(lambda: ClipTokenizer(*paths), "vocab.json")


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_votes(tmp_path, name):
    cells = ",A,D,F,H,N,S,fileName\n100001,1,0,0,0,0,0,x\n"
    (tmp_path / TABULATED).write_text(cells)
    assert Votes.of(list_tree(tmp_path)).shares
    tree = list_tree(tmp_path)
    damage(tmp_path / TABULATED, name)
    is_line_or_fine(lambda: Votes.of(tree), TABULATED)


@pytest.mark.parametrize("cell", ["nan", "inf", "-1", "x", ""])
def test_votes_that_are_no_counts(tmp_path, cell):
    (tmp_path / TABULATED).write_text(f",A,D,F,H,N,S,fileName\n100001,{cell},0,0,0,0,0,x\n")
    refused(lambda: Votes.of(list_tree(tmp_path)), TABULATED)


@pytest.mark.parametrize("name", ODD)
def test_other_things_in_place_of_texts_of_a_download(tmp_path, name):
    (tmp_path / "a.txt").write_text("x")
    tree = list_tree(tmp_path)
    assert tree.text("a.txt") == "x"
    damage(tmp_path / "a.txt", name)
    if name not in ("a number", "a number of 5,000 digits", "a NUL before"):
        refused(lambda: tree.text("a.txt"), "a.txt")


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_documents_of_mertools(tmp_path, name):
    folder = tmp_path / "mer" / "features" / "a-UTT"
    folder.mkdir(parents=True)
    np.save(folder / "c0.npy", np.zeros(3, np.float32))
    write(tmp_path / "mer" / "emo.json", {"folders": {"a-UTT": "a"}, "order": ["c0"]})
    damage(tmp_path / "mer" / "emo.json", name)
    is_line_or_fine(lambda: _imported(tmp_path / "mer"), "emo.json|mer")


def test_arrays_of_mertools_are_counted_before_they_are_read(tmp_path, monkeypatch):
    folder = tmp_path / "mer" / "features" / "a-FRA"
    for clip in ("c0", "c1"):
        (folder / clip).mkdir(parents=True)
        for frame in range(3):
            np.save(folder / clip / f"{frame}.npy", np.zeros(100, np.float32))
    assert _imported(tmp_path / "mer") == ["c0", "c1"]
    monkeypatch.setattr(Mertools, "most_bytes", 2000)
    with pytest.raises(StoreError, match="--most-bytes allows more"):
        _imported(tmp_path / "mer")


def test_an_array_of_mertools_that_says_a_terabyte(tmp_path):
    folder = tmp_path / "mer" / "features" / "a-FRA"
    folder.mkdir(parents=True)
    with open(folder / "c0.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"shape": (2**37, 2), "fortran_order": False, "descr": "<f4"}
        )
    refused(lambda: _imported(tmp_path / "mer"), "c0.npy would take 1,024 GiB")


def _imported(path):
    with Mertools().read(path, None) as contents:
        for rows in contents.streams.values():
            list(rows.blocks())
        return list(contents.ids)


def test_commands_print_one_line(emo, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(CSV)
    damage(path, "a pipe")
    for words in (["check", path], ["extract", path, "--backbone", "classic"],
                  ["fit-head", path, "--features", "s"]):  # fmt: skip
        code, _, err = emo(*words)
        assert (code, len(err.strip().splitlines())) == (1, 1), err
        assert "it is a pipe, not a regular file" in err
