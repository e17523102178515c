"""Wide tables of openSMILE, pandas, Weka, audformat and MOSI: ids, features and labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emo.errors import StoreError
from emo.store import Recipe, StreamSpec
from emo.store.exchange.format import MOST_BYTES
from tests.contracts.test_formats import fill
from tests.store.interop.bring import FILES, bring, send

SMILE = "name;frameTime;F0[0];F0[1];emotion\n'a.wav';0.0;1;+2e0;joy\nb.wav;0.1;-.5;4;fear\n"


def test_opensmile_brackets_are_no_globs_and_times_are_no_features(tmp_path):
    (tmp_path / "s.csv").write_text(SMILE)
    folder, report = bring(tmp_path, "table", tmp_path / "s.csv")
    assert list(folder.ids) == ["a.wav", "b.wav"]  # csvSink writes quotes
    assert folder.read("features").values.tolist() == [[1, 2], [-0.5, 4]]
    assert folder.recipe.facts["columns"] == {"features": ["F0[0]", "F0[1]"]}
    assert report.cells["b.wav"] == {"emotion": "fear"}
    text = report.table()
    assert "ids: column name (-o id=COLUMN names another)" in text
    assert "left out because of their names (times, labels, ids): frameTime, emotion" in text
    folder, _ = bring(tmp_path, "table", tmp_path / "s.csv", "columns=F0[1]", recipe="one")
    assert folder.read("features").values.tolist() == [[2], [4]]


def test_globs_make_streams_and_a_label_is_a_feature_when_named(tmp_path):
    (tmp_path / "s.csv").write_text("id,a_1,a_2,v_1,label\nx,1,2,3,4\n")
    folder, _ = bring(tmp_path, "table", tmp_path / "s.csv", "columns=audio=a_*,video=v_*,label")
    read = {name: folder.read(name).values.tolist() for name in folder.recipe.streams}
    assert read == {"audio": [[1, 2]], "video": [[3]], "features": [[4]]}
    with pytest.raises(StoreError, match=r"unknown column 'b_\*'. Available: id, a_1"):
        bring(tmp_path, "table", tmp_path / "s.csv", "columns=b_*")


def test_pandas_tables_come_back_bit_by_bit(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(5, 3)).astype("f4"), columns=["x", "y2", "z"])
    frame.insert(0, "file", [f"c{k}" for k in range(5)])
    frame["label"] = list("abcab")
    frame.to_csv(tmp_path / "t.csv")
    folder, report = bring(tmp_path, "table", tmp_path / "t.csv")
    assert folder.read("features").values.tobytes() == frame[["x", "y2", "z"]].values.tobytes()
    assert "unnamed" in report.table()
    frame.to_parquet(tmp_path / "t.parquet")
    again, report = bring(tmp_path, "table", tmp_path / "t.parquet", recipe="b")
    assert again.read("features").values.tobytes() == folder.read("features").values.tobytes()
    assert report.cells["c4"] == {"label": "b"}


def test_arff_of_liac_has_quoted_names_words_and_missing_numbers(tmp_path):
    folder, report = bring(tmp_path, "table", FILES / "liac.arff")
    assert list(folder.ids) == ["a, b.wav", "c.wav"]
    np.testing.assert_allclose(folder.read("features").values, [[0.5, 2], [1e-3, 3]])
    assert list(folder.recipe.facts["columns"]["features"]) == ["pcm[0]_mean", "F0 final"]
    assert report.cells["a, b.wav"] == {"emotion": "joy"}
    why = folder.failures["it's.wav"]
    assert why == "liac.arff: row 11, column F0 final: empty, or no finite number as float32"


def test_audformat_segments_become_ids_and_seconds(tmp_path):
    with pytest.raises(StoreError, match=r"id 'a.wav' is in row 2 and in row 3; -o id='{COLUMN}_"):
        bring(tmp_path, "table", FILES / "audformat.csv")
    _, report = bring(tmp_path, "table", FILES / "audformat.csv", "id={file}:{start}")
    second = report.cells["a.wav:0 days 00:00:01.500000"]
    expected = {"start_seconds": "1.5", "end_seconds": "3.25", "emotion": "fear"}
    assert second == expected | {"file": "a.wav"}
    text = (FILES / "audformat.csv").read_text().replace("0 days 00:00:02.000000", "NaT")
    (tmp_path / "open.csv").write_text(text)
    _, report = bring(tmp_path, "table", tmp_path / "open.csv", "id={file}:{start}", recipe="open")
    last = report.cells["b.wav:0 days 00:00:00.000000"]
    assert last == {"start_seconds": "0", "end_seconds": "", "emotion": "joy", "file": "b.wav"}


WRONG = {
    "id,x\na,1\nb,oops\n": "row 3, column 'x': 'oops' is no number, and the rows before are",
    "id,x\na,1\na,2\n": "id 'a' is in row 2 and in row 3",
    "id,x\na,1,2\n": "Expected 2 columns, got 3",
    "id,x,x\na,1,2\n": "two columns are called 'x'",
    "id,x\n,1\n": "row 2, column id: the id is empty",
    "x,y\n1,2\n": "no column of clip ids; it has x, y. Name one with -o id=COLUMN, or number",
    "1.5,2\n3,4\n": r"its first row is numbers \(1.5, 2 …\): -o header=false",
    "id,x\n": "no column|has no rows|none of its columns",
    "id,x\na,hi\n": "none of its columns holds numbers",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_one_line_with_row_and_column(text, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StoreError, match=f"t.csv: .*{WRONG[text]}|t.csv: {WRONG[text]}") as caught:
        bring(tmp_path, "table", tmp_path / "t.csv")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "brought").exists()


def test_nothing_that_is_not_finite_is_stored(tmp_path):
    (tmp_path / "t.csv").write_text("id,x,z\na,1,nan\nb,inf,1\nc,1e39,1\nd,,1\ne,1,2\n")
    folder, _ = bring(tmp_path, "table", tmp_path / "t.csv")
    assert (list(folder.ids), sorted(folder.failures)) == (["e"], ["a", "b", "c", "d"])
    assert "row 3, column x" in folder.failures["b"]
    wide, _ = bring(tmp_path, "table", tmp_path / "t.csv", "dtype=float64", recipe="wide")
    assert wide.read("features", ["c"]).values[0, 0] == 1e39


def test_rows_of_one_id_are_tokens_when_asked_for(tmp_path):
    (tmp_path / "t.csv").write_text("id,time,x\na,0,1\na,1,2\nb,0,3\n")
    folder, _ = bring(tmp_path, "table", tmp_path / "t.csv", "rows=tokens")
    assert [t.tolist() for t in folder.read("features")] == [[[1], [2]], [[3]]]
    (tmp_path / "t.csv").write_text("id,x\na,1\nb,2\na,3\n")
    with pytest.raises(StoreError, match="the rows of a clip must follow each other"):
        bring(tmp_path, "table", tmp_path / "t.csv", "rows=tokens", recipe="two")


def test_row_numbers_are_ids_only_when_asked_for(tmp_path):
    mosi = Path(__file__).parents[4] / "shared/data/features/mosi/audio_test0.csv"
    if not mosi.is_file():
        pytest.skip("../shared/data is not here")
    options = ["header=false", "id=#row", "labels=73"]
    folder, report = bring(tmp_path, "table", mosi, *options)
    assert (len(folder.ids), folder.recipe.streams["features"].dim) == (752, 73)
    assert {row["73"] for row in report.cells.values()} == {"0", "1"}
    first = np.loadtxt(mosi, delimiter=",", quotechar='"', max_rows=1)[:73]
    assert folder.read("features", ["0"]).values[0].tolist() == first.astype("f4").tolist()


def test_a_table_takes_no_more_than_is_allowed(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n" + "".join(f"c{k},{k}\n" for k in range(1000)))
    with pytest.raises(StoreError, match="--most-bytes allows more"):
        bring(tmp_path, "table", tmp_path / "t.csv", most_bytes=2000)
    assert bring(tmp_path, "table", tmp_path / "t.csv", most_bytes=MOST_BYTES)[1].clips == 1000


def test_a_table_goes_out_and_comes_back(tmp_path):
    rng = np.random.default_rng(1)
    recipe = Recipe("toy", {"audio": StreamSpec(3, "float32")})
    clips = {f"c,{k}": {"audio": rng.normal(size=(k + 1, 3)).astype("f4")} for k in range(3)}
    folder = fill(tmp_path / "store", recipe, clips)
    out = send(tmp_path, "table", cells={i: {"label": "joy"} for i in clips}).rename(
        tmp_path / "out.csv"
    )
    back, report = bring(tmp_path, "table", out, "rows=tokens")
    assert back.read("features").values.tobytes() == folder.read("audio").values.tobytes()
    assert report.cells["c,1"] == {"label": "joy"}
    assert pd.read_csv(out).shape == (6, 5)


def test_row_numbers_of_pandas_and_other_ids_are_no_features(tmp_path):
    frame = pd.DataFrame({"name": ["a", "b"], "id": [7, 8], "Unnamed: 0": [0, 1], "x": [1.5, 2]})
    frame[::-1].to_parquet(tmp_path / "t.parquet")  # with a column __index_level_0__
    folder, report = bring(tmp_path, "table", tmp_path / "t.parquet", "id=name")
    assert folder.read("features", ["a", "b"]).values.tolist() == [[1.5], [2]]
    assert "ids): id, Unnamed: 0" in report.table()


@pytest.mark.parametrize(
    ("text", "options", "columns"),
    [
        ("name;a;b\nx;1,5;2\n", ["decimal=,"], ["a", "b"]),
        ("0,1,2\n1.5,2,3\n", ["id=#row", "columns=0,1"], ["0", "1"]),
        ("name\ta\tb\nx\t1.5\t2\n", [], ["a", "b"]),
    ],
)
def test_commas_tabs_and_numbers_as_names(tmp_path, text, options, columns):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    folder, _ = bring(tmp_path, "table", tmp_path / "t.csv", *options)
    assert folder.recipe.facts["columns"]["features"] == columns
    assert folder.read("features").values.tolist() == [[1.5, 2]]


def test_numbers_among_the_labels_of_an_export_come_back_as_labels(tmp_path):
    recipe = Recipe("toy", {"audio": StreamSpec(2, "float32")})
    fill(tmp_path / "store", recipe, {"a": {"audio": np.ones((1, 2), "f4")}})
    cells = {"a": {"intensity": "3", 'a "b", c': "4"}}
    out = send(tmp_path, "table", cells=cells).rename(tmp_path / "out.csv")
    back, report = bring(tmp_path, "table", out)
    assert back.recipe.facts["columns"] == {"features": ["audio_0", "audio_1"]}
    assert report.cells == cells
    assert list(pd.read_csv(out)) == ["id", *cells["a"], "audio_0", "audio_1"]


def test_nominal_attributes_and_coded_labels_are_no_features(tmp_path):
    head = "@relation r\n@attribute name string\n@attribute x numeric\n"
    (tmp_path / "t.arff").write_text(head + "@attribute mood {0,1}\n@data\n'a',1.5,0\n'b',2,1\n")
    folder, report = bring(tmp_path, "table", tmp_path / "t.arff")
    assert folder.recipe.facts["columns"] == {"features": ["x"]}
    assert report.cells["b"] == {"mood": "1"}
    assert "labels or text, as the file says: mood" in report.table()
    (tmp_path / "t.csv").write_text("id,x,happy,emotion_id\na,1,0,4\n")
    _, report = bring(tmp_path, "table", tmp_path / "t.csv", recipe="csv")
    assert "features, 2 columns: x, happy" in report.table()
    assert report.cells["a"] == {"emotion_id": "4"}


def test_comments_and_quotes_of_arff(tmp_path):
    head = "@relation r\n@attribute name string\n@attribute x numeric\n@attribute z numeric\n"
    (tmp_path / "t.arff").write_text(head + '@data\n% mine\na,1.5,0\n"b c",2,1\n')
    folder, _ = bring(tmp_path, "table", tmp_path / "t.arff")
    assert list(folder.ids) == ["a", "b c"]


def test_labels_that_differ_between_the_tokens_of_a_clip_are_said(tmp_path):
    (tmp_path / "t.csv").write_text("id,x,label\na,1,joy\na,2,sad\nb,3,joy\n")
    _, report = bring(tmp_path, "table", tmp_path / "t.csv", "rows=tokens")
    assert "differ between the rows of a clip, the first row's taken: label" in report.table()


@pytest.mark.parametrize(
    ("text", "hint"), [("id;x\na;1,5\n", "-o decimal=,"), ("id,x\n", "it has no rows")]
)
def test_tables_without_numbers_say_what_may_help(tmp_path, text, hint):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StoreError, match=f"none of its columns holds numbers.*{hint}"):
        bring(tmp_path, "table", tmp_path / "t.csv")


def test_both_quotes_of_arff_and_its_missing_words(tmp_path):
    head = (
        "@relation r\n@attribute name string\n@attribute f numeric\n@attribute class {joy,fear}\n"
    )
    rows = "'it\\'s',1.5,joy\n\"x y\",2,?\n'c',?,fear\n"
    (tmp_path / "t.arff").write_text(f"{head}@data\n{rows}")
    folder, report = bring(tmp_path, "table", tmp_path / "t.arff")
    assert list(folder.ids) == ["it's", "x y"]
    labels = {"it's": "joy", "x y": "", "c": "fear"}  # c failed, and keeps its label
    assert report.cells == {clip_id: {"class": label} for clip_id, label in labels.items()}


def test_halves_in_a_table_keep_their_value(tmp_path):
    tokens = np.array([[0.1, 1 / 3, -2.324]], np.float16)
    recipe = Recipe("toy", {"audio": StreamSpec(3, "float16")})
    fill(tmp_path / "store", recipe, {"c": {"audio": tokens}})
    file = send(tmp_path, "table", name="t.csv")
    folder, _ = bring(tmp_path, "table", file)
    assert folder.read("features", ["c"]).values.tolist() == tokens.tolist()
