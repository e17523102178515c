"""What a job says once about its clips: no face, texts that were cut or left out."""

import pytest

from emo.extract.backbones.hf import HF
from emo.extract.backbones.openclip import OpenClip
from emo.store.store import Store
from tests.make import make_clip


@pytest.fixture
def extract(emo):
    """``emo extract`` on the manifest of a folder; returns what it prints to stdout."""

    def run(folder, *words):
        code, out, err = emo(
            "extract", folder / "manifest.csv", "--out", folder / "features", *words
        )
        assert code in {0, 3}, err
        return out

    return run


@pytest.fixture
def clips(tmp_path):
    """Two clips without faces."""
    for name in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / name, audio=False)
    (tmp_path / "manifest.csv").write_text("id,video\na,a.mp4\nb,b.mp4\n")
    return tmp_path


def test_clips_without_a_face_are_counted_once_for_the_job(clips, extract):
    said = (
        "no face was found in 2 of 2 clips (classic, faces): the centres of their frames stand in; "
        "-o require_face=true makes their face stream absent"
    )
    out = extract(clips, "--backbone", "classic", "--backbone", "faces")
    assert out.splitlines().count(said) == 1
    assert Store(clips / "features").recipes["faces"].notes["a"] == {"face_share": 0}
    assert "no face" not in extract(clips, "--backbone", "faces")  # nothing was to do
    make_clip(clips / "c.mp4", audio=False)
    with (clips / "manifest.csv").open("a") as file:
        file.write("c,c.mp4\n")
    assert "no face was found in 1 of 1 clips (faces)" in extract(clips, "--backbone", "faces")


def test_nothing_is_said_where_no_face_is_looked_for_or_it_is_required(clips, extract):
    assert "no face was" not in extract(clips, "--backbone", "faces", "--faces", "centre")
    out = extract(clips, "--backbone", "faces:strict", "-o", "require_face=true")
    assert "no face was found in" not in out
    assert "failed: a (strict)" in out


def test_clips_with_faces_are_not_counted(demo_clips, tmp_path, extract):
    lines = (demo_clips / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join(lines[:3]) + "\n")
    assert "no face" not in extract(tmp_path, "--backbone", "faces", "--root", demo_clips)


def test_a_resumed_job_says_it_too(clips, extract, emo):
    extract(clips, "--backbone", "faces")
    for part in Store(clips / "features").recipes["faces"].part_paths:
        part.unlink()
    _, out, _ = emo("extract", "--resume", clips / "features")
    assert "no face was found in 2 of 2 clips (faces)" in out


def test_words_that_openclip_leaves_out_and_pieces_of_hf_are_counted(tmp_path, extract):
    for name, write in (("clip", OpenClip.write_tiny), ("bert", HF.write_tiny)):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    rows = ["a,short", f"b,{'word ' * 80}", f"c,{'word ' * 75}", f"d,{'word ' * 90}"]
    (tmp_path / "manifest.csv").write_text("\n".join(["id,text", *rows]) + "\n")
    out = extract(
        tmp_path, "--backbone", "openclip", "--backbone", "hf",
        "-o", f"openclip.weights={tmp_path / 'clip'}", "-o", "openclip.streams=text",
        "-o", f"hf.weights={tmp_path / 'bert'}", "-o", "hf.model=tiny",
    )  # fmt: skip
    assert (
        "the text of 2 of 4 clips is longer than the model reads (openclip): "
        "20 words at the ends were left out"
    ) in out
    assert "the text of 3 of 4 clips is longer than the model reads (hf): it was cut" in out
    notes = Store(tmp_path / "features").recipes["openclip"].notes
    assert notes == {"b": {"words_lacking": 5}, "d": {"words_lacking": 15}}
