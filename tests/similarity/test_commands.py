"""`emo search`, `duplicates`, `zero-shot` and `retrieve` on a store of two towers."""

import csv
import json
import shutil

import numpy as np
import pytest

from emo.predict.similarity.retrieve import RetrieveOptions, retrieve
from emo.store import PartWriter, Recipe, Store, StreamSpec
from tests.score.make import write
from tests.similarity import twins

SAID = {
    "a": "a dog runs", "b": "a cat sleeps", "c": "someone laughs aloud", "d": "rain falls",
    "e": "a dog runs", "f": "nobody knows it",
}  # fmt: skip
SPLITS = {"e": "test", "f": "val"}
CODE = "--allow-code"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the first test keeps a copy of what it extracted."""
    return tmp_path_factory.mktemp("kept") / "all"


@pytest.fixture
def emo_store(emo, tmp_path, kept):
    """Run the command; a store of six clips, extracted, and the manifest of them."""
    if kept.exists():
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        return emo
    weights = twins.write_weights(tmp_path / "w")
    rows = [(k, text, SPLITS.get(k, "train"), text.split()[0]) for k, text in SAID.items()]
    write(tmp_path / "m.csv", "id,text,split,label", *rows, ("g", "-", "train", "x"))
    code, _, err = emo(
        "extract", "m.csv", "--backbone", f"{twins.NAME}:tw", "-o", f"weights={weights}",
        "--out", "features",
    )  # fmt: skip
    assert code in (0, 3), err
    shutil.copytree(tmp_path, kept)
    return emo


def found(emo, *words, code=0):
    got, out, err = emo(*words, "--json")
    assert got == code, err
    return json.loads(out)


WORDS = ("-o", "tw.weights=w", CODE)


def test_words_find_what_is_said_and_load_one_tower(emo_store):
    twins.Twins.loaded.clear()
    shutil.move("w/video.npy", "gone.npy")  # the other tower is not needed
    answer = found(emo_store, "search", "features", "aloud laughs", "--top", 2, *WORDS)
    assert twins.Twins.loaded == ["text"]
    assert answer["hits"][0]["id"] == "c"
    assert (answer["stream"], answer["searched"], len(answer["hits"])) == ("tw/video", 6, 2)
    code, out, _ = emo_store("search", "features", "aloud", *WORDS, "--manifest", "m.csv")
    assert code == 0
    assert "someone laughs aloud" in out
    assert "searched 6 clips of tw/video: cosine, mean of the tokens" in out
    assert "left out, without this stream: 1 clip" in out


def test_clips_are_found_like_a_clip_and_like_many_texts(emo_store, tmp_path):
    answer = found(emo_store, "search", "features", "--like", "a", "--top", 1, CODE)
    assert [(hit["id"], hit["score"]) for hit in answer["hits"]] == [("e", 1.0)]
    write(tmp_path / "q.csv", "id,text", ("q1", "rain"), ("q2", "cat sleeps"))
    words = ("search", "features", "--queries", "q.csv", "--out", "hits.csv", "--top", 3, *WORDS)
    many = found(emo_store, *words)
    rows = [*csv.DictReader((tmp_path / "hits.csv").read_text("utf-8").splitlines())]
    assert [row["id"] for row in rows if row["rank"] == "1"] == ["d", "b"]
    alone = found(emo_store, "search", "features", "rain", "--top", 3, *WORDS)
    strip = [{**hit, "query": ""} for hit in many["hits"][:3]]
    assert strip == [{**hit, "query": ""} for hit in alone["hits"]]


def test_columns_of_the_manifest_choose_the_clips(emo_store):
    words = ("search", "features", "dog", *WORDS, "--manifest", "m.csv", "--where", "split=test")
    assert [hit["id"] for hit in found(emo_store, *words)["hits"]] == ["e"]
    code, _, err = emo_store(*words[:-1], "split=tset")
    assert code == 1
    assert "split has test, train, val" in err


def test_long_queries_are_cut_and_it_is_said(emo_store):
    text = "one two three four five six seven eight"
    answer = found(emo_store, "search", "features", text, *WORDS)
    assert answer["notes"] == [
        f"query {text!r} is longer than the text tower reads: its last 2 words do not count"
    ]


def test_many_long_queries_and_prompts_are_counted_in_one_short_line(emo_store, tmp_path):
    text = "laugh " * 100
    (note,) = found(emo_store, "search", "features", text, *WORDS)["notes"]
    assert len(note) < 160
    assert note.startswith("query 'laugh laugh")
    write(tmp_path / "q.csv", "text", (text,), ("rain",), (text + "aloud",))
    (note,) = found(emo_store, "search", "features", "--queries", "q.csv", *WORDS)["notes"]
    assert note.startswith("2 of 3 queries are longer than the text tower reads, such as 'laugh")
    template = "a picture of one {} face that is here"
    words = ("zero-shot", "features", "--classes", "dog,cat", "--template", template, *WORDS)
    notes = found(emo_store, *words)["notes"]
    assert "2 of 2 prompts are longer than the text tower reads" in " ".join(notes)
    words = (*words[:3], "dog,cat runs", "--template", "one two three four five {}")
    notes = found(emo_store, *words, *WORDS, "--out", "o")["notes"]
    assert "prompt 'one two three four five cat runs' is longer" in " ".join(notes)


def test_stored_captions_of_several_pieces_are_cut_like_queries(tmp_path):
    store = Store.create(tmp_path / "features")
    first, second = [1.0, 0.0], [0.0, 1.0]
    rows = {"long": [first, second, second], "short": [second], "lost": [first, first]}
    for name, stream, clips in (
        ("t", "text", rows), ("v", "video", {"a": [first], "b": [second]}),
    ):  # fmt: skip
        recipe = Recipe(name, {stream: StreamSpec(2, "float32")}, facts={"space": "s"})
        with PartWriter(store.add_recipe(name, recipe).path, recipe) as part:
            for clip, tokens in clips.items():
                notes = {"words_lacking": 2.0} if clip == "short" else {}
                part.add(clip, {stream: tokens}, notes=notes)
    write(tmp_path / "c.csv", "id,text,clip", ("long", "x", "a"), ("short", "y", "b"),
          ("lost", "z", "gone"))  # fmt: skip
    report = retrieve(tmp_path / "c.csv", [tmp_path / "features"],
                      RetrieveOptions("t/text", "v/video"), out=tmp_path / "run")  # fmt: skip
    assert report.scores["query to item"]["r@1"] == 1
    assert "2 of 2 ranked queries are longer than the text tower reads" in " ".join(report.lines)


def test_nothing_is_like_a_clip_of_zeros(emo, tmp_path):
    recipe = Recipe("x", {"video": StreamSpec(2, "float32")})
    folder = Store.create(tmp_path / "features").add_recipe("x", recipe)
    with PartWriter(folder.path, recipe) as part:
        for clip, row in {"a": [1.0, 0.0], "b": [0.0, 0.0]}.items():
            part.add(clip, {"video": [row]})
    code, out, err = emo("search", "features", "--like", "b")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "query 'b': its vector is all zeros" in err
    assert emo("search", "features", "--like", "a")[0] == 0


def test_the_only_stream_with_tokens_is_meant_and_all_such_are_named(emo, tmp_path):
    for name, present in {"texts": {"text"}, "mixed": {"text", "video", "sound"}}.items():
        recipe = Recipe("x", dict.fromkeys(("text", "video", "sound"), StreamSpec(2, "float32")))
        folder = Store.create(tmp_path / name).add_recipe("x", recipe)
        with PartWriter(folder.path, recipe) as part:
            for clip in "ab":
                tokens = {stream: [[1.0, 0.5]] for stream in present}
                part.add(clip, tokens, absent=dict.fromkeys(recipe.streams.keys() - present, "-"))
    code, out, err = emo("search", "texts", "--like", "a")
    assert code == 0, err
    assert "of x/text" in out
    code, _, err = emo("search", "mixed", "--like", "a")
    assert code == 1
    assert all(f"x/{stream}" in err for stream in ("text", "video", "sound"))


def without_space(path):
    document = json.loads((path / "recipe.json").read_text())
    del document["facts"]
    (path / "recipe.json").write_text(json.dumps(document))


def test_a_store_without_spaces_takes_them_from_its_weights(emo_store, tmp_path):
    without_space(tmp_path / "features" / "tw")
    answer = found(emo_store, "search", "features", "aloud", *WORDS)
    assert answer["hits"][0]["id"] == "c"
    twins.write_weights(tmp_path / "other", seed=1)
    code, _, err = emo_store("search", "features", "aloud", "-o", "tw.weights=other", CODE)
    assert code == 1
    assert "was not made with these weights" in err


def test_other_weights_are_refused(emo_store, tmp_path):
    twins.write_weights(tmp_path / "other", seed=1)
    code, _, err = emo_store("search", "features", "aloud", "-o", "tw.weights=other", CODE)
    assert code == 1
    assert "they cannot be compared" in " ".join(err.split())


def test_a_stream_without_a_space_is_searched_by_clips(emo_store, monkeypatch):
    monkeypatch.setattr("emo.predict.similarity.text_tower.spaces_of", lambda recipe: {})
    code, _, err = emo_store("search", "features", "aloud", *WORDS)
    assert code == 1
    assert "no space that texts are put into" in " ".join(err.split())
    assert "search with --like" in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give words to search for"),
        (("x", "--like", "a"), "one of them"),
        (("--like", "zz"), "no clip 'zz'"),
        (("x", "--stream", "tw/vidoe"), "did you mean 'video'?"),
        (("x", "--pool", "median"), "--pool median: expected one of mean, max"),
        (("x", "--where", "split=test"), "--where goes with --manifest"),
        ((" ",), "the query is empty"),
        (("",), "the query is empty"),
    ],
)
def test_searches_that_cannot_be_done_are_refused(words, said, emo_store):
    code, _, err = emo_store("search", "features", *words, *WORDS)
    assert code == 1
    assert said in " ".join(err.split())


def test_duplicates_across_splits_come_first(emo_store, tmp_path):
    answer = found(emo_store, "duplicates", "features", "--above", 0.999, "--manifest", "m.csv")
    assert answer["pairs"] == [{"first": "a", "second": "e", "score": 1.0, "splits": "train, test"}]
    assert (answer["across_splits"], answer["left_out"]) == (1, 1)
    code, out, _ = emo_store(
        "duplicates", "features", "--above", 0.01, "--manifest", "m.csv", "--out", "d.csv"
    )
    assert code == 0
    assert "across splits: what is tested was seen in training" in out
    assert (tmp_path / "d.csv").read_text().startswith("first,second,score,splits\na,e,1.0,")


def test_zero_shot_predicts_and_writes_a_run_that_is_scored(emo_store, tmp_path):
    classes = ("--classes", "dog runs,cat sleeps,rain falls", "--template", "a {}")
    words = ("zero-shot", "features", *classes, *WORDS, "--out", "runs/zs")
    answer = found(emo_store, *words)
    assert answer["counts"]["dog runs"] >= 2
    assert "softmax of 20.09 × cosine" in answer["notes"][1]
    rows = [*csv.DictReader((tmp_path / "runs/zs/predictions.csv").read_text().splitlines())]
    assert {row["id"]: row["prediction"] for row in rows}["d"] == "rain falls"
    write(tmp_path / "gold.csv", "id,text,label", *(
        (k, SAID[k], SAID[k].removeprefix("a ")) for k in "abde"
    ))  # fmt: skip
    answer = found(emo_store, *words, "--manifest", "gold.csv", "--overwrite")
    assert answer["scores"]["test"]["mean"]["accuracy"] == 1
    assert "4 clips without split: counted as test" in answer["notes"]
    code, out, err = emo_store("score", "runs/zs", "--gold", "gold.csv", "--metric", "uar")
    assert code == 0, err
    assert "1.000" in out
    code, out, err = emo_store("compare", "runs/zs")
    assert code == 0, err


def test_no_run_is_replaced_without_overwrite(captions, tmp_path):
    zero = ("zero-shot", "features", "--stream", "tw/video", "--classes", "dog,cat", *WORDS)
    for words in (zero, RETRIEVE):
        folder = tmp_path / words[0]
        folder.mkdir()
        (folder / "run.json").write_text("{}")
        (folder / "head.safetensors").write_bytes(b"trained")
        code, out, err = captions(*words, "--out", words[0])
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert f"{words[0]} holds a run; --overwrite replaces it" in err
        assert (folder / "head.safetensors").read_bytes() == b"trained"
        (folder / "paper.txt").write_text("mine")
        assert captions(*words, "--out", words[0], "--overwrite")[0] == 0
        assert (folder / "predictions.csv").exists()
        assert (folder / "paper.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--classes", "dog"), "expected several classes"),
        (("--classes", "dog,cat", "--template", "a photo"), "expected {} where the class goes"),
        (("--classes", "dog,cat", "--manifest", "m.csv"), "is none of the classes dog, cat"),
        (("--prompts", "gone.csv"), "gone.csv: no such file"),
        (("--prompts", "short.csv"), "short.csv: row 3"),
        (("--prompts", "latin.csv"), "latin.csv"),
        (("--prompts", "empty.csv"), "empty.csv: row 3: the prompt is empty"),
        (("--prompts", "good.csv", "--template", "a {}"), "--prompts and --template: give one"),
        (("--classes", "dog,cat", "--template", "latin.csv"), "latin.csv: the file is not UTF-8"),
        (("--classes", "dog,cat", "--template", "none.txt"), "none.txt: the file holds no"),
        (("--prompts", "good.csv", "--target", "x"), "--target x goes with --manifest"),
        (("--prompts", "good.csv", "--manifest", "m.csv", "--target", "lable"),
         "--target lable: no clip of the manifest has a label in this column; columns of labels: "
         "label"),
    ],
)  # fmt: skip
def test_zero_shot_refuses(words, said, emo_store, tmp_path):
    (tmp_path / "none.txt").write_text("\n")
    for name, row in (("short", b"cat"), ("latin", b"cat,caf\xe9"), ("empty", b"cat,"),
                      ("good", b"cat,a cat")):  # fmt: skip
        (tmp_path / f"{name}.csv").write_bytes(b"class,prompt\ndog,a dog\n" + row + b"\n")
    code, out, err = emo_store("zero-shot", "features", *words, *WORDS)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in " ".join(err.split())


def test_a_byte_order_mark_is_no_part_of_a_prompt(emo_store, tmp_path):
    (tmp_path / "t.txt").write_text("\ufeffa {}\n", encoding="utf-8")
    words = ("zero-shot", "features", "--classes", "dog,cat", *WORDS, "--template", "t.txt")
    found(emo_store, *words, "--out", "zs")
    document = json.loads((tmp_path / "zs" / "run.json").read_text("utf-8"))
    assert document["head"]["options"]["prompts"] == {"dog": ["a dog"], "cat": ["a cat"]}


@pytest.fixture
def captions(emo_store, tmp_path):
    rows = [(f"q{k}", text, k, "test") for k, text in SAID.items()]
    write(tmp_path / "captions.csv", "id,text,clip,split", *rows, ("q9", "x", "gone", "test"))
    words = ("--backbone", f"{twins.NAME}:tt", "-o", "weights=w", "-o", "streams=text")
    code, _, err = emo_store("extract", "captions.csv", *words, "--out", "features")
    assert code == 0, err
    return emo_store


RETRIEVE = ("retrieve", "captions.csv", "--query", "tt/text", "--items", "tw/video", CODE)


def test_retrieval_writes_a_run_that_is_scored(captions, tmp_path):
    answer = found(captions, *RETRIEVE, "--out", "runs/ret")
    plain = answer["scores"]["query to item"]
    assert plain["r@1"] == pytest.approx(5 / 6)  # a and e are doubles: each ties with the other
    assert "item ties with a wrong one: 2" in answer["notes"][0]
    assert "1 of 7 queries are left out" in answer["notes"][2]
    assert "1 queries repeat the text" in answer["notes"][3]
    assert "are longer" not in " ".join(answer["notes"])
    rows = [*csv.DictReader((tmp_path / "runs/ret/ranks.csv").read_text().splitlines())]
    assert rows[0] == {"query": "qa", "truth": "a", "rank": "1.5", "ties": "1"}
    words = ("score", "runs/ret", "--gold", "captions.csv", "--metric", "retrieval")
    assert found(captions, *words)["results"][0]["scores"] == pytest.approx(plain)
    scored = found(captions, *words)["results"][0]
    assert found(captions, words[0], "runs/ret/ranks.csv", *words[2:])["results"][0]["scores"] \
        == scored["scores"]  # fmt: skip
    code, _, err = captions(*words, "--by", "text")
    assert code == 1
    assert "--by: --metric retrieval scores ranks; leave it out" in " ".join(err.split())
    code, _, err = captions(*words[:-1], "qa")
    assert code == 1
    assert "--metric accuracy --open" in err
    code, _, err = captions("compare", "runs/ret")
    assert code == 0, err


def test_queries_without_a_right_item_are_counted(captions, tmp_path):
    rows = [(f"q{k}", text, "" if k == "b" else k, "test") for k, text in SAID.items()]
    write(tmp_path / "captions.csv", "id,text,clip,split", *rows)
    notes = found(captions, *RETRIEVE)["notes"]
    assert "1 of 6 queries of split test are left out: their clip is empty" in notes


def test_of_stores_with_the_same_recipe_name_the_one_with_the_stream_is_read(captions, tmp_path):
    shutil.copytree("features/tt", "second/tw")
    shutil.copytree("features/tw", "third/tw")
    alone = found(captions, *RETRIEVE)["scores"]
    both = ("--features", "second", "--features", "features")  # second/tw has texts alone
    assert found(captions, *RETRIEVE, *both, "--overwrite")["scores"] == alone
    code, _, err = captions(
        *RETRIEVE, "--features", "third", "--features", "features", "--overwrite"
    )
    assert code == 1
    assert "tw/video is in third/tw and in features/tw: give one of them" in " ".join(err.split())


def test_intervals_of_retrieve_and_of_score_are_equal(captions, tmp_path):
    rows = [(f"q{k}", SAID[k], item, "test") for k, item in zip("abcdef", "daebfc", strict=True)]
    write(tmp_path / "captions.csv", "id,text,clip,split", *rows)
    answer = found(captions, *RETRIEVE, "--similarity", "dot", "--out", "runs/ret")
    words = ("score", "runs/ret", "--gold", "captions.csv", "--metric", "retrieval")
    assert found(captions, *words)["results"][0]["interval"] == answer["interval"]


def test_two_retrievals_are_compared_by_their_ranks(captions, tmp_path):
    for name, words in (("cosine", ()), ("dot", ("--similarity", "dot"))):
        code, _, err = captions(*RETRIEVE, *words, "--out", f"runs/{name}")
        assert code == 0, err
    pair = ("compare", "--pair", "runs/cosine", "runs/dot")
    code, out, err = captions(*pair)
    assert code == 0, err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    scores = ("R@1", "R@5", "R@10", "MedR", "MeanR")
    found = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(scores)}
    assert found["R@1"][0] == "0.833"  # a and e tie, and share the first rank
    assert "paired bootstrap over 6 items, means over seeds" in lines
    assert "R@1: the interval contains 0; no difference is shown." in lines
    assert "the table scores the first item of each query alone" in " ".join(lines)
    code, out, err = captions(*pair, "--interval-over", "text")
    assert code == 0, err
    assert "paired bootstrap over 5 texts" in out
    ranks = tmp_path / "runs" / "dot" / "ranks.csv"
    ranks.write_text(ranks.read_text().replace("qa,a,", "qa,b,"))
    code, _, err = captions(*pair)
    assert code == 1
    assert "query 'qa' has the right item 'a' in runs/cosine, and 'b'" in " ".join(err.split())
    ranks.write_text("query,truth,rank,ties\nqa,a,1.2,1\n")
    code, _, err = captions("score", "runs/dot", "--gold", "captions.csv", "--metric", "retrieval")
    assert code == 1
    assert "row 2: rank 1.2 does not go with 1 ties" in " ".join(err.split())


def test_normalised_scores_have_names_of_their_own(captions, tmp_path):
    dual = found(captions, *RETRIEVE, "--normalise", "dual-softmax")
    assert [*dual["scores"]] == [
        "query to item", "item to query", "query to item, dual-softmax",
        "item to query, dual-softmax",
    ]  # fmt: skip
    code, _, err = captions(*RETRIEVE, "--normalise", "querybank=captions.csv", "--out", "b")
    assert code == 1
    assert "a query bank holds texts of train" in " ".join(err.split())


def test_spaces_that_differ_are_refused(captions, tmp_path):
    twins.write_weights(tmp_path / "other", seed=1)
    words = ("--backbone", f"{twins.NAME}:ot", "-o", "weights=other", "-o", "streams=text")
    code, _, err = captions("extract", "captions.csv", *words, "--out", "features")
    assert code == 0, err
    code, _, err = captions(*RETRIEVE[:3], "ot/text", *RETRIEVE[4:])
    assert code == 1
    assert "they cannot be compared" in " ".join(err.split())


def test_no_clip_with_the_stream_is_refused(emo_store, tmp_path):
    write(tmp_path / "none.csv", "id,text", ("z1", "x"))
    code, _, err = emo_store("search", "features", "x", *WORDS, "--manifest", "none.csv")
    assert code == 1
    assert "none of 1 clips has tokens of the stream 'video'" in " ".join(err.split())


def test_imported_tokens_live_in_the_space_that_is_named(captions, tmp_path):
    document = json.loads((tmp_path / "features" / "tt" / "recipe.json").read_text())
    space = document["facts"]["space"]["text"]
    assert (
        captions("store", "export", "npz", "features", "--recipe", "tt", "--out", "t.npz")[0] == 0
    )
    for name, words in (("bare", ()), ("named", ("-o", f"space={space}"))):
        code, _, err = captions("store", "import", "npz", "t.npz", "--as", name, *words)
        assert code == 0, err
    words = ("retrieve", "captions.csv", "--items", "tw/video", CODE, "--query")
    assert found(captions, *words, "named/text")["scores"]["query to item"]["r@1"] > 0.8
    for words_or_file in ("a dog", "--like"):
        asked = (words_or_file, *(("m.csv",) if words_or_file == "--like" else ()))
        code, _, err = captions("search", "features", *asked, "--stream", "named/text", CODE)
        assert (code, "--features" in err, "--like" in err) == (1, False, True)
    code, _, err = captions(*words, "bare/text", "--out", "bare")
    assert code == 1
    assert "--as RECIPE -o space=NAME" in " ".join(err.split())
    again = ("store", "import", "npz", "t.npz", "--as")
    for name, other, said in (("bare", space, "no known space"), ("named", "x", repr(space))):
        code, _, err = captions(*again, name, "-o", f"space={other}")
        assert code == 1
        assert "the tokens that are there live in" in " ".join(err.split())
        assert said in " ".join(err.split())
    assert captions(*again, "named", "-o", f"space={space}")[0] == 0
    tokens = dict(np.load("t.npz"))
    wider = {k: np.tile(v, (1, 2)) if v.ndim == 2 else v for k, v in tokens.items()}
    np.savez("wide.npz", **wider)
    code, _, err = captions("store", "import", "npz", "wide.npz", "-o", f"space={space}")
    assert code == 0, err
    code, _, err = captions(*words, "wide/text", "--overwrite")
    assert code == 1
    assert "though both are said to live in the space" in " ".join(err.split())


def test_a_page_of_hits_has_stills_of_the_media(emo_store, tmp_path):
    from PIL import Image

    Image.new("RGB", (640, 360), "red").save(tmp_path / "a.png")
    (tmp_path / "b.mp4").write_bytes(b"torn")
    rows = [("a", "a <dog> runs", "a.png"), ("b", "a cat", "b.mp4"), ("c", "text only", "")]
    write(tmp_path / "pictures.csv", "id,text,video", *rows)
    words = ("search", "features", "dog", *WORDS, "--html", "hits.html")
    code, out, err = emo_store(*words, "--manifest", "pictures.csv")
    assert code == 0, err
    assert out.endswith("- hits.html: 2 of 3 hits without a still\nwrote hits.html\n")
    (note,) = found(emo_store, *words, "--manifest", "pictures.csv")["notes"]
    assert "2 of 3 hits" in note
    page = (tmp_path / "hits.html").read_text("utf-8")
    assert page.count("<figure>") == 3
    assert page.count("data:image/jpeg;base64,") == 1
    assert "a &lt;dog&gt; runs" in page
    assert "<script" not in page
    assert emo_store(*words)[0] == 2
