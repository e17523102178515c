"""Exact search, ranks and duplicates, against the product alone and against index libraries.

    python benchmarks/search.py [--quick]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short. The
vectors are random, 768 wide, and float16 as in a store; both sides of a ratio are measured in this
run. faiss-cpu and usearch are asked for the same exact search when they are installed (they are no
dependencies of emo): their time counts from built indexes on. ``cpu`` is in processor seconds.
"""

import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from spent import Spent, median, spent
from store import Figure, figure

from emo.predict.similarity.nearest import nearest
from emo.predict.similarity.pairs import pairs_above
from emo.predict.similarity.ranking import ranks_of_vectors
from emo.predict.similarity.vectors import Vectors, vectors_of
from emo.ragged import Ragged

DIM = 768
TOP = 10
ROUNDS = 3


def main() -> int:
    """Print all figures."""
    is_quick = "--quick" in sys.argv[1:]
    for each in figures(is_quick):
        print(json.dumps(each), flush=True)
    return 0


def figures(is_quick: bool) -> Iterator[Figure]:
    """Measure everything; a tenth of the sizes with ``is_quick``."""
    share = 10 if is_quick else 1
    yield from ranks(1_000, 10_000 // share)
    yield from duplicates(100_000 // share)
    items = made(1_000_000 // share, seed=1)
    yield from one_query(items)
    yield from many_queries(items)


def made(count: int, *, seed: int) -> Vectors:
    """Vectors of ``count`` clips, one token each."""
    rng = np.random.default_rng(seed)
    rows = np.empty((count, DIM), np.float16)
    for first in range(0, count, 65_536):
        block = rows[first : first + 65_536]
        block[:] = rng.standard_normal(block.shape, dtype=np.float32)
    return vectors_of(Ragged(rows, np.arange(count + 1)), [f"c{k:07}" for k in range(count)])


def ranks(small: int, large: int) -> Iterator[Figure]:
    """Ranks of as many texts as videos: seconds, and beside the float32 product alone."""
    left, right = made(large, seed=2), made(large, seed=3)
    for count, goal in ((small, 0.1), (large, None)):
        index = range(count)
        texts, videos = left.select(index), right.select(index)
        truth = np.arange(count)
        ours = best(lambda a=texts, b=videos, t=truth: ranks_of_vectors(a, b, t, "text_to_video"))
        if goal is not None:
            yield figure(f"ranks {count:,}²", ours.wall, "s", goal, cpu=ours.cpu)
            continue
        product = best(lambda a=texts, b=videos: multiply(a, b, 1000))
        yield figure(f"ranks {count:,}²", ours.cpu / product.cpu, "x product", 3, cpu=ours.cpu)


def duplicates(count: int) -> Iterator[Figure]:
    """All pairs of clips above .95, beside the product of all pairs."""
    clips = made(count, seed=4)
    ours = spent(lambda: pairs_above(clips, 0.95))
    product = spent(lambda: multiply(clips, clips, 2048))
    yield figure(
        f"duplicates of {count:,}", ours.cpu / product.cpu, "x product", 3, cpu=ours.cpu,
        wall=ours.wall,
    )  # fmt: skip


def one_query(items: Vectors) -> Iterator[Figure]:
    """One query among all vectors, already read."""
    query = made(1, seed=5)
    ours = best(lambda: nearest(query, items, TOP))
    yield figure(f"1 query, {len(items):,}", ours.wall, "s", 0.5, cpu=ours.cpu)


def many_queries(items: Vectors) -> Iterator[Figure]:
    """A hundred queries among all vectors, beside libraries that are installed."""
    queries, threads = made(100, seed=6), torch.get_num_threads()
    ours = best(lambda: nearest(queries, items, TOP, threads=threads))
    wanted = [hits.items.tolist() for hits in nearest(queries, items, TOP)]
    name = f"100 queries, {len(items):,}"
    yield figure(name, ours.wall, "s", 5.0 * len(items) / 1e6, cpu=ours.cpu, threads=threads)
    sides = (("faiss, float16", faiss_half), ("faiss, float32", faiss_flat),
             ("usearch", usearch_search))  # fmt: skip
    for library, search in sides:
        if find_spec(library.partition(",")[0]) is None:
            continue
        found, took = search(queries, items, threads)
        same = np.mean([set(a) == set(b) for a, b in zip(found, wanted, strict=True)])
        yield figure(
            f"{name}, beside {library}", ours.wall / took.wall, f"x {library}", 1,
            cpu=took.cpu, same=float(same),
        )  # fmt: skip


def faiss_half(queries: Vectors, items: Vectors, threads: int) -> tuple[list[list[int]], Spent]:
    """Search with faiss's index of float16 numbers, which takes half of the memory."""
    import faiss

    index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_fp16,
                                       faiss.METRIC_INNER_PRODUCT)  # fmt: skip
    return faiss_search(index, queries, items, threads)


def faiss_flat(queries: Vectors, items: Vectors, threads: int) -> tuple[list[list[int]], Spent]:
    """Search with faiss's IndexFlatIP, of float32 numbers."""
    import faiss

    return faiss_search(faiss.IndexFlatIP(DIM), queries, items, threads)


def faiss_search(
    index: Any, queries: Vectors, items: Vectors, threads: int
) -> tuple[list[list[int]], Spent]:
    """Fill an index of faiss and search with it."""
    import faiss

    faiss.omp_set_num_threads(threads)
    for first in range(0, len(items), 65_536):
        index.add(items.block(first, min(first + 65_536, len(items))).numpy())
    rows = queries.block(0, len(queries)).numpy()
    found: list[np.ndarray] = []
    took = best(lambda: found.append(index.search(rows, TOP)[1]))
    return found[0].tolist(), took


def usearch_search(queries: Vectors, items: Vectors, threads: int) -> tuple[list[list[int]], Spent]:
    """Search with usearch's exact search of float16 numbers."""
    from usearch.index import MetricKind
    from usearch.index import search as exact

    found: list[np.ndarray] = []

    def run() -> None:
        keys = exact(items.rows, queries.rows, TOP, MetricKind.Cos, exact=True, threads=threads)
        found.append(keys.keys)

    took = best(run)
    return found[0].tolist(), took


def multiply(left: Vectors, right: Vectors, step: int) -> None:
    """Compute the float32 product of all pairs in blocks, with one thread, and drop it."""
    a, b = (each.block(0, len(each)) for each in (left, right))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for first in range(0, len(a), step):
        # duplicates need each pair once
        a[first : first + step] @ b[first if left is right else 0 :].T
    torch.set_num_threads(before)


def best(action: Callable[[], object]) -> Spent:
    """Return the median seconds of several calls."""
    taken = [spent(action) for _ in range(ROUNDS)]
    return Spent(median([each.wall for each in taken]), median([each.cpu for each in taken]))


if __name__ == "__main__":
    sys.exit(main())
