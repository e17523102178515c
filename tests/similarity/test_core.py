"""Exact scores: the same bits in any block, ties, golden pooling, ranks, duplicates."""

import numpy as np
import pytest

from emo.errors import OptionError, StoreError
from emo.heads.metrics.retrieval import ranks_of_matrix
from emo.predict.similarity import pairs as pairs_module
from emo.predict.similarity.nearest import nearest
from emo.predict.similarity.pairs import pairs_above
from emo.predict.similarity.ranking import ranks_of_vectors, score_table
from emo.predict.similarity.vectors import exact_scores, vectors_of
from emo.ragged import Ragged, offsets_of
from tests.score.make import GOLDEN, needs_golden
from tests.similarity.make import random_rows, vectors


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_hits_have_the_same_bits_for_any_block_thread_and_number_of_queries(pooling, similarity):
    rng = np.random.default_rng(0)
    clips = [random_rows(n, seed=k) * 9 for k, n in enumerate(rng.integers(1, 4, 150))]
    clips += clips[:30]  # doubles, which tie
    items = vectors(clips, pooling=pooling, similarity=similarity)
    queries = vectors(random_rows(12, seed=9999), similarity=similarity)
    wanted = nearest(queries, items, 7, threads=1)
    every = exact_scores(queries, items, tuple(np.indices((12, len(items))).reshape(2, -1)))
    order = np.argsort(-every.reshape(12, -1), axis=1, kind="stable")[:, :7]  # ties by position
    assert [hits.items.tolist() for hits in wanted] == order.tolist()
    for block, threads in ((7, 3), (64, 2)):
        found = nearest(queries, items, 7, threads=threads, block=block)
        alone = [nearest(queries.select([k]), items, 7, block=block)[0] for k in range(12)]
        for hits, one, expected in zip(found, alone, wanted, strict=True):
            for each in (hits, one):
                assert each.items.tolist() == expected.items.tolist()
                assert each.scores.tobytes() == expected.scores.tobytes()


def test_ties_are_in_the_order_of_ids_wherever_they_are_stored():
    rows = np.tile(random_rows(1), (100, 1))
    items = vectors_of(Ragged(rows, np.arange(101)), [f"c{99 - k:04}" for k in range(100)])
    (hits,) = nearest(vectors(random_rows(1, seed=1)), items, 3, block=10)
    assert [items.ids[k] for k in hits.items] == ["c0000", "c0001", "c0002"]
    assert len(set(hits.scores.tolist())) == 1


def test_planted_vectors_come_first():
    rows = random_rows(100_000, dim=24)
    rng = np.random.default_rng(1)
    queries = random_rows(50, dim=24, seed=2)
    planted = rng.choice(len(rows), 50, replace=False)
    rows[planted] = queries + 0.01 * random_rows(50, dim=24, seed=3)
    items = vectors_of(Ragged(rows, np.arange(len(rows) + 1)), range(len(rows)))
    hits = nearest(vectors(queries), items, 10)
    assert [int(each.items[0]) for each in hits] == planted.tolist()


def test_a_clip_is_as_near_to_itself_as_can_be():
    items = vectors(random_rows(300))
    assert all(hits.scores[0] == 1 for hits in nearest(items, items, 1))


@needs_golden
def test_pooling_is_clip4clips():
    arrays = np.load(GOLDEN / "retrieval" / "similarity.npz")
    counts = arrays["pool_lengths"]
    frames = [each[:n] for each, n in zip(arrays["pool_frames"], counts, strict=True)]
    table = 100 * score_table(vectors(arrays["pool_texts"]), vectors(frames))
    np.testing.assert_allclose(table, arrays["pool_clip4clip"], rtol=0, atol=2e-5)
    every = tuple(np.indices(table.shape).reshape(2, -1))
    exact = exact_scores(vectors(arrays["pool_texts"]), vectors(frames), every)
    np.testing.assert_allclose(exact, arrays["pool_clip4clip"].ravel() / 100, rtol=0, atol=1e-6)


