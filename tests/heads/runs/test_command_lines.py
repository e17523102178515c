"""The commands that a run writes down: fitted again with them, a run has the same question."""

import shlex
from pathlib import Path

import pytest

from emo.heads.runs.command_lines import commands_of
from emo.heads.runs.files import read_document
from tests.make_batches import learnable, make_store

QUICK = ("--epochs", "1", "--threads", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A manifest whose media lie elsewhere, and a store in which some clips lack a stream."""
    folder = tmp_path_factory.mktemp("commands") / "team" / "meld"
    (folder / "media").mkdir(parents=True)
    labels, tokens = learnable(60, streams=("a", "b"))
    for row in range(0, 24):
        del tokens[f"c{row}"]["b"]
    make_store(folder / "features", tokens)
    rows = [f"c{n},x,{label},{'train' if n < 40 else 'val' if n < 50 else 'test'},s{n % 4}"
            for n, label in enumerate(labels)]  # fmt: skip
    (folder / "tables").mkdir()
    lines = "\n".join(["id,text,Emotion,split,speaker", *rows])
    (folder / "tables" / "m.csv").write_text(lines + "\n")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("--head", "mean_pool", "-o", "dropout=0.10", "--task", "classify", "--seeds", "2"),
        ("--head", "mean_pool", "--ablate", "--missing", "--interval-over", "clip"),
        ("--head", "mean_pool", "--search", "2", "--learning-rate", "0.002"),
        ("--preset", "qia-text", "--patience", "12", "--stream", "fake/a"),
        ("--head", "linear", "-o", "solver=ridge", "--cv", "2", "--stream", "fake/a"),
    ],
    ids=["typed", "ablation", "search", "preset", "folds"],
)
def test_the_command_of_a_run_gives_the_same_question(words, made, emo, without_plots):
    given = (made / "tables" / "m.csv", "--features", made / "features", *words)
    given += ("--column", "label=Emotion", "--root", made / "media")
    given += () if "linear" in words else QUICK
    code, _, err = emo("fit-head", *given, "--out", "runs/first")
    assert code == 0, err
    single = Path("runs/first/fake-b") if "--ablate" in words else Path("runs/first")
    document = read_document(single)
    again = shlex.split(commands_of(document)[-1])[1:]
    code, _, err = emo(*again, "--out", "runs/second")
    assert code == 0, err
    assert read_document(Path("runs/second"))["question"] == document["question"]


def test_the_folder_of_media_is_recorded_and_found_again(made, emo, without_plots):
    given = ("--features", made / "features", "--column", "label=Emotion", "--head", "linear",
             "-o", "solver=ridge", "-o", "fusion=late")  # fmt: skip
    table = made / "tables" / "m.csv"
    code, _, err = emo("fit-head", table, *given, "--root", made / "media", "--out", "runs/first")
    assert code == 0, err
    document = read_document(Path("runs/first"))
    assert document["manifest"]["root"] == str(made / "media")
    assert "--root media" in document["asked"][-1]
    assert "team" not in "".join(document["asked"])
    code, _, err = emo("rerun", "runs/first")
    assert code == 0, err
    assert read_document(Path("runs/first-again"))["manifest"] == document["manifest"]
    code, _, err = emo("fit-head", table, *given, "--out", "runs/own")
    assert code == 0, err
    assert "root" not in read_document(Path("runs/own"))["manifest"]
