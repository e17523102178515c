"""The page of runs: its numbers, what it says, what it never holds."""

import contextlib
import getpass
import json
import os
import re
import stat

import numpy as np
import pytest

from emo.errors import EmoError
from emo.heads.runs.comparing.compare import compare_runs
from emo.report import ClipMedia, MediaProvider, ReportOptions, read_report
from emo.report.names import Names, without_folders
from tests.report.conftest import CLASSES, COUNT, DIALOGUES, IDS, LABELS, Cells, page_of
from tests.report.make_runs import make_run


def data_of(page):
    """The JSON that the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_scores_equal_run_json_and_emo_compare(page, runs):
    rows = {row[0].split()[0]: row for row in Cells(page).tables["Scores of the runs, emotion"][1:]}
    compared = compare_runs(runs, baseline=runs[0])
    for run in runs:
        document = json.loads((run / "run.json").read_text())
        found, row = document["metrics"]["test"], rows[run.name]
        mean, std = found["mean"]["weighted_f1"], found["std"]["weighted_f1"]
        low, high = found["interval"]["weighted_f1"]
        assert row[1] == f"{mean:.3f} ± {std:.3f}"
        assert row[2] == f"{low:.3f} – {high:.3f}"
        assert row[5:] == [f"{found['mean'][name]:.3f}" for name in ("macro_f1", "uar", "accuracy")]
        shown = next(each for each in compared.runs if each.path == run).row()
        assert (row[1], row[2]) == (shown["weighted F1"], shown["95 % interval"])
    (test,) = compared.baseline.tests
    change = test.difference.second - test.difference.first
    (row,) = Cells(page).tables["Differences of the runs, emotion"][1:]
    ends = "{:+.3f} to {:+.3f}".format(*test.difference.interval)
    assert (row[0], row[1], row[2]) == ("better", f"{change:+.3f}", ends)
    assert compared.baseline.tests[0].paired.drawn in page


def test_classes_and_confusion_equal_the_predictions(page, runs):
    found = json.loads((runs[1] / "run.json").read_text())["metrics"]["test"]["classes"]
    rows = Cells(page).tables["Scores by class, emotion, better"][1:]
    assert [row[0].split(" (")[0] for row in rows] == CLASSES
    for row in rows:
        own = found[row[0]]
        assert row[3:6] == [f"{own[name]:.3f}" for name in ("precision", "recall", "f1")]
    matrix = Cells(page).tables["Confusion, emotion, better"][1:]
    counts = [[float(cell or 0) for cell in row[1:-1]] for row in matrix]
    assert np.allclose(np.sum(counts, 1), [found[name]["clips"] for name in CLASSES])
    assert np.allclose(np.sum(counts, 0), [found[name]["predicted"] for name in CLASSES], atol=0.06)
    hits = [found[name]["recall"] * found[name]["clips"] for name in CLASSES]
    assert np.allclose(np.diagonal(counts), hits, atol=0.06)


def test_the_table_holds_every_clip_once_with_all_seeds(page):
    (board,), clips = data_of(page)["boards"], data_of(page)["clips"]
    assert [clips[number] for number in board["clips"]] == IDS
    assert [board["cells"][code] for code in board["labels"]] == [CLASSES[k] for k in LABELS]
    better = board["runs"][0]
    assert (better["name"], better["seeds"]) == ("better", 2)
    right = [sum(seed[k] == str(LABELS[k]) for seed in better["each"]) for k in range(COUNT)]
    assert better["right"] == right


def test_without_media_nothing_of_a_clip_no_path_no_user(page, runs, manifest):
    assert "secret words" not in page
    assert "data:image" not in page
    assert str(manifest.path.parent) not in page
    assert not re.search(r"(?<![\w<.:/])/(home|root|tmp|Users|work)/", page)
    assert getpass.getuser() not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page,
                                           flags=re.DOTALL).split()  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/x y/a.csv", "x y/a.csv"), (r"C:\Users\ann\a.csv is", "a.csv is"),
        ("'/home/ann/a.csv'", "'a.csv'"), ("~/data/a.csv", "a.csv"), ("runs/a", "runs/a"),
        ("https://x.org/a/b", "https://x.org/a/b"), ("1/2", "1/2"),
    ],
)  # fmt: skip
def test_absolute_paths_lose_their_folders(text, shown):
    assert without_folders(text) == shown


def test_anonymous_pages_name_nobody(runs):
    page = page_of(*runs, is_anonymous=True)
    assert not re.search(r"\bann \d|\bc\d+\b|\bd\d+\b", page.partition("<body>")[2])
    assert "speaker 1" in page
    assert "clip 60" in page
    with pytest.raises(EmoError, match="--anonymous and --media"):
        ReportOptions(is_anonymous=True, media=("words",))


def test_hostile_names_are_text(tmp_path):
    names = ["</script><script>pwned()</script>", "<img src=x onerror=pwned()>", "{{7*7}}",
             "\u202eevil", "a\u2028b", "javascript:pwned()"]  # fmt: skip
    ids = [f"{name} {k}" for k in range(8) for name in names]
    run = make_run(tmp_path / "<b>run", names, np.arange(48) % 6, ids=ids, seeds=1, skill=0.2)
    page = page_of(run, title="<i>{{7*7}}")
    assert "<script>pwned" not in page
    assert "<img" not in page
    assert "49" not in re.findall(r"<h1>.*?</h1>", page)[0]
    assert "\u202e" not in page
    assert "\u2028" not in page
    assert "<b>run" not in page
    assert page.count("</script>") == 2
    assert data_of(page)["clips"][0] == ids[0]


def test_the_same_runs_give_the_same_bytes(runs, page):
    assert page_of(*runs, by=("speaker", "gender"), title="Two runs") == page


def test_cautions_say_what_spoils_a_number(tmp_path, page, manifest):
    assert "The best of 2 runs on the same rows scores too well by chance" in page
    assert "5 of 5 scored speakers" not in page
    one = page_of(make_run(tmp_path / "one", CLASSES, np.array([1]), seeds=1))
    assert "Only 1 clip scored" in one
    assert "One seed alone of one" in one
    assert "Intervals are drawn over single clips" in one
    val = page_of(make_run(tmp_path / "val", CLASSES, LABELS, split="val"))
    assert "The runs have no test split: these are scores on val" in val


def test_val_may_choose_another_run(tmp_path, runs):
    document = json.loads((runs[1] / "run.json").read_text())
    metrics = document["metrics"]
    low = {**metrics["val"], "mean": {**metrics["val"]["mean"], "weighted_f1": 0.01}}
    run = make_run(tmp_path / "liked", CLASSES, LABELS, dialogues=DIALOGUES, skill=2.0,
                   metrics={**metrics, "val": low})  # fmt: skip
    page = page_of(runs[0], run)
    assert re.search(r"val would have chosen plain, whose weighted F1 is 0\.\d{3}", page)


def test_runs_on_other_clips_share_no_plot(tmp_path, runs):
    other = make_run(tmp_path / "other", CLASSES, LABELS[:50], ids=IDS[:50])
    found = read_report([*runs, other])
    assert [len(each.runs) for each in found.pages] == [2, 1]
    assert [each.title for each in found.pages] == ["emotion (1)", "emotion (2)"]


def test_groups_have_wilson_intervals_and_what_the_labels_let_expect(page):
    rows = Cells(page).tables["accuracy by speaker, emotion, better"]
    row = next(row for row in rows if row[0] == "ann 0")
    share, count = float(row[2]), int(row[1])
    assert count == 12
    low, high = map(float, row[3].split(" – "))
    assert 0 < low < share < high <= 1
    assert "accuracy by gender, emotion, plain" in Cells(page).tables


TASKS = {
    "regress": {"classes": [], "labels": np.linspace(-2, 2, COUNT), "task": "regress"},
    "multilabel": {"classes": CLASSES, "task": "multilabel",
                   "labels": (np.arange(COUNT * 4).reshape(COUNT, 4) % 3 == 0).astype(int)},
    "pairs": {"classes": ["none", "anger", "joy"], "labels": np.arange(COUNT) % 3, "task": "pairs",
              "causes": IDS[::-1]},
    "many": {"classes": [f"answer {k}" for k in range(120)], "labels": np.arange(COUNT) % 120},
    "few": {"classes": ["x" * 38 + "ab", "x" * 38 + "ac", "中文情感", "الغضب"], "labels": LABELS},
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_a_page(tmp_path, name):
    options = dict(TASKS[name])
    run = make_run(tmp_path / name, options.pop("classes"), options.pop("labels"), **options)
    page = page_of(run)
    shown = {
        "regress": ["Predicted and true numbers", "Largest errors", "MAE on test"],
        "multilabel": ["micro F1", "Most confident mistakes", "Scores by class"],
        "pairs": ["neither the label nor the head names", "→", "pairs"],
        "many": ["60 rarer classes are in run.json"],
        "few": ["中文情感", "الغضب", "xab", "xac"],
    }
    for words in shown[name]:
        assert words in page
    assert ("Confusion, emotion" in page) == (name in ("pairs", "few"))


def test_folds_ablations_and_adapted_runs(tmp_path):
    scored = make_run(tmp_path / "s" / "ab", CLASSES, LABELS, streams={
        "x/a": {"dim": 4}, "x/b": {"dim": 4}})  # fmt: skip
    found = json.loads((scored / "run.json").read_text())["metrics"]["test"]
    make_run(tmp_path / "s" / "a", CLASSES, LABELS, streams={"x/a": {"dim": 4}},
             missing={"emotion": {"without x/b": {"test": found}}})  # fmt: skip
    page = page_of(tmp_path / "s")  # a folder of runs
    rows = Cells(page).tables["Scores of the runs, emotion"]
    assert rows[0][1:3] == ["x/a", "x/b"]
    assert any(row[0].startswith("a without x/b") for row in rows)
    folds = {"by": "speaker", "how": "by speaker", "each": [
        {"name": "ann", "splits": {}, "metrics": {"emotion": found}}]}  # fmt: skip
    cross = make_run(tmp_path / "cross", CLASSES, LABELS, folds=["ann"] * COUNT, val=False,
                     fold_entries=folds)  # fmt: skip
    assert Cells(page_of(cross)).tables["Scores by fold, emotion, cross"][1][0] == "ann"
    make_run(tmp_path / "adapted" / "run", CLASSES, LABELS)
    frozen = {"frozen_metrics": {"emotion": {"test": found}}}
    (tmp_path / "adapted" / "adapt.json").write_text(json.dumps(frozen))
    page = page_of(tmp_path / "adapted")
    assert "Made by <code>emo adapt</code>" in page
    assert "<h5>Commands</h5>" not in page  # those of run.json are of the base's weights
    rows = Cells(page).tables["Scores of the runs, emotion"]
    assert rows[2][0].startswith("adapted, backbone frozen")
    assert rows[2][1] == f"{found['mean']['weighted_f1']:.3f} ± {found['std']['weighted_f1']:.3f}"


def test_a_retrieval_shows_its_ranks(tmp_path):
    names = [f"v{k}" for k in range(30)]
    run = make_run(tmp_path / "found", names, np.arange(30), ids=[f"q{k}" for k in range(30)])
    table = [line.split(",")[:5] for line in (run / "predictions.csv").read_text().splitlines()]
    kept = [",".join(row) for row in table if row[2] in ("seed", "0")]
    (run / "predictions.csv").write_text("\n".join(kept) + "\n")
    rows = [f"q{k},v{k},{1 + k % 7},0" for k in range(30)]
    (run / "ranks.csv").write_text("\n".join(["query,truth,rank,ties", *rows]) + "\n")
    page = page_of(run)
    shown = {row[0]: row[1] for row in Cells(page).tables["Ranks, emotion, found"]}
    assert shown["R@5"] == f"{np.mean(np.arange(30) % 7 < 5):.3f}"
    assert "30 querys" not in page
    document = json.loads((run / "run.json").read_text())
    (run / "history.csv").unlink()
    (run / "run.json").write_text(json.dumps({k: v for k, v in document.items() if k != "kept"}))
    page = page_of(run)
    assert "No curves: nothing was trained" in page
    assert "One seed alone" not in page


def test_ids_that_are_paths_lose_their_folders(tmp_path):
    ids = [f"/home/ann/clips/{k // 2}.mp4" if k % 2 else f"/home/bob/{k // 2}.mp4"
           for k in range(20)]  # fmt: skip
    page = page_of(make_run(tmp_path / "run", CLASSES, np.arange(20) % 4, ids=ids))
    assert "/home" not in page
    assert len({*data_of(page)["clips"]}) == 20


def test_media_are_only_what_the_provider_gives(runs):
    class Served(MediaProvider):
        policy = {"media-src": "'self'"}  # noqa: RUF012
        clip_link = "clip/{number}"

        def of_clip(self, number):
            return ClipMedia(words="<b>hi", video=f"clip/{number}/video")

    page = page_of(*runs, media=Served(), cards=2)
    assert "media-src &#39;self&#39;" in page
    assert "&lt;b&gt;hi" in page
    number = next(iter(data_of(page)["media"]))
    assert data_of(page)["media"][number] == {"video": f"clip/{number}/video"}
    assert f'href="clip/{number}"' in page


def test_a_page_is_written_and_says_how_large_it_is(emo, runs, tmp_path):
    out = tmp_path / "pages" / "report.html"
    code, told, _ = emo("report", *runs, "--out", out, "--media", "words", "--cards", 3)
    assert code == 0
    assert f"wrote {out}" in told
    assert "it shows people (words)" in told
    assert "secret words 0" in out.read_text()
    code, _, err = emo("report", tmp_path / "pages", "--out", out)
    assert code == 1
    assert "holds no run" in err


@pytest.mark.parametrize(
    "entries",
    [{"fold_entries": {"each": [7]}}, {"settings_before": "many"}, {"notes": {"a": 1}},
     {"seen": ["x"]},
     {"missing": {"emotion": {"v": {"test": {"clips": 1, "seeds": {}, "mean": {}, "std": {}}}}}},
     {"head": {"name": "x" * 5000}}, {"asked": [1]}, {"versions": 3}, {"question": None}],
)  # fmt: skip
def test_a_damaged_run_is_an_error_of_one_line_or_shown(tmp_path, entries):
    run = make_run(tmp_path / "run", CLASSES, LABELS[:8], seeds=1, **entries)
    with contextlib.suppress(EmoError):  # any other error fails
        assert "weighted F1" in page_of(run)


@pytest.mark.parametrize("value", [None, "x", float("inf"), 10**400, [], -1])
def test_damaged_scores_are_an_error_of_one_line_or_shown(tmp_path, value):
    run = make_run(tmp_path / "run", CLASSES, LABELS[:8], seeds=1)
    text = (run / "run.json").read_text()
    for part, name in (("joy", "clips"), ("joy", "f1"), ("joy", "predicted"), ("", "majority")):
        document = json.loads(text)
        found = document["metrics"]["test"]
        (found["classes"][part] if part else found["majority"])[name or "weighted_f1"] = value
        (run / "run.json").write_text(json.dumps(document))
        with contextlib.suppress(EmoError):  # any other error fails
            page_of(run)
    document = json.loads(text)
    document["metrics"]["val"]["mean"] = {}
    (run / "run.json").write_text(json.dumps(document))
    with contextlib.suppress(EmoError):
        page_of(run)


def test_the_commands_and_the_question_are_shown(tmp_path):
    asked = ["emo extract m.csv --backbone classic", "emo fit-head m.csv --head linear"]
    page = page_of(make_run(tmp_path / "run", CLASSES, LABELS, asked=asked))
    assert "\n".join(asked) in page
    assert "<code>0123456789abcdef</code>" in page


def test_a_changed_manifest_is_not_used(tmp_path, manifest):
    copy = tmp_path / "m.csv"
    copy.write_text(manifest.path.read_text())
    run = make_run(tmp_path / "run", CLASSES, LABELS, manifest=type(manifest)(
        copy, tmp_path, manifest.clips, manifest.sha256))  # fmt: skip
    assert "By speaker" in page_of(run)
    copy.write_text(copy.read_text() + "x9,w,train,bob,d9,f\n")
    page = page_of(run)
    assert "By speaker" not in page
    assert "m.csv has changed since the run was fitted" in page
    assert "By speaker" in page_of(run, manifest=copy)


@pytest.mark.parametrize(
    ("clip_id", "shown"),
    [
        ("/home/ann smith/secret dir/x.mp4", "x.mp4 (1)"), ("file:///home/ann/v.mp4", "v.mp4 (1)"),
        ("\\\\server\\share\\x.mp4", "x.mp4 (1)"), ("~/ann/clip.mp4", "clip.mp4 (1)"),
        ("C:\\Users\\ann b\\v.mp4", "v.mp4 (1)"), ("dia0_utt1", "dia0_utt1"),
        ("train/a.mp4", "train/a.mp4"), ("s3://bucket/a.mp4", "s3://bucket/a.mp4"),
    ],
)  # fmt: skip
def test_ids_that_are_absolute_paths_keep_their_names_alone(clip_id, shown):
    assert Names(is_anonymous=False).of("id", clip_id) == shown


def test_words_are_never_a_column_without_media(manifest):
    for column in ("text", "@text"):
        with pytest.raises(EmoError, match=f"--by {column}: .*--media words"):
            ReportOptions(by=(column,))
    ReportOptions(by=("text",), media=("words",))


def test_a_run_that_is_named_twice_is_one(runs, tmp_path):
    (tmp_path / "link").symlink_to(runs[0])
    facts = read_report([*runs, tmp_path / "link", runs[0].parent / ".." / "runs" / runs[0].name],
                        ReportOptions())  # fmt: skip
    assert [run.name for run in facts.pages[0].runs] == ["better", "plain"]


def test_a_manifest_of_other_clips_is_told(runs, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("id,text,speaker\nc0,x,ann\nzz,x,bo\n")
    assert "plain: 59 of 60 scored clips are not in other.csv" in page_of(*runs, manifest=other)


def test_a_column_that_is_named_twice_is_one_table(runs):
    found = read_report(runs[:1], ReportOptions(by=("gender", "gender")))
    assert [each.column for each in found.pages[0].runs[0].groups] == ["gender"]


def test_the_page_replaces_nothing_but_files(emo, runs, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for out in ("", tmp_path / "folder", tmp_path / "pipe"):
        code, _, err = emo("report", runs[0], "--out", out)
        assert (code, "it is no file that can be written" in err) == (1, True)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_a_column_of_peoples_names_is_not_shown_anonymously(runs, tmp_path, manifest):
    copy = tmp_path / "m.csv"
    rows = manifest.path.read_text().splitlines()
    copy.write_text("\n".join(f"{row},{row.split(',')[3]}" for row in rows).replace(
        "gender,speaker", "gender,actor") + "\n")  # fmt: skip
    with pytest.raises(EmoError, match="--anonymous and --by actor: its values are names"):
        page_of(*runs, manifest=copy, by=("actor",), is_anonymous=True)
    assert "speaker 1" in page_of(*runs, manifest=copy, by=("speaker",), is_anonymous=True)
    page_of(*runs, manifest=copy, by=("gender",), is_anonymous=True)
    people = [f"ann {k}" for k in range(4)]
    run = make_run(tmp_path / "who", people, LABELS, manifest=manifest)
    with pytest.raises(EmoError, match="--anonymous and target emotion"):
        page_of(run, is_anonymous=True)


def test_long_names_of_classes_stay_distinct(tmp_path):
    names = [f"class number {k} and {'x' * (k + 9)}" for k in range(28)]
    page = page_of(make_run(tmp_path / "many", names, np.arange(60) % 28, seeds=1))
    head, *rows = Cells(page).tables["Confusion, emotion, many"]
    assert len({*head[1:-1]}) == len({row[0] for row in rows}) == 28
    assert max(map(len, head[1:-1])) <= 19
