"""The commands that the page prints, run again, give the same question."""

import html
import json
import re
import shlex

import pytest

from tests.make_batches import learnable, make_manifest, make_store
from tests.report.conftest import page_of, without_plots

__all__ = ["without_plots"]


@pytest.fixture
def folder(tmp_path, monkeypatch, without_plots):
    """The current folder, with the store ``features`` and ``m.csv`` with speakers and splits."""
    labels, tokens = learnable(60, streams=("a", "b"))
    make_store(tmp_path / "features", tokens)
    clips = make_manifest(labels).clips
    splits = [("train", "val", "test")[k * 7 % 60 // 20] for k in range(60)]
    lines = [f"{c.id},x,{splits[k]},{c.targets['label']},s{k % 4},{k / 9}"
             for k, c in enumerate(clips)]  # fmt: skip
    (tmp_path / "m.csv").write_text("\n".join(["id,words,split,label,who,arousal", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "--head mean_pool --target label --stream fake/b --epochs 2 --seeds 2 "
        "-o hidden=8 --label-smoothing 0.1",
        "--head mean_pool --target label --cv speaker --column speaker=who --epochs 1",
        "--head mean_pool --target arousal --cv 2 --epochs 1",
    ],
)
def test_the_printed_command_gives_the_same_question(emo, folder, words):
    column = "text=words"
    first = f"fit-head m.csv --features features --column {column} {words}"
    code, _, err = emo(*first.split(), "--out", "first")
    assert code == 0, err
    page = page_of(folder / "first")
    shown = re.search(r"<h5>Commands</h5><pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    (line,) = [each for each in html.unescape(shown[1]).splitlines() if " fit-head " in each]
    assert ("--cv" in line) == ("--cv" in words)
    code, _, err = emo(*shlex.split(line)[1:], "--out", "again")
    assert code == 0, err
    asked, again = (json.loads((folder / n / "run.json").read_text()) for n in ("first", "again"))
    assert f"<code>{asked['question']}</code>" in page
    assert again["question"] == asked["question"]
    assert again.get("folds", {}).get("by") == asked.get("folds", {}).get("by")


def test_a_cross_validation_of_an_earlier_version_is_cross_validated_again(emo, folder):
    line = "fit-head m.csv --features features --head mean_pool --epochs 1 --column text=words"
    assert emo(*line.split(), "--target", "label", "--cv", 3, "--out", "first")[0] == 0
    document = json.loads((folder / "first" / "run.json").read_text())
    assert "--cv 3" in document["asked"][-1]
    document["asked"] = [each.replace("--cv 3", "") for each in document["asked"]]
    (folder / "first" / "run.json").write_text(json.dumps(document))
    assert "--cv 3" in page_of(folder / "first")
