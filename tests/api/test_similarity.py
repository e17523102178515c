"""`emo.search`, `emo.duplicates`, `emo.zero_shot` and `emo.retrieve` on a store of two towers."""

import inspect

import pandas as pd
import pytest
import typer

import emo
from emo.cli import app
from emo.extract.job.request import make_request
from emo.extract.run import extract
from tests.similarity import twins

TEXTS = ["a dog runs", "a cat sleeps", "rain falls", "a dog runs"]


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Four clips in the store features of the current folder."""
    monkeypatch.chdir(tmp_path)
    twins.write_weights(tmp_path / "w")
    table = pd.DataFrame(
        {"text": TEXTS, "label": ["dog runs", "cat sleeps", "rain", "dog runs"],
         "split": ["train", "train", "val", "test"]}, index=list("abcd"),
    )  # fmt: skip
    table.index.name = "id"
    m = emo.Manifest.from_frame(table)
    extract(m, "features", [make_request(twins.NAME, "tw", {"weights": "w"})], progress=False)
    return m


def test_the_functions_do_what_the_commands_do(clips):
    options = ["tw.weights=w"]
    hits = emo.search("features", "cat sleeps", top=2, clips=clips, options=options)
    assert hits.columns.tolist() == ["query", "rank", "id", "score", "text"]
    assert hits["id"][0] == "b"
    assert emo.search("features", like="a", top=1)["id"].tolist() == ["d"]
    several = emo.search("features", queries=["rain", "dog"], top=1, options=options)
    assert several["id"].tolist() == ["c", "a"]
    with pytest.warns(UserWarning, match="last 1 words do not count"):
        emo.search(emo.Store("features"), "one two three four five six seven", options=options)
    pairs = emo.duplicates("features", clips=clips, above=0.999)
    assert pairs.iloc[0].tolist() == ["a", "d", 1.0, "train, test"]
    classes = ["dog runs", "cat sleeps", "rain"]
    found = emo.zero_shot("features", classes, templates=["a {}"], clips=clips, options=options)
    assert found.scores["test"]["mean"]["accuracy"] == 1
    with pytest.raises(emo.EmoError, match="expected several classes"):
        emo.zero_shot("features", ["dog"], out="other")
    with pytest.raises(emo.EmoError, match="holds a run; --overwrite"):
        emo.zero_shot("features", classes, stream="tw/video", options=options)
    with pytest.raises(emo.EmoError, match="class 'b': expected a list of prompts"):
        emo.zero_shot("features", prompts={"a": ["x"], "b": "y"}, out="other")
    with pytest.raises(emo.EmoError, match="do not go with a mapping"):
        emo.zero_shot("features", ["a"], prompts={"a": ["x"], "b": ["y"]}, out="other")
    with pytest.raises(emo.EmoError, match="expected at least one text"):
        emo.search("features", queries=[], options=options)


def test_retrieval_from_tables(clips):
    captions = pd.DataFrame({"text": TEXTS[:3], "clip": list("abc")}, index=["x", "y", "z"])
    captions.index.name = "id"
    texts = emo.Manifest.from_frame(captions)
    request = make_request(twins.NAME, "tt", {"weights": "w", "streams": "text"})
    extract(texts, "features", [request], progress=False)
    found = emo.retrieve(captions, "features", query="tt/text", items="tw/video")
    assert found.scores["query to item"]["r@1"] == 1
    assert "query to item" in found.table()
    again = {"query": "tt/text", "items": "tw/video"}
    with pytest.raises(emo.EmoError, match="holds a run; --overwrite"):
        emo.retrieve(captions, "features", **again)
    emo.retrieve(captions, "features", **again, overwrite=True)


PYTHON = {"store": "features", "manifest": "clips", "option": "options", "template": "templates",
          "column": "clips", "out": "DataFrame.to_csv", "root": "clips",
          "html": "a notebook shows clips itself"}  # fmt: skip


@pytest.mark.parametrize("name", ["search", "duplicates", "zero-shot", "retrieve"])
def test_keywords_are_the_options_of_the_commands(name):
    function = getattr(emo, name.replace("-", "_"))
    params = typer.main.get_command(app).commands[name].params
    options = {each.name for each in params} - {"help", "json", "allow_code"}
    ours = set(inspect.signature(function).parameters)
    assert not {each for each in options if each not in ours and each not in PYTHON}
