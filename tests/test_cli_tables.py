"""What commands print at COLUMNS=80 fits into 80 columns."""

import csv

import pytest

from emo.extract.job import timings

LETTERS = "tests.make_backbone:Letters"
RECIPES = ("letters-of-the-first-experiment", "letters-of-the-second-experiment")
LABELS = ("happiness", "sadness", "disappointment")
REASON = "!raise because this text is much longer than what fits into one line of a terminal"


@pytest.fixture
def world(tmp_path, emo, monkeypatch):
    """A manifest with long names, and all else that ``printed`` reads."""
    monkeypatch.setattr(timings, "SHOWN_SECONDS", 0.0)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-hub"))
    rows = [
        {
            "id": f"session-1-dialogue-{k // 6}-utterance-{k}",
            "text": f"{LABELS[k % 3]} {'ab'[k % 2] * (k % 7 + 1)}",
            "label": LABELS[k % 3],
            "dialogue": f"session-1-dialogue-{k // 6}",
            "speaker": f"speaker {k % 2}",
            "split": ("train", "train", "train", "val", "test")[k // 6 % 5],
            "points": k % 3 - 1.0,
        }
        for k in range(90)
    ]
    _write(tmp_path / "m.csv", rows)
    _write(tmp_path / "other.csv", rows[::2])
    _write(tmp_path / "bad.csv", [{"id": row["id"], "text": REASON} for row in rows[:12]])
    for label in LABELS:
        (tmp_path / "media" / label).mkdir(parents=True)
        (tmp_path / "media" / label / "a-recording-with-a-long-name.wav").touch()
    (tmp_path / "handed-in").mkdir()
    for name in ("team-with-a-long-name-first-try", "team-with-a-long-name-second-try"):
        answers = [{"id": row["id"], "prediction": row["label"]} for row in rows]
        _write(tmp_path / "handed-in" / f"{name}.csv", answers)
    (tmp_path / "handed-in" / "broken.csv").write_text("a,b\n1,2\n")
    return tmp_path


def _write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


FIT = ["fit-head", "m.csv", "--epochs", 2, "--batch-size", 8]
COMMANDS = [
    *(["extract", "m.csv", "--backbone", LETTERS, "--as", name] for name in RECIPES),
    ["extract", "bad.csv", "--backbone", LETTERS, "--out", "failed", "--part-clips", 4],
    ["extract", "m.csv", "--backbone", LETTERS, "--out", "new", "--dry-run"],
    ["extract", "m.csv", "--backbone", LETTERS, "--out", "new", "--executor", "slurm", "--dry-run"],
    ["job", "status", "new"],
    ["job", "run", "new"],
    ["job", "status", "failed"],
    ["job", "watch", "new"],
    ["job", "resume", "failed"],
    *(["store", name] for name in ("ls", "verify", "clean", "index", "compact", "failures")),
    ["store", "failures", "failed"],
    [*FIT, "--out", "runs/attention-pool-with-dialogues", "--seeds", 2],
    [*FIT, "--out", "runs/two-targets", "--target", "label", "--target", "points", "--missing"],
    [*FIT, "--out", "runs/ablation", "--ablate", "--head", "mean_pool"],
    [*FIT, "--out", "runs/folds", "--cv", "3", "--head", "mean_pool"],
    ["compare", "runs/attention-pool-with-dialogues", "runs/two-targets"],
    ["compare", "runs/attention-pool-with-dialogues", "runs/two-targets", "runs/folds"],
    ["predict", "runs/two-targets", "--text", "so sad", "--allow-code"],
    ["predict", "runs/two-targets", "--manifest=m.csv", "--features=features", "--allow-code"],
    ["score", "runs/two-targets", "--gold", "m.csv"],
    ["score", "handed-in", "--gold", "m.csv"],
    ["check", "m.csv"],
    ["check", "m.csv", "other.csv"],
    ["check", "bad.csv"],
    ["dataset", "folder", "media", "--fast", "--out", "d.csv"],
    ["manifest", "folder", "media", "--out", "e.csv"],
    ["manifest", "split", "m.csv", "--split-by", "speaker", "--test", "speaker 1", "--out",
     "s.csv"],
    ["store", "pack", "new", "--out", "a.zip"],
    ["store", "unpack", "a.zip", "unpacked"],
    ["store", "export", "npz", "new", "--out", "a.npz"],
    ["store", "import", "npz", "a.npz", "--out", "imported"],
    ["weights", "where", "openclip"],
    ["weights", "where", "languagebind"],
]  # fmt: skip


def outputs(emo):
    for words in COMMANDS:
        code, out, err = emo(*words)
        may_be_1 = words[0] == "check" or words[:2] == ["weights", "where"]
        assert code in ((0, 1, 3) if may_be_1 else (0, 3)), err
        assert "emo: error" not in err
        assert out, words
        yield " ".join(map(str, words)), out, err


@pytest.mark.usefixtures("world")
def test_what_commands_print_fits_80_columns(emo, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    wide = [
        f"emo {words}: {line}"
        for words, out, err in outputs(emo)
        for line in (*out.splitlines(), *err.splitlines())
        if len(line) > 80 and len(line.split()) > 1  # a long path stays whole, to be copied
    ]
    assert wide == []