def test_pooling_a_clip_does_not_depend_on_the_others():
    clips = [random_rows(n, seed=n) for n in (1, 3000, 5, 5000, 2)]
    together = vectors(clips).rows
    for k, clip in enumerate(clips):
        assert vectors([clip]).rows.astype(np.float32).tobytes() == together[k].tobytes()


def test_the_best_token_scores_with_max():
    clips = [random_rows(n, seed=n) for n in (3, 1, 4)]
    query = random_rows(1, seed=8)
    tokens = vectors(np.concatenate(clips))
    expected = np.split(score_table(vectors(query), tokens)[0], [3, 4])
    found = score_table(vectors(query), vectors(clips, pooling="max"))[0]
    np.testing.assert_allclose(found, [each.max() for each in expected], atol=1e-6)


@pytest.mark.parametrize("direction", ["text_to_video", "video_to_text", "grouped"])
def test_ranks_are_those_of_exact_scores(direction):
    owner = np.random.default_rng(0).integers(0, 30, 80)
    owner[owner == 7] = 8  # a video without a text
    videos = random_rows(30, dim=4)
    videos[5] = videos[3]
    texts = videos[owner] + 0.5 * random_rows(80, dim=4, seed=1)
    texts[10] = videos[owner[10]]  # the best of its video, and as good for it as another's text
    texts[np.flatnonzero(owner != owner[10])[0]] = 2 * texts[10]
    left, right = vectors(texts), vectors(videos)
    every = tuple(np.indices((80, 30)).reshape(2, -1))
    exact = exact_scores(left, right, every).reshape(80, 30)
    wanted = ranks_of_matrix(exact, owner, direction)
    assert wanted.tied
    for threads, step in ((1, 256), (2, 7)):
        found = ranks_of_vectors(left, right, owner, direction, threads=threads, step=step)
        for name in ("greater", "equal", "own"):
            assert getattr(found, name).tolist() == getattr(wanted, name).tolist()


def test_equal_vectors_have_the_scores_of_chance():
    same = np.tile(random_rows(1), (40, 1))
    found = ranks_of_vectors(vectors(same), vectors(same), np.arange(40), "text_to_video")
    assert found.scores((1, 10)) == pytest.approx(
        {"r@1": 1 / 40, "r@10": 10 / 40, "medr": 20.5, "meanr": 20.5}
    )


def test_pairs_above_are_all_pairs_above():
    rows = random_rows(200, dim=8)
    rows[150] = rows[20]
    items = vectors(rows)
    scores = score_table(items, items)
    wanted = [(i, j) for i in range(200) for j in range(i + 1, 200) if scores[i, j] >= 0.8]
    assert len(wanted) > 3
    for threads, block in ((1, 2048), (2, 30)):
        left, right, found = pairs_above(items, 0.8, threads=threads, block=block)
        assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == wanted
        assert found[(left == 20) & (right == 150)] == [1.0]


def test_a_limit_that_keeps_too_many_pairs_is_refused(monkeypatch):
    monkeypatch.setattr(pairs_module, "MOST_PAIRS", 10)
    with pytest.raises(OptionError, match="more than 10 pairs"):
        pairs_above(vectors(random_rows(50)), -1)


@pytest.mark.parametrize("count", [1, 3])
def test_tokens_that_are_not_finite_are_refused_with_the_clip(count):
    clips = [random_rows(count, seed=k) for k in range(20)]
    clips[13][-1, 5] = np.nan
    with pytest.raises(StoreError, match="lb/video: clip 'c0013'"):
        nearest(vectors(random_rows(2)), vectors(clips, name="lb/video"), 1)
    with pytest.raises(StoreError, match="c0013"):
        pairs_above(vectors(clips, name="lb/video"), 0.5)


def test_a_token_of_zeros_has_no_direction():
    rows = random_rows(3)
    rows[1] = 0
    items = vectors(rows)
    (hits,) = nearest(vectors(rows[:1]), items, 3)
    assert hits.scores[hits.items == 1] == [0.0]
    empty = vectors_of(Ragged(rows[:0], offsets_of(np.zeros(0, int))), [])
    assert nearest(items, empty, 3)[0].items.tolist() == []
