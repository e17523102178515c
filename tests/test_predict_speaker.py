"""`emo predict RUN CLIP… --speaker NAME --like CLIP`: clips of one person."""

import json
import wave

import numpy as np
import pandas as pd
import pytest


def write_wave(path, pitch, seed, *, is_high):
    """Write .2 s of a tone with some noise at 16 kHz, louder noise for the label ``high``."""
    times = np.arange(3200) / 16000
    noise = np.random.default_rng(seed).standard_normal(3200)
    samples = 6000 * np.sin(2 * np.pi * pitch * times) + (400 if is_high else 200) * noise
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs, scaled by speaker and not, on tones of four speakers; and 31 clips of a new person."""
    folder = tmp_path_factory.mktemp("person")
    rows = ["id,audio,label,split,speaker"]
    for number in range(24):
        voice, label = number // 6, number % 2
        write_wave(folder / f"clips/{number}.wav", 150 * (voice + 1), number, is_high=label == 1)
        split = ("train", "train", "train", "val")[voice]
        rows.append(f"c{number},clips/{number}.wav,{('low', 'high')[label]},{split},s{voice}")
    for number in range(31):
        write_wave(folder / f"new/{number:02}.wav", 900, 100 + number, is_high=number % 2 == 1)
    (folder / "m.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def typed(folder, emo, monkeypatch):
    """`emo` in that folder, with both runs fitted."""
    monkeypatch.chdir(folder)
    if not (folder / "scaled").exists():
        assert emo("extract", "m.csv", "--backbone", "logmel", "--out", "f")[0] == 0
        for name, more in (("plain", ()), ("scaled", ("--scaling", "logmel/audio=speaker"))):
            code, out, err = emo("fit-head", "m.csv", "--features", "f", "--head", "linear",
                                 "-o", "solver=ridge", "--out", name, *more)  # fmt: skip
            assert code == 0, err
            assert ("transductive" in out) == (name == "scaled")
    return emo


def predicted(typed, *words):
    code, out, err = typed("predict", "scaled", *words, "--out", "p.csv")
    assert code == 0, err
    return pd.read_csv("p.csv").set_index("id")["p_high"], out


def one(typed, *words):
    code, out, err = typed("predict", "scaled", *words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_one_three_and_thirty_clips_of_a_person(typed, folder):
    clips = [f"new/{number:02}.wav" for number in range(30)]
    single = one(typed, clips[0], "--speaker", "new")
    assert "1 speaker has fewer than 5 clips (new)" in single["notes"][0]
    three, out = predicted(typed, *clips[:3], "--speaker", "new")
    assert list(three.index) == clips[:3]
    assert "- logmel/audio: 1 speaker has fewer than 5 clips (new)" in out
    thirty, out = predicted(typed, *clips, "--speaker", "new")
    assert list(thirty.index) == clips
    assert "fewer than 5" not in out
    is_high = np.arange(30) % 2 == 1
    assert ((thirty.to_numpy() > 0.5) == is_high).all()
    assert single["probabilities"]["high"] != pytest.approx(thirty.iloc[0], abs=1e-4)


def test_like_adds_clips_that_are_not_predicted(typed):
    """One clip with 29 others is scaled as among thirty; a clip that is given twice counts once."""
    clips = [f"new/{number:02}.wav" for number in range(30)]
    thirty, _ = predicted(typed, *clips, "--speaker", "new")
    likes = [word for clip in clips for word in ("--like", clip)]
    single = one(typed, clips[0], *likes)
    assert single["probabilities"]["high"] == pytest.approx(thirty.iloc[0], abs=1e-5)
    assert "notes" not in single
    several, _ = predicted(typed, *clips[:2], *likes, "--speaker", "new")
    assert list(several.index) == clips[:2]
    np.testing.assert_allclose(several, thirty[:2], atol=1e-5)


def test_a_folder_of_likes_may_lie_elsewhere_and_hold_a_broken_file(typed, tmp_path):
    for number in range(6):
        write_wave(tmp_path / f"more/{number}.wav", 900, number, is_high=number % 2 == 1)
    (tmp_path / "more" / "broken.wav").write_bytes(b"RIFF")
    found = one(typed, "new/00.wav", "--like", str(tmp_path / "more"))
    assert len(found["notes"]) == 1
    assert "broken.wav" in found["notes"][0]
    table, _ = predicted(typed, "new", "--like", str(tmp_path / "more"))
    assert len(table) == 31


def test_without_a_speaker_the_numbers_of_train_are_used(typed):
    alone = one(typed, "new/00.wav")
    assert "1 clip without speaker: scaled with train's numbers; --speaker" in alone["notes"][0]
    three, out = predicted(typed, "new/00.wav", "new/01.wav", "new/02.wav")
    assert three.iloc[0] == pytest.approx(alone["probabilities"]["high"], abs=1e-5)
    assert "3 clips without speaker: scaled with train's numbers" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plain", "new/00.wav", "--speaker", "new"), "scales no stream by speaker"),
        (("scaled", "--manifest", "m.csv", "--speaker", "new"), "the column speaker"),
        (("scaled", "new/00.wav", "--like", "none.wav"), "--like none.wav: no such file"),
        (("scaled", "new/00.wav", "none.wav"), "CLIP none.wav: no such file"),
        (("scaled", "new/00.wav", "new/01.wav", "--text", "x"), "--text goes with one file"),
    ],
)
def test_what_cannot_be_is_refused(typed, words, said):
    code, _, err = typed("predict", *words)
    assert code in {1, 2}
    assert said in " ".join(err.replace("│", " ").split())


def test_several_clips_of_a_plain_run_are_as_single_ones(typed):
    code, _, err = typed("predict", "plain", "new/00.wav", "new/01.wav", "--out", "q.csv")
    assert code == 0, err
    table = pd.read_csv("q.csv").set_index("id")["p_high"]
    code, out, _ = typed("predict", "plain", "new/01.wav", "--json")
    document = json.loads(out)
    assert set(document) == {"id", "target", "label", "probabilities", "others", "absent"}
    assert document["probabilities"]["high"] == pytest.approx(table["new/01.wav"], abs=1e-5)
