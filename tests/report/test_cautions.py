"""What the page says before a number is quoted: choice by val, left-out clips, intervals."""

import dataclasses
import json
import re

import numpy as np
import pytest

from emo.errors import FitError
from emo.report import ReportOptions, read_report
from tests.report.conftest import CLASSES, DIALOGUES, LABELS, page_of
from tests.report.make_runs import make_run


def cautions(*runs):
    """The cautions of the only part of a page, as one text."""
    (page,) = read_report(list(runs), ReportOptions()).pages
    return "\n".join(page.cautions)


def with_val(run, score, ids=("v1", "v2"), clips=40):
    """A run with another headline score on val, on some val clips."""
    document = json.loads((run / "run.json").read_text())
    val = document["metrics"]["val"]
    document["metrics"]["val"] = {
        **val, "clips": clips, "mean": {**val["mean"], "weighted_f1": score},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(document))
    (run / "clips.csv").write_text("id,split,init\n" + "".join(f"{i},val,\n" for i in ids))
    return run


def test_runs_that_tie_on_val_are_not_told_apart_by_test(tmp_path):
    runs = [
        with_val(make_run(tmp_path / name, CLASSES, LABELS, skill=skill), score)
        for name, skill, score in (("a", 1.0, 1.0), ("b", 2.0, 1.0), ("c", 0.5, 0.9))
    ]
    page = page_of(*runs)
    assert "val’s choice" not in page
    assert "Had val chosen" not in page
    assert "val cannot tell b, a apart: they share its best score" in cautions(*runs)
    assert "val would have chosen c" in cautions(*runs[:2], with_val(runs[2], 1.1))


def test_val_of_other_or_few_clips_is_told(tmp_path):
    runs = [
        with_val(make_run(tmp_path / name, CLASSES, LABELS, seed=k), 0.5 + k / 10, clips=3)
        for k, name in enumerate("ab")
    ]
    assert "val has only 3 clips: on others it may choose another run" in cautions(*runs)
    with_val(runs[0], 0.5, ids=("v1", "v9"), clips=3)
    assert "scored on different val clips" in cautions(*runs)
    assert "val’s choice" not in page_of(*runs)
    for run in runs:  # an older version wrote no list of clips
        (run / "clips.csv").unlink()
    assert "val has only 3 clips" in cautions(*runs)


def test_clips_without_features_are_counted(tmp_path):
    note = "32 clips (a (b), c, …) without features: left out (2 of train, 30 of test)"
    run = make_run(tmp_path / "half", CLASSES, LABELS, notes=["a note", note])
    assert "half: 30 of 90 test clips were not scored" in cautions(run)
    whole = make_run(tmp_path / "whole", CLASSES, LABELS, notes=[note.replace("30 of test", "x")])
    assert "were not scored" not in cautions(whole)
    folds = {"by": "speaker", "how": "by speaker", "each": []}
    note = "3 clips (a, b, c) without features: left out (3 of all)"
    cross = make_run(tmp_path / "cv", CLASSES, LABELS, folds=["x"] * 60, val=False, notes=[note],
                     fold_entries=folds)  # fmt: skip
    assert "cv: 3 of 63 clips were not scored" in cautions(cross)


def test_what_changed_since_an_older_emo_made_a_run_is_told(tmp_path):
    run = make_run(tmp_path / "old", CLASSES, LABELS)
    assert "since then" not in cautions(run)
    document = json.loads((run / "run.json").read_text())
    document |= {"versions": {"emo": "0.1.0"}, "notes": ["val: 4 clips cut from train"]}
    (run / "run.json").write_text(json.dumps(document))
    assert "old was made by emo 0.1.0; since then: Cut splits and folds" in cautions(run)
    assert page_of(run).count("Cut splits and folds") == 1


