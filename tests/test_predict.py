"""`emo predict`: which clips get an answer, and where it is written."""

import pandas as pd
import pytest

from emo.errors import EmoError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import read_manifest
from emo.predict.file import predict_manifest
from tests.make_batches import learnable, make_manifest, make_store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store in which c0 to c4 lack stream a, c5 all, and c6 stream b; runs on a, and on both."""
    folder = tmp_path_factory.mktemp("predict")
    labels, tokens = learnable(60, streams=("a", "b"))
    for row in range(5):
        del tokens[f"c{row}"]["a"]
    tokens["c5"].clear()
    del tokens["c6"]["b"]
    store = make_store(folder / "features", tokens)
    manifest = make_manifest(labels, split=["train"] * 40 + ["val"] * 20)
    options = FitOptions(
        "linear",
        head_options={"solver": "ridge", "penalties": "3", "fusion": "late"},
        threads=1,
        allow_missing=0.2,
    )
    fit_head(manifest, [store], folder / "both", options)
    fit_head(
        manifest,
        [store],
        folder / "a",
        options.replace(streams=("fake/a",)),
    )
    (folder / "new.csv").write_text("id,text\n" + "".join(f"c{row},x\n" for row in range(10)))
    (folder / "none.csv").write_text("id,text\n" + "".join(f"c{row},x\n" for row in range(5)))
    return folder


def predicted(made, run, out, manifest="new.csv"):
    return predict_manifest(
        made / run, made / manifest, made / "features", out, columns={}, root=None
    )


@pytest.mark.parametrize(("run", "bare"), [("a", [0, 1, 2, 3, 4, 5]), ("both", [5])])
def test_clips_without_any_stream_that_the_run_reads_fail(made, tmp_path, run, bare):
    report = predicted(made, run, tmp_path / "found.csv")
    table = pd.read_csv(tmp_path / "found.csv")
    assert list(table["id"]) == [f"c{row}" for row in range(10) if row not in bare]
    assert set(report.failures) == {f"c{row}" for row in bare}
    assert report.failures["c5"] == "broken"
    assert report.exit_code == 3
    if run == "a":
        assert report.failures["c0"] == "without fake/a: none"
        with pytest.raises(EmoError, match="no clip has features; first: c0: without fake/a: none"):
            predicted(made, run, tmp_path / "none.csv", "none.csv")


def test_a_clips_answer_does_not_depend_on_those_that_fail(made, tmp_path):
    predicted(made, "a", tmp_path / "with.csv")
    (made / "last.csv").write_text("id,text\nc9,x\n")
    predicted(made, "a", tmp_path / "alone.csv", "last.csv")
    lines = [(tmp_path / name).read_text().splitlines()[-1] for name in ("with.csv", "alone.csv")]
    assert lines[0] == lines[1]


def test_the_folder_of_the_answers_is_made_or_named_before_anything_is_done(made, tmp_path):
    predicted(made, "both", tmp_path / "new" / "folder" / "found.csv")
    assert (tmp_path / "new" / "folder" / "found.csv").is_file()
    (tmp_path / "file").touch()
    for out, said in (("file/found.csv", "cannot be written"), ("new", "is a folder")):
        with pytest.raises(EmoError, match=said):
            predicted(made, "both", tmp_path / out, "nowhere.csv")


def test_a_model_given_as_a_folder_is_asked_for_by_its_option_and_not_on_a_hub(emo, tmp_path):
    from emo.extract.backbones.hf import HF

    folder = tmp_path / "elsewhere" / "my-bert"
    folder.mkdir(parents=True)
    HF.write_tiny(folder)
    rows = [f"c{n},{'so happy' if n % 2 else 'very sad'} {n},{'joy' if n % 2 else 'sadness'},"
            f"{('train', 'train', 'val', 'test')[n // 2 % 4]}" for n in range(32)]  # fmt: skip
    (tmp_path / "manifest.csv").write_text("\n".join(["id,text,label,split", *rows]) + "\n")
    model = f"model={folder}"
    emo("extract", "manifest.csv", "--backbone", "hf", "-o", model, "-o", "level=mean",
        "--out", "features")  # fmt: skip
    emo("fit-head", "manifest.csv", "--features", "features", "--head", "linear",
        "-o", "solver=ridge", "--out", "run")  # fmt: skip
    code, _, said = emo("predict", "run", "--text", "so happy")
    assert code == 1
    assert "weights 'my-bert' are not here" in said
    assert "fetch" not in said
    assert "-o hf.weights=DIR" in said
    code, _, said = emo("predict", "run", "--text", "so happy", "-o", "model=other")
    assert "the run keeps its value, my-bert" in said
    answers = {
        emo("predict", "run", "--text", "so happy", "-o", option)
        for option in (model, f"weights={folder}", f"hf.weights={folder}")
    }
    assert len(answers) == 1
    assert next(iter(answers))[0] == 0


def test_a_folder_and_json_of_many_clips(emo, tmp_path):
    """Every media file of a folder is a clip; one that cannot be read has its reason."""
    import json
    import wave

    (tmp_path / "clips" / "more").mkdir(parents=True)
    rows = ["id,audio,label,split"]
    for number in range(12):
        name = f"clips/{'more/' if number > 8 else ''}{number}.wav"
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            samples = range(8000)
            file.writeframes(
                b"".join(((k * (number % 2 + 1) * 97) % 9000).to_bytes(2, "little")
                         for k in samples)
            )  # fmt: skip
        split = ("train", "train", "val")[number % 3]
        rows.append(f"c{number},{name},{('joy', 'fear')[number % 2]},{split}")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n")
    assert emo("extract", "m.csv", "--backbone", "logmel")[0] == 0
    fit = ("fit-head", "m.csv", "--head", "linear", "-o", "solver=ridge", "--out", "run")
    assert emo(*fit)[0] == 0
    (tmp_path / "clips" / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "clips" / "notes.txt").write_text("no clip")
    code, out, err = emo("predict", "run", "clips", "--out", "p.csv", "--json")
    assert code == 3, err
    document = json.loads(out)
    assert list(document["failures"]) == ["broken.wav"]
    table = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert list(table["id"]) == [row["id"] for row in document["predictions"]]
    assert sorted(table["id"]) == sorted(
        [f"{n}.wav" for n in range(9)] + [f"more/{n}.wav" for n in range(9, 12)]
    )
    one = json.loads(emo("predict", "run", "clips/3.wav", "--json")[1])
    (many,) = [row for row in document["predictions"] if row["id"] == "3.wav"]
    assert set(many) == set(one)
    assert many["label"] == one["label"]
    assert many["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)
    assert list(table.columns) == ["id", "prediction", "p_fear", "p_joy", "absent"]
    code, _, err = emo("predict", "run", "clips", "--text", "hi")
    assert (code, "put the texts into a manifest" in " ".join(err.split())) == (2, True)
    assert emo("predict", "run", "clips/3.wav", "--features", "features")[0] == 2


def test_json_says_which_streams_a_clip_lacks(made, tmp_path):
    report = predicted(made, "both", tmp_path / "p.csv")
    rows = {row["id"]: row for row in report.found.documents()}
    assert rows["c0"]["absent"] == {"fake/a": "none"}
    assert rows["c9"]["absent"] == {}
    table = pd.read_csv(tmp_path / "p.csv", keep_default_na=False).set_index("id")
    assert table.loc["c0", "absent"] == "fake/a"


def test_streams_that_the_fit_left_out_are_not_told_as_absent(made, tmp_path):
    labels, _ = learnable(60, streams=("a", "b"))
    manifest = make_manifest(labels, split=["train"] * 40 + ["val"] * 20)
    said = {}
    for fusion in ("fake/b", "fake/a", "late"):
        options = FitOptions(
            "linear", head_options={"penalties": "3", "fusion": fusion}, threads=1,
            allow_missing=0.2, streams=("fake/a", "fake/b"),
        )  # fmt: skip
        run = tmp_path / fusion.replace("/", "-")
        fit_head(manifest, [made / "features"], run, options)
        report = predict_manifest(
            run, made / "new.csv", made / "features", tmp_path / "p.csv", columns={}, root=None
        )
        rows = {row["id"]: row["absent"] for row in report.found.documents()}
        said[fusion] = (rows["c0"], "fake/a: absent" in report.table())
    assert said == {
        "fake/b": ({}, False), "fake/a": ({"fake/a": "none"}, True),
        "late": ({"fake/a": "none"}, True),
    }  # fmt: skip


def test_a_run_of_shared_tokens_needs_their_column_and_counts_absent_streams(made, tmp_path):
    labels, _ = learnable(60, streams=("a",))
    lines = [f"q{k},x,{labels[k]},c{k},{'val' if k > 40 else 'train'}" for k in range(60)]
    (tmp_path / "q.csv").write_text("\n".join(["id,text,label,clip,split", *lines]) + "\n")
    options = FitOptions(
        "linear",
        head_options={"solver": "ridge", "penalties": "3", "fusion": "late"},
        streams=("fake/a@clip", "fake/b@clip"),
        threads=1,
    )
    fit_head(read_manifest(tmp_path / "q.csv"), [made / "features"], tmp_path / "run",
             options)  # fmt: skip

    def predict(*rows):
        (tmp_path / "new.csv").write_text("\n".join(rows) + "\n")
        out = tmp_path / "found.csv"
        return predict_manifest(
            tmp_path / "run", tmp_path / "new.csv", made / "features", out, columns={}, root=None
        )

    with pytest.raises(EmoError, match="no row has a value of it; unknown column 'clip'"):
        predict("id,text,video_id", "q1,x,c7", "q2,x,c8")
    found = predict("id,text,clip", "q1,x,c1", "q2,x,c2").table()
    assert "- fake/a@clip: absent in 2 of 2 clips" in found
    assert "fake/b@clip: absent" not in found
