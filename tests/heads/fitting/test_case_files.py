"""Tables of strangers that gave wrong numbers without a word; skipped where they are not at hand.

The kinds of these files are also tests of their own in tests/heads/data.
"""

from pathlib import Path

import pytest

from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import read_manifest

CASES = Path(__file__).parents[4] / "shared" / "cases" / "heads"
RIDGE = {"head": "linear", "head_options": {"solver": "ridge"}}
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no case files at {CASES}")


def fit(name, table="m.csv", **options):
    options = FitOptions.of(threads=1, **options)
    features = [CASES / name / "features"]
    return fit_head(read_manifest(CASES / name / table), features, None, options, progress=False)


def f1(result):
    return result.metrics["test"]["mean"]["weighted_f1"]


@pytest.mark.parametrize("head", ["linear", "mean_pool"])
def test_one_empty_speaker_gives_the_score_of_unseen_speakers(head):
    result = fit("05_one_empty_speaker", head=head)
    assert f1(result) < 0.3  # .785 when each speaker was in train and test
    cut = "clips cut from train, whole speakers"  # how many depends on scikit-learn's version
    assert any(note.startswith("test: ") and cut in note for note in result.notes)


@pytest.mark.parametrize("head", ["linear", "mean_pool"])
def test_two_speakers_give_the_score_of_an_unseen_speaker(head):
    result = fit("06_two_speakers", head=head)
    assert f1(result) < 0.1  # .924 when both speakers were in train and test
    assert any(note.endswith("val shares speakers with train") for note in result.notes)


def test_words_in_a_column_of_numbers_are_refused():
    with pytest.raises(FitError, match=r"8 cells are not a number .* c000 'nan'.*leave the cell"):
        fit("04_number_cells", head="linear")


def test_decimal_commas_of_a_semicolon_table_are_read_as_numbers():
    result = fit("04_number_cells", "comma.csv", **RIDGE)
    assert any("label: numbers with decimal commas were read, '" in note for note in result.notes)
    assert "mae" in result.metrics["test"]["mean"]


@pytest.mark.parametrize(
    ("target", "said"), [("mixed", "'1' (25), '1.0' (25)"), ("case", "'Joy' (50), 'joy' (50)")]
)
def test_classes_that_differ_by_spelling_are_a_warning(target, said):
    result = fit("04_number_cells", target=target, **RIDGE)
    (note,) = [note for note in result.notes if "differ only in spelling" in note]
    assert said in note