def test_the_note_of_a_fit_is_the_one_that_is_looked_for():
    from emo.heads.data.select import drop_without_features
    from emo.manifest import Clip
    from emo.ragged import Ragged
    from emo.report.sections.cautions import _LEFT_OUT

    clips = [Clip("a (1)", split="test"), Clip("b", split="train"), Clip("c", split="test")]
    tokens = {"x": Ragged(np.zeros((1, 2), np.float32), np.array([0, 0, 1, 1]))}
    (note,) = drop_without_features(clips, tokens, 1.0)[2]
    found = _LEFT_OUT.search(note)
    assert found
    assert found[1] == "2 of test"


def test_an_exact_run_has_no_seed_to_vary(tmp_path):
    exact = make_run(tmp_path / "exact", CLASSES, LABELS, seeds=1, seed=3,
                     head={"name": "linear", "options": {"solver": "lbfgs"}})  # fmt: skip
    trained = make_run(tmp_path / "trained", CLASSES, LABELS, seeds=1)
    assert "One seed alone of trained: " in cautions(exact, trained)
    assert "One seed" not in cautions(exact)


def test_few_dialogues_and_one_dialogue_are_told(tmp_path):
    assert "over only 10 dialogues" in cautions(
        make_run(tmp_path / "few", CLASSES, LABELS, dialogues=DIALOGUES)
    )
    one = cautions(make_run(tmp_path / "one", CLASSES, LABELS, dialogues=["d"] * 60))
    assert "drawn over single clips" in one
    many = make_run(tmp_path / "many", CLASSES, LABELS, dialogues=[f"d{k // 2}" for k in range(60)])
    assert "Intervals are drawn" not in cautions(many)


def test_a_score_without_a_width_is_not_certain(tmp_path):
    sure = cautions(make_run(tmp_path / "sure", CLASSES, LABELS, skill=99))
    assert "The interval of sure has no width" in sure
    assert "has no width" not in cautions(make_run(tmp_path / "other", CLASSES, LABELS))


def test_without_test_nobody_is_told_to_choose_by_val(tmp_path):
    runs = [make_run(tmp_path / n, CLASSES, LABELS, split="val", seed=k)
            for k, n in enumerate("ab")]  # fmt: skip
    assert "choose by val" not in cautions(*runs)
    assert "keep clips apart that none of them has seen" in cautions(*runs)


def test_numbers_of_any_size_keep_their_digits(tmp_path):
    for size, digits in ((1e-4, 7), (1.0, 3), (1e6, 0)):
        run = make_run(tmp_path / f"n{digits}", [], np.linspace(-2, 2, 60), task="regress")
        document = json.loads((run / "run.json").read_text())
        found = document["metrics"]["test"]
        mean = found["mean"]["mae"] = found["mean"]["mae"] * size
        found["interval"]["mae"] = [each * size for each in found["interval"]["mae"]]
        (run / "run.json").write_text(json.dumps(document))
        table = [line.split(",") for line in (run / "predictions.csv").read_text().splitlines()]
        rows = [[*row[:3], *(f"{float(x) * size:.9f}" for x in row[3:5]), *row[5:]]
                for row in table[1:]]  # fmt: skip
        (run / "predictions.csv").write_text("\n".join(map(",".join, [table[0], *rows])) + "\n")
        (page,) = read_report([run], ReportOptions(cards=1)).pages
        assert f"an MAE on test of {mean:,.{digits}f} (95 %" in page.board.verdict
        assert f">{mean:,.{digits}f}</b>" in page_of(run)
        (card,) = page.runs[0].cards
        assert abs(float(card.label.replace(",", ""))) > size


