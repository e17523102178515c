"""The first hour of a newcomer, as typed: from a folder and a spreadsheet to a table and a PDF."""

import json

import numpy as np
import openpyxl
import pytest
from scipy.io import wavfile

EMOTIONS, SPEAKERS = ("angry", "happy", "sad", "neutral"), ("anna", "ben", "carl", "dora", "eve")
RATE = 16000


def sound(emotion, speaker, take):
    """A tone whose pitch tells the emotion and a little of the speaker, in noise."""
    draw = np.random.default_rng([EMOTIONS.index(emotion), SPEAKERS.index(speaker), take])
    seconds = np.arange(RATE // 2) / RATE
    pitch = 120 * 1.4 ** EMOTIONS.index(emotion) + 4 * SPEAKERS.index(speaker)
    wave = sum(np.sin(2 * np.pi * pitch * k * seconds) / k for k in (1, 2, 3))
    return (3000 * wave + 600 * draw.normal(size=len(seconds))).astype(np.int16)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """86 clips ``{split}/{emotion}/{speaker}_{take}.wav``, their texts, 4 clips without labels."""
    monkeypatch.chdir(tmp_path)
    book = openpyxl.Workbook()
    book.active.append(["File", "Transcript"])
    count = 0
    speakers = {"train": SPEAKERS[:3], "val": SPEAKERS[3:4], "test": SPEAKERS[4:]}
    for split, takes in (("train", 5), ("val", 3), ("test", 4)):
        for emotion in EMOTIONS:
            for speaker in speakers[split]:
                for take in range(takes):
                    if count == 86:
                        continue
                    count += 1
                    path = tmp_path / "data" / split / emotion / f"{speaker}_{take + 1}.wav"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    wavfile.write(path, RATE, sound(emotion, speaker, take))
                    name = path.relative_to(tmp_path / "data").as_posix()
                    book.active.append([name, f"this is {emotion} take {take}"])
    while count < 86:  # more takes of the first speakers of train
        emotion, take = EMOTIONS[count % 4], 6 + count
        count += 1
        path = tmp_path / "data" / "train" / emotion / f"anna_{take}.wav"
        wavfile.write(path, RATE, sound(emotion, "anna", take))
        book.active.append([path.relative_to(tmp_path / "data").as_posix(), "one more"])
    book.save(tmp_path / "transcripts.xlsx")
    for number, emotion in enumerate(EMOTIONS):
        path = tmp_path / "new" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        wavfile.write(path, RATE, sound(emotion, "eve", 50))
    return tmp_path


def test_the_first_hour(emo, folder):
    def do(*words, code=0):
        found, out, err = emo(*words)
        assert found == code, out + err
        return out

    said = do("manifest", "folder", "data", "--transcripts", "transcripts.xlsx", "--out", "m.csv")
    assert "86 clips -> m.csv" in said
    assert "86 files joined" in said
    header, *rows = (folder / "m.csv").read_text().splitlines()
    assert {"split", "label", "speaker", "text"} <= set(header.split(","))
    assert len(rows) == 86
    assert do("check", "m.csv").splitlines()[-1].startswith("m.csv: 86 clips; 0 errors")
    do("extract", "m.csv", "--backbone", "classic", "--backbone", "logmel", "--out", "features")
    heads = [
        word for name in ("linear", "mean_pool", "dialogue_bilstm") for word in ("--head", name)
    ]
    said = do("fit-head", "m.csv", *heads, "--stream", "classic/audio", "--epochs", "8",
              "--out", "runs")  # fmt: skip
    assert "dialogue" in said  # why that head was left out
    do("fit-head", "m.csv", "--head", "linear", "--stream", "classic/text", "--out", "runs/text")
    latex = do("compare", "runs/linear", "runs/mean_pool", "runs/text", "--baseline", "runs/text",
               "--latex")  # fmt: skip
    assert r"\toprule" in latex
    do("plot", "confusion", "runs/linear", "--out", "confusion.pdf")
    assert (folder / "confusion.pdf").read_bytes()[:5] == b"%PDF-"
    found = json.loads(do("predict", "runs/linear", "new", "--json"))
    told = {each["id"]: each["label"] for each in found["predictions"]}
    assert told == {f"{number}.wav": emotion for number, emotion in enumerate(EMOTIONS)}
