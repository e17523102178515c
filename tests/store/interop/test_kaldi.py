"""Kaldi's ark and scp files, written by kaldiio (files/make_files.py)."""

import shutil

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import Recipe, StreamSpec
from tests.contracts.test_formats import fill
from tests.store.interop.bring import FILES, bring, send

WANTED = dict(np.load(FILES / "kaldi.npz"))


@pytest.mark.parametrize("name", ["feats.ark", "feats.scp", "text.ark"])
def test_matrices_of_kaldiio(tmp_path, name):
    folder, _ = bring(tmp_path, "kaldi", FILES / name)
    assert list(folder.ids) == ["utt-a", "utt-b"]
    for clip_id, tokens in WANTED.items():
        found = folder.read(name.split(".")[0], [clip_id]).values
        assert found.tobytes() == tokens.tobytes()


@pytest.mark.parametrize(
    ("name", "error"), [("packed2", 0.02), ("packed3", 1e-4), ("packed5", 0.01)]
)
def test_compressed_matrices_of_kaldiio(tmp_path, name, error):
    folder, _ = bring(tmp_path, "kaldi", FILES / f"{name}.ark")
    for clip_id, tokens in WANTED.items():
        np.testing.assert_allclose(folder.read(name, [clip_id]).values, tokens, atol=error)


def test_vectors_are_one_token_each(tmp_path):
    folder, _ = bring(tmp_path, "kaldi", FILES / "vec.ark")
    assert folder.recipe.streams["vec"].dtype == "float64"
    np.testing.assert_array_equal(folder.read("vec", ["utt-a"]).values, WANTED["utt-a"][:1])


def data(tmp_path, line=None):
    (tmp_path / "data").mkdir()
    shutil.copy(FILES / "feats.ark", tmp_path / "data" / "feats.ark")
    text = (FILES / "feats.scp").read_text() if line is None else line
    (tmp_path / "data" / "feats.scp").write_text(text)
    return tmp_path / "data"


def test_a_data_folder_has_labels(tmp_path):
    folder = data(tmp_path, "utt-a /old/machine/feats.ark:6\nutt-b feats.ark:75\n")
    (folder / "utt2spk").write_text("utt-a anna\nutt-b zoe\n")
    (folder / "text").write_text("utt-a so good\n")
    _, report = bring(tmp_path, "kaldi", folder)
    assert report.cells == {
        "utt-a": {"text": "so good", "speaker": "anna"}, "utt-b": {"text": "", "speaker": "zoe"},
    }  # fmt: skip


WRONG = {
    "utt-a touch owned |": "line 1: refused: 'touch owned |' is a command to run",
    "utt-a | touch owned": "is a command to run",
    "utt-a ../secret.ark:0": "line 1: '../secret.ark' is not in ",
    "utt-a /etc/passwd": "is not in ",
    "utt-a feats.ark:7": "line 1: utt-a: .*matrix",
    "utt-a feats.ark:999": "line 1: utt-a: .*matrix",
    "utt-a feats.ark:6[0:2]": "ranges of rows",
    "utt-a": "expected KEY FILE:OFFSET",
    "a feats.ark:6\na feats.ark:6": "clip 'a' is in it twice",
}


@pytest.mark.parametrize("line", WRONG)
def test_an_scp_runs_nothing_and_reads_nothing_elsewhere(tmp_path, line, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILES / "feats.ark", tmp_path / "secret.ark")
    with pytest.raises(StoreError, match=WRONG[line]):
        bring(tmp_path, "kaldi", data(tmp_path, line))
    assert not (tmp_path / "owned").exists()


def test_an_ark_that_was_cut_off_is_refused(tmp_path):
    whole = (FILES / "feats.ark").read_bytes()
    (tmp_path / "x.ark").write_bytes(whole[:-3])
    with pytest.raises(StoreError, match="utt-b: the file ends within it"):
        bring(tmp_path, "kaldi", tmp_path / "x.ark")


def test_kaldi_goes_out_and_comes_back(tmp_path):
    recipe = Recipe("toy", {"audio": StreamSpec(3, "float32"), "text": StreamSpec(2, "float64")})
    rng = np.random.default_rng(0)
    clips = {
        f"c{k}": {"audio": rng.normal(size=(k + 1, 3)), "text": rng.normal(size=(1, 2))}
        for k in range(3)
    }
    folder = fill(tmp_path / "store", recipe, clips)
    cells = {i: {"speaker": "anna", "label": "joy", "text": "oh no"} for i in clips}
    out = send(tmp_path, "kaldi", cells=cells)
    back, report = bring(tmp_path, "kaldi", out)
    for name in recipe.streams:
        assert back.read(name, list(clips)).values.tobytes() == folder.read(name).values.tobytes()
    assert report.cells == cells
    fill(tmp_path / "b" / "store", recipe, {"a b": clips["c0"]})
    with pytest.raises(StoreError, match="clip 'a b': keys of Kaldi have no blanks"):
        send(tmp_path / "b", "kaldi")


def test_lists_of_sound_are_left_out_and_tabs_are_blanks(tmp_path):
    folder = data(tmp_path, "utt-a\tfeats.ark:6\nutt-b \t feats.ark:75\n")
    (folder / "wav.scp").write_text("utt-a sox a.flac - |\n")
    (folder / "cmvn.scp").write_text("anna feats.ark:6\n")
    found, report = bring(tmp_path, "kaldi", folder)
    assert (list(found.ids), list(found.recipe.streams)) == (["utt-a", "utt-b"], ["feats"])
    assert "no features, left out: cmvn.scp, wav.scp" in report.table()
