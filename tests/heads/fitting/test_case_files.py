"""Tables of strangers that gave wrong numbers without a word; skipped where they are not at hand.

The kinds of these files are also tests of their own in tests/heads/data.
"""

from pathlib import Path

import pytest

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import read_manifest

CASES = Path(__file__).parents[4] / "shared" / "cases" / "heads"
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
    assert any("test: 83 clips cut from train, whole speakers" in note for note in result.notes)


@pytest.mark.parametrize("head", ["linear", "mean_pool"])
def test_two_speakers_give_the_score_of_an_unseen_speaker(head):
    result = fit("06_two_speakers", head=head)
    assert f1(result) < 0.1  # .924 when both speakers were in train and test
    assert any(note.endswith("val shares speakers with train") for note in result.notes)
