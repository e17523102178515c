"""`emo predict --out FOLDER/`: parts with the numbers of one file, each clip once, work once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emo import Predictor
from emo import Store as ApiStore
from emo.errors import EmoError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.runs import chunks
from emo.predict.file import predict_manifest
from emo.predict.scale import chunk, chunked_manifest, prediction_parts, stream
from emo.predict.scale.to_parts import predict_to_parts
from emo.store import PartWriter, Store
from emo.store.maintain.index import make_index
from tests.make_batches import learnable, make_manifest, make_store

CLIPS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on two streams, and one of dialogues; c0 to c4 lack stream a, c5 and c33 failed."""
    folder = tmp_path_factory.mktemp("scale")
    labels, tokens = learnable(CLIPS, streams=("a", "b"))
    for row in range(5):
        del tokens[f"c{row}"]["a"]
    tokens["c5"].clear()
    tokens["c33"].clear()
    store = make_store(folder / "features", tokens)
    splits = ["train"] * 40 + ["val"] * 20
    options = FitOptions(
        "linear",
        head_options={"solver": "ridge", "penalties": "3", "fusion": "late"},
        threads=1,
        allow_missing=0.2,
    )
    fit_head(make_manifest(labels, split=splits), [store], folder / "run", options)
    dialogues = [f"d{row % 7}{row > 39}" for row in range(CLIPS)]
    turns = [row // 7 for row in range(CLIPS)]
    given = make_manifest(labels, split=splits, dialogue=dialogues, turn=turns)
    of_dialogues = FitOptions.of(
        head="dialogue_bilstm", epochs=1, threads=1, allow_missing=0.2, streams=("fake/b",)
    )
    fit_head(given, [store], folder / "dialogues", of_dialogues)
    table(folder / "m.parquet", range(CLIPS))
    pd.DataFrame(
        {"id": [f"c{row}" for row in range(CLIPS)], "text": "x", "dialogue": dialogues,
         "turn": turns}
    ).to_parquet(folder / "dialogues.parquet")  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Chunks of 16 clips, forward passes of 8 clips or 2 dialogues, reads of few bytes."""
    monkeypatch.setattr(chunks, "CHUNK_CLIPS", 16)
    monkeypatch.setattr(chunked_manifest, "CHUNK_CLIPS", 16)
    monkeypatch.setattr(chunks, "EVALUATED_CLIPS", 8)
    monkeypatch.setattr(chunks, "EVALUATED_DIALOGUES", 2)
    monkeypatch.setattr("emo.heads.training.inference.EVALUATED_CLIPS", 8)
    monkeypatch.setattr("emo.heads.training.inference.EVALUATED_DIALOGUES", 2)
    monkeypatch.setattr(chunk, "READ_BYTES", 2000)
    monkeypatch.setattr(stream, "BATCH_ROWS", 10)


def table(path, rows):
    pd.DataFrame({"id": [f"c{row}" for row in rows], "text": "x"}).to_parquet(path)
    return path


def in_parts(made, out, manifest="m.parquet", run="run", features="features", **options):
    return predict_to_parts(
        made / run, made / manifest, [made / features], f"{out}/", columns={}, **options
    )


def in_file(made, out, manifest="m.parquet", run="run"):
    predict_manifest(made / run, made / manifest, made / "features", out, columns={}, root=None)
    return pd.read_parquet(out)


def times(report):
    return {path: path.stat().st_mtime_ns for path in Path(report.out).rglob("*.parquet")}


def read(report):
    parts = sorted(Path(report.out).glob("*.parquet"))
    found = pd.concat([pd.read_parquet(path) for path in parts], ignore_index=True)
    assert found["id"].is_unique
    return found.set_index("id")


@pytest.mark.parametrize(("run", "manifest"), [("run", "m"), ("dialogues", "dialogues")])
def test_parts_hold_the_bits_of_one_file_and_a_repeat_writes_nothing(made, tmp_path, run, manifest):
    whole = in_file(made, tmp_path / "p.parquet", f"{manifest}.parquet", run).set_index("id")
    report = in_parts(made, tmp_path / "p", f"{manifest}.parquet", run)
    found = read(report)
    assert len(found) == CLIPS - 2
    pd.testing.assert_frame_equal(found.loc[whole.index].drop(columns="recipe"), whole)
    assert found["recipe"].unique().tolist()[0].startswith("fake=")
    assert report.failures == {"c5": "broken", "c33": "broken"}
    assert (report.exit_code, report.written, report.parts) == (3, report.parts, report.parts)
    assert report.parts > 1
    before = times(report)
    again = in_parts(made, tmp_path / "p", f"{manifest}.parquet", run)
    assert (again.written, again.failed, times(again)) == (0, 2, before)


def test_daily_adds_cost_the_last_chunk_and_a_retried_clip_its_own(made, tmp_path):
    table(made / "few.parquet", range(40))  # 16 + 16 + 8
    first = in_parts(made, tmp_path / "p", "few.parquet")
    before = times(first)
    more = in_parts(made, tmp_path / "p")
    assert (more.written, more.removed, more.parts) == (2, 1, 4)
    kept = before.keys() & times(more).keys()
    assert {path: before[path] for path in kept}.items() <= times(more).items()
    assert len(read(more)) == CLIPS - 2
    _, tokens = learnable(CLIPS, streams=("a", "b"))
    store = make_store(tmp_path / "features", {**tokens, "c5": {}})
    late = predict_to_parts(
        made / "run", made / "m.parquet", [store], f"{tmp_path / 'q'}/", columns={}
    )
    folder = Store(store).recipes["fake"]
    with PartWriter(folder.path, folder.recipe, attempt=1) as part:
        part.add("c5", tokens["c5"])
    after = predict_to_parts(
        made / "run", made / "m.parquet", [store], f"{tmp_path / 'q'}/", columns={}
    )
    assert (late.failed, after.failed, after.written, after.removed) == (1, 0, 1, 1)
    assert "c5" in read(after).index


def test_parts_of_other_clips_and_runs_stay(made, tmp_path):
    table(made / "first.parquet", range(10))
    table(made / "last.parquet", range(40, 50))
    first = in_parts(made, tmp_path / "p", "first.parquet")
    last = in_parts(made, tmp_path / "p", "last.parquet")
    assert (last.removed, len(read(last))) == (0, 19)
    other = in_parts(made, tmp_path / "p", "dialogues.parquet", "dialogues")
    assert other.out != first.out
    assert len(read(first)) == 19


def test_a_stopped_run_goes_on_where_it_was(made, tmp_path, monkeypatch):
    commit, left = prediction_parts.commit, [2]

    def stops(folder, name, write):
        if not left[0]:
            write_half = folder / f"{prediction_parts.TEMPORARY}elsewhere-1-x"
            write_half.write_bytes(b"PAR1")
            raise KeyboardInterrupt
        left[0] -= 1
        return commit(folder, name, write)

    monkeypatch.setattr(prediction_parts, "commit", stops)
    with pytest.raises(KeyboardInterrupt):
        in_parts(made, tmp_path / "p")
    monkeypatch.setattr(prediction_parts, "commit", commit)
    report = in_parts(made, tmp_path / "p")
    assert 0 < report.written < report.parts
    whole = in_file(made, tmp_path / "p.parquet").set_index("id")
    assert read(report).loc[whole.index].drop(columns="recipe").equals(whole)


def test_a_prediction_that_is_not_finite_is_a_failure_and_no_class(made, tmp_path):
    _, tokens = learnable(20, streams=("a", "b"))
    tokens["c3"]["a"] = np.full((2, 8), 3e38, np.float32)
    store = make_store(tmp_path / "features", tokens)
    manifest = table(tmp_path / "m.parquet", range(20))
    report = predict_to_parts(made / "run", manifest, [store], f"{tmp_path / 'p'}/", columns={})
    assert list(report.failures) == ["c3"]
    assert "not finite" in report.failures["c3"]
    found = read(report)
    assert len(found) == 19
    assert np.isfinite(found.filter(like="p_").to_numpy()).all()


def test_a_bucket_holds_the_same_parts(made, tmp_path, bucket):
    local = in_parts(made, tmp_path / "p")
    from emo.store.backend.location import location

    for written in (4, 0):
        report = predict_to_parts(
            made / "run", made / "m.parquet", [made / "features"], f"{bucket}/p", columns={}
        )
        assert (report.written, report.failures) == (written, local.failures)
    for path in Path(local.out).glob("*.parquet"):
        assert (location(report.out) / path.name).read_bytes() == path.read_bytes()


def test_manifests_that_need_all_rows_are_read_whole_and_two_equal_ids_are_named(made, tmp_path):
    rows = [f"c{row}" for row in range(30)]
    pd.DataFrame({"name": rows, "text": "x"}).to_csv(tmp_path / "m.csv", index=False)
    found = predict_to_parts(
        made / "run", tmp_path / "m.csv", [made / "features"], f"{tmp_path / 'p'}/",
        columns={"id": "name"},
    )  # fmt: skip
    assert found.clips == 30
    pd.DataFrame({"id": [*rows, "c2"], "text": "x"}).to_parquet(tmp_path / "twice.parquet")
    with pytest.raises(EmoError, match="row 3 and row 31 have the same id 'c2'"):
        in_parts(tmp_path, tmp_path / "q", "twice.parquet", made / "run", made / "features")
    pd.DataFrame({"text": ["x"] * 3}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(EmoError, match="no clip has features; first: text/"):
        in_parts(tmp_path, tmp_path / "q", "none.parquet", made / "run", made / "features")
    assert not (tmp_path / "q").exists()


def test_the_command_writes_parts_and_emo_score_reads_them(emo, made, tmp_path):
    labels, _ = learnable(CLIPS)
    pd.DataFrame({"id": [f"c{row}" for row in range(CLIPS)], "label": labels}).drop(
        index=[5, 33]
    ).to_csv(tmp_path / "gold.csv", index=False)
    words = ("predict", made / "run", "--manifest", made / "m.parquet", "--features",
             made / "features", "--out")  # fmt: skip
    code, out, err = emo(*words, "parts/")
    assert (code, "60 clips in 4 parts, 4 written now" in " ".join(out.split())) == (3, True), err
    assert emo(*words, "p.csv")[0] == 3
    scores = [emo("score", name, "--gold", "gold.csv") for name in ("parts", "p.csv")]
    assert [code for code, _, _ in scores] == [0, 0]
    assert scores[0][1].replace("parts", "p.csv").split() == scores[1][1].split()
    assert emo("predict", made / "run", "x.wav", "y.wav", "--out", "parts/")[0] == 2


def test_batches_of_ids_or_tokens(made):
    predictor = Predictor(made / "run", made / "features")
    ids = np.array(["c9", "c5", "c0"], object)
    found = predictor({"id": ids})
    assert list(found) == ["id", "prediction", "p_anger", "p_calm", "p_joy", "absent", "reason"]
    assert found["reason"].tolist() == ["", "broken", ""]
    assert found["absent"].tolist() == ["", None, "fake/a"]
    assert found["prediction"][1] is None
    assert np.isnan(found["p_joy"]).tolist() == [False, True, False]
    store = ApiStore(made / "features")
    streams = {name: store.read(name, ["c9"])[0] for name in ("fake/a", "fake/b")}
    tokens = Predictor(made / "run")({name: [each, None] for name, each in streams.items()})
    assert tokens["reason"].tolist() == ["", "without fake/a, fake/b"]
    assert tokens["p_joy"][0] == pytest.approx(found["p_joy"][0], abs=2e-6)
    with pytest.raises(EmoError, match=r"column fake/b: expected tokens \(T, 8\)"):
        Predictor(made / "run")({**{n: [t] for n, t in streams.items()}, "fake/b": [[[1.0]]]})
    with pytest.raises(EmoError, match="no column 'id'"):
        predictor({"name": ids})
    with pytest.raises(EmoError, match="needs whole dialogues"):
        Predictor(made / "dialogues")


def test_an_index_answers_as_the_parts_do(tmp_path):
    _, tokens = learnable(40)
    tokens["c7"].clear()
    store = make_store(tmp_path / "features", tokens)
    folder = Store(store).recipes["fake"]
    make_index(folder, progress=False)
    with PartWriter(folder.path, folder.recipe, attempt=1) as part:  # not in the index
        part.add("c7", {"a": np.ones((2, 8), np.float32)}, source="later")
        part.fail("c41", "late")
        part.fail("c2", "of the same source, so that its tokens count")
    clips = Store(store).recipes["fake"].parts
    ids = ["c41", "c7", "c0", "nobody", "c2"]
    merged = clips.merge()
    assert type(clips.merged).__name__ == "Indexed"
    expected = [clips.merged.ordinals.get(name, -1) for name in ids]
    assert clips.merged.ordinals_of(ids).tolist() == expected
    assert [number < 0 for number in expected] == [True, False, False, True, False]
    assert clips.merged.sources_of(ids) == merged.sources_of(ids)
    folder = Store(store).recipes["fake"]
    assert folder.lengths_of("a", ids).tolist() == [-1, 2, *folder.lengths_of("a", ["c0"]), -1,
                                                    *folder.lengths_of("a", ["c2"])]  # fmt: skip
