"""Strangers' tables and clips, given to the command; skipped where they are not at hand.

Other tests of these inputs: tests/heads/fitting/test_case_files.py and
tests/extract/decode/test_case_{sound,pictures}.py.
"""

import json
import resource
import shutil
from pathlib import Path

import pytest

from emo.manifest import read_manifest
from emo.store import Store

CASES = Path(__file__).parents[2] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no case files at {CASES}")


@pytest.fixture
def case(tmp_path):
    """Copy a folder of cases into the current folder."""

    def copy(name):
        for path in (CASES / name).iterdir():
            copied = shutil.copytree if path.is_dir() else shutil.copyfile
            copied(path, tmp_path / path.name)

    return copy


def test_one_huge_value_does_not_empty_the_other_columns(emo, case, tmp_path):
    case("heads/01_scale")
    code, out, _ = emo("fit-head", "m.csv", "--head", "linear", "--out", "run")
    assert (code, "check dimension 7 (1e+08 in clip c007)" in " ".join(out.split())) == (0, True)
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["metrics"]["test"]["mean"]["weighted_f1"] >= 0.8


def test_a_gold_label_beside_a_prediction_is_not_scored(emo, case):
    case("heads/02_score_column")
    code, out, _ = emo("score", "in", "--gold", "gold.csv")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [
        ["1", "anna.csv"],
        ["2", "zoe.csv"],
    ]
    assert "- zoe.csv: id from 'id', prediction from 'predicted_emotion'" in out


def test_unknown_numbers_of_mmsa_are_empty_cells(emo, case, tmp_path):
    case("heads/03_mmsa_nan")
    words = ("store", "import", "mmsa", "sims.pkl", "--allow-pickle", "--manifest", "m.csv")
    code, out, _ = emo(*words, "--out", "st")
    assert (code, "unknown labels (nan), left empty: 5" in out) == (0, True)
    assert "nan" not in (tmp_path / "m.csv").read_text().replace("finance", "")
    code, out, _ = emo("fit-head", "m.csv", "--features", "st", "--head", "linear")
    assert (code, "MAE" in out, "5 clips without label: not used" in out) == (0, True, True)


def test_a_diverged_head_is_no_run(emo, case, tmp_path):
    case("heads/08_diverged")
    words = ("fit-head", "m.csv", "--head", "mean_pool", "--target", "val", "--out", "bad")
    code, _, err = emo(*words, "--learning-rate", "1e8")
    assert (code, "seed 0 diverged in epoch 1 (learning rate 1e+08)" in err) == (1, True)
    assert not (tmp_path / "bad" / "run.json").exists()


def test_a_multilabel_run_is_scored_by_labels_in_any_order(emo, case):
    case("heads/09_score_multilabel")
    assert emo("fit-head", "m.csv", "--head", "mean_pool", "--epochs", 3, "--out", "r")[0] == 0
    tables = []
    for words in ((), ("--column", "label=published")):
        code, out, _ = emo("score", "r", "--gold", "m.csv", *words)
        assert (code, "micro F1" in out) == (0, True)
        tables.append(out.splitlines()[:2])
    assert tables[0] == tables[1]
    _, _, err = emo("score", "r", "--gold", "m.csv", "--target", "published")
    assert "--column label=published" in err


def test_120_classes_take_little_memory(emo, case, tmp_path):
    case("heads/11_many_classes")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    words = ("fit-head", "m.csv", "--head", "mean_pool", "--epochs", 1, "--out", "run")
    assert emo(*words)[0] == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB; were 6 GB


def test_a_class_that_the_run_knows_and_gold_lacks_is_scored(emo, case):
    case("heads/14_class_absent_in_test")
    assert emo("fit-head", "m.csv", "--head", "linear", "--out", "r")[0] == 0
    assert emo("score", "r", "--gold", "m.csv")[0] == 0


def test_tables_of_other_countries(emo, case):
    case("media")
    code, _, err = emo("check", "gbk.csv")
    assert (code, "from GBK: iconv -f gb18030 -t utf-8 gbk.csv" in err) == (1, True)
    assert [clip.text for clip in read_manifest(Path("sep.csv")).clips]
    (clip,) = read_manifest(Path("semi.csv")).clips
    assert (clip.start_seconds, clip.end_seconds) == (1.5, 2.5)
    assert read_manifest(Path("comma_labels.csv")).clips[0].targets == {"label": "0.8"}
    _, out, _ = emo("check", "comma_labels.csv")
    assert "- label: numbers with decimal commas were read, '0,8' as 0.8" in " ".join(out.split())


def test_each_backbone_fails_for_its_own_needs(emo, case, tmp_path):
    case("media")
    backbones = ("--backbone", "classic", "--backbone", "logmel")
    code, out, err = emo("extract", "mixed.csv", *backbones, "--out", "features", "--workers", 1)
    assert (code, "did 3 of 3 clips" in out + err) == (0, True)
    found = Store(tmp_path / "features").read("classic/text")
    assert len(found) == 3