def test_labels_that_are_surely_wrong_come_first(tmp_path):
    run = make_run(tmp_path / "ml", ["a", "b"], np.array([[0, 1]] * 3), task="multilabel", seeds=1)
    table = (run / "predictions.csv").read_text().splitlines()
    shares = {"c0": "0.600000,0.700000", "c1": "0.990000,0.510000", "c2": "0.100000,0.900000"}
    rows = []
    for line in table[1:]:
        cells = line.split(",")
        cells[4] = "b" if cells[0] == "c2" else "a|b"
        rows.append(",".join([*cells[:5], shares[cells[0]]]))
    (run / "predictions.csv").write_text("\n".join([table[0], *rows]) + "\n")
    facts = read_report([run], dataclasses.replace(ReportOptions(), cards=9))
    cards = facts.pages[0].runs[0].cards
    assert [facts.clips[card.clip] for card in cards] == ["c1", "c0"]
    assert [card.sure for card in cards] == [0.99, 0.6]


def drawn_over(run, column, words, ends):
    """A run whose intervals are drawn over a column, as with --interval-over."""
    document = json.loads((run / "run.json").read_text())
    document["drawn"] = column
    document["metrics"]["test"] |= {"drawn": words}
    document["metrics"]["test"]["interval"]["weighted_f1"] = ends
    (run / "run.json").write_text(json.dumps(document))
    return run


def test_intervals_are_those_of_run_json_whatever_they_are_drawn_over(tmp_path, manifest):
    runs = [
        drawn_over(make_run(tmp_path / name, CLASSES, LABELS, dialogues=DIALOGUES, seed=k,
                            manifest=manifest), "speaker", "5 speakers", [0.125, 0.875])
        for k, name in enumerate("ab")
    ]  # fmt: skip
    board = read_report(runs, ReportOptions()).pages[0].board
    assert "(95 % interval 0.125 to 0.875 over 5 speakers" in board.verdict
    assert [row.interval for row in board.ranking] == [(0.125, 0.875)] * 2
    assert "Paired bootstrap over 5 speakers" in board.difference_words
    assert "over only 5 speakers" in cautions(*runs)
    assert "0.125, 0.875" in board.latex.replace("--", ", ")
    other = make_run(tmp_path / "c", CLASSES, LABELS, dialogues=DIALOGUES, seed=9)
    board = read_report([*runs, other], ReportOptions()).pages[0].board
    assert "over 10 dialogues" in board.verdict
    assert all(row.interval != (0.125, 0.875) for row in board.ranking)
    manifest.path.rename(tmp_path / "gone.csv")
    try:
        board = read_report(runs, ReportOptions()).pages[0].board
    finally:
        (tmp_path / "gone.csv").rename(manifest.path)
    assert "0.125 to 0.875 over 5 speakers" in board.verdict
    assert "Paired bootstrap over 10 dialogues" in board.difference_words


def test_predictions_that_do_not_give_the_scores_are_told(tmp_path):
    run = make_run(tmp_path / "run", CLASSES, LABELS, seeds=1)
    path = run / "predictions.csv"
    lines = path.read_text().splitlines()
    assert "was changed" not in cautions(run)
    path.write_text("\n".join(lines[:41]) + "\n")
    assert "run.json has scores of 60 rows, its table of predictions has 40" in cautions(run)
    cells = lines[1].split(",")
    cells[4] = CLASSES[(CLASSES.index(cells[4]) + 1) % 4]
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    assert re.search(r"run: accuracy is 0\.\d+ in run.json, but 0\.\d+ by its table", cautions(run))


@pytest.mark.parametrize("how", ["cut", "twice", "share", "nan"])
def test_damaged_predictions_are_an_error_of_one_line(tmp_path, how):
    run = make_run(tmp_path / "run", CLASSES, LABELS)
    path = run / "predictions.csv"
    lines = path.read_text().splitlines()
    last = lines[-1].rpartition(",")[0]
    ends = {"cut": [], "twice": [lines[-1]] * 2, "share": [f"{last},-1"], "nan": [f"{last},nan"]}
    changed = [*lines[:-1], *ends[how]]
    path.write_text("\n".join(changed) + "\n")
    with pytest.raises(FitError, match="predictions"):
        page_of(run)
