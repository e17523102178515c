"""Ranks and recalls of retrieval: golden values of the originals, ties, several captions."""

import itertools
import json

import numpy as np
import pytest

from emo.heads.metrics.retrieval import RankCounts, rank_counts, ranks_of_matrix
from tests.score.make import GOLDEN, needs_golden

DIRECTIONS = {
    "text_to_video": "text2video",
    "video_to_text": "video2text",
    "grouped": "video2text_grouped",
}
CASES = (
    "square_50", "square_200", "multi_31x12", "multi_78x20", "ties_20", "ties_multi_31x12",
    "constant_12", "duplicates_30",
)  # fmt: skip


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_ranks_and_scores_are_the_golden_ones(case):
    arrays = np.load(GOLDEN / "retrieval" / "retrieval.npz")
    document = json.loads((GOLDEN / "retrieval" / "retrieval.json").read_text())
    rule = document["cases"][case]["expected"]["rule"]
    for direction, name in DIRECTIONS.items():
        found = ranks_of_matrix(arrays[case], arrays[f"{case}__video_of_text"], direction)
        if name not in rule:  # one caption a video: as without groups
            assert direction == "grouped"
            name = "video2text"
        expected = rule[name]
        np.testing.assert_allclose(found.ranks, expected["ranks"], rtol=0, atol=1e-12)
        assert found.tied == expected["tied"]
        scores = found.scores()
        for k in (1, 5, 10):
            assert 100 * scores[f"r@{k}"] == pytest.approx(expected[f"R@{k}"], abs=1e-9)
        assert scores["medr"] == expected["MedR"]
        assert scores["meanr"] == pytest.approx(expected["MeanR"], abs=1e-9)


@needs_golden
def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two():
    arrays = np.load(GOLDEN / "retrieval" / "similarity.npz")
    scores, truth = arrays["median_8x4"], arrays["median_8x4__video_of_text"]
    assert ranks_of_matrix(scores, truth, "text_to_video").scores()["medr"] == 3.5


@pytest.mark.parametrize("own", [1, 2, 3])
@pytest.mark.parametrize("equal", [0, 1, 3])
@pytest.mark.parametrize("greater", [0, 2])
def test_ranks_and_recalls_are_means_over_all_orders_of_ties(greater, equal, own):
    orders = set(itertools.permutations([True] * own + [False] * equal))
    firsts = [greater + 1 + order.index(True) for order in orders]
    counts = RankCounts(*(np.array([n]) for n in (greater, equal, own)))
    assert counts.ranks[0] == pytest.approx(np.mean(firsts))
    for k in range(1, 8):
        assert counts.recall(k)[0] == pytest.approx(np.mean([first <= k for first in firsts]))


def test_own_items_never_count_against_a_query():
    scores = np.array([[0.9, 0.8, 0.5, 0.8]])
    assert rank_counts(scores, [np.array([0, 1])]).ranks.tolist() == [1.0]
    assert rank_counts(scores, [np.array([1])]).ranks.tolist() == [2.5]
