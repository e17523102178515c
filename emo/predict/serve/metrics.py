"""Counts and times of the service as Prometheus text; no label holds anything of a clip.

The format is that of https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

SECONDS_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of times, in seconds."""
BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Upper bounds of the buckets of batch sizes."""
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of the text."""


class Histogram:
    """Numbers counted in buckets."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Start empty, with rising upper bounds of the buckets."""
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a number."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterable[str]:
        """Return the lines of all buckets, the sum and the count."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            shown = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield f'{name}_bucket{{le="{shown}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class ServiceMetrics:
    """Counts of one service; threads may call it."""

    def __init__(self, fingerprints: Mapping[str, str]) -> None:
        """Start from zero; ``fingerprints`` has the hash of each recipe."""
        self._fingerprints = dict(fingerprints)
        self._lock = threading.Lock()
        self._statuses: Counter[int] = Counter()
        self._stages: dict[str, float] = dict.fromkeys(("decode", "model"), 0.0)
        self._seconds = Histogram(SECONDS_BOUNDS)
        self._batches = Histogram(BATCH_BOUNDS)

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer to a request for a prediction, and the seconds since it began."""
        with self._lock:
            self._statuses[status] += 1
            self._seconds.add(seconds)

    def worked(self, stage: str, seconds: float) -> None:
        """Add busy seconds of the stage ``decode`` or ``model``."""
        with self._lock:
            self._stages[stage] += seconds

    def batched(self, clips: int) -> None:
        """Count a batch of clips that went through the models together."""
        with self._lock:
            self._batches.add(clips)

    def text(self, gauges: Mapping[str, tuple[str, str, float]]) -> str:
        """Return all counts as text.

        Args:
            gauges: name of a number that is read now -> its type, help and value.
        """
        with self._lock:
            lines = [*_head("emo_serve_requests_total", "counter", "Answers by status of HTTP.")]
            for status, count in sorted(self._statuses.items()):
                lines.append(f'emo_serve_requests_total{{status="{status}"}} {count}')
            lines += _head("emo_serve_stage_seconds_total", "counter", "Busy seconds by stage.")
            for stage, seconds in self._stages.items():
                lines.append(f'emo_serve_stage_seconds_total{{stage="{stage}"}} {seconds:.6f}')
            name = "emo_serve_request_seconds"
            lines += [
                *_head(name, "histogram", "Seconds from the head of a request to its answer.")
            ]
            lines += self._seconds.lines(name)
            name = "emo_serve_batch_clips"
            lines += [*_head(name, "histogram", "Clips that went through the models together.")]
            lines += self._batches.lines(name)
        lines += _head("emo_serve_recipe_info", "gauge", "Recipes that the run reads; always 1.")
        for recipe, fingerprint in self._fingerprints.items():
            labels = f'recipe="{_escaped(recipe)}",fingerprint="{_escaped(fingerprint)}"'
            lines.append(f"emo_serve_recipe_info{{{labels}}} 1")
        for name, (kind, said, value) in gauges.items():
            lines += [*_head(name, kind, said), f"{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, said: str) -> tuple[str, str]:
    return f"# HELP {name} {said}", f"# TYPE {name} {kind}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
