"""How fast this machine multiplies and copies, and what each head has to multiply in an epoch."""

import time
from dataclasses import dataclass

import torch
from heads_workload import CLIPS, DIALOGUES, DIM, LENGTHS
from store import Figure

STREAMS = len(LENGTHS)


@dataclass(frozen=True)
class Peak:
    """Of the threads that torch has."""

    flops: float
    """Multiplications and additions a second of a float32 matrix product."""
    bf16_flops: float
    bytes: float
    """Copied a second, read and written."""
    has_bf16: bool
    """The processor multiplies bfloat16 itself."""

    def figure(self) -> Figure:
        return {
            "figure": "this machine", "value": round(self.flops / 1e9, 1), "unit": "GFLOP/s fp32",
            "verdict": "ok", "bf16_GFLOP_per_second": round(self.bf16_flops / 1e9, 1),
            "GB_per_second": round(self.bytes / 1e9, 1), "has_bf16": self.has_bf16,
        }  # fmt: skip


def measure_peak() -> Peak:
    """The best of some rounds, so that a busy neighbour counts little.

    On one thread processor time is measured, in which a neighbour takes no part.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    square, narrow = torch.randn(1536, 1536), torch.randn(512, 512).bfloat16()
    source = torch.ones(32 * 2**20)
    target = torch.empty_like(source)
    speeds = []
    for work, count in (
        (lambda: square @ square, 2 * 1536**3),
        (lambda: narrow @ narrow, 2 * 512**3),
        (lambda: target.copy_(source), 2 * source.numel() * 4),
    ):
        seconds = []
        for _ in range(6):
            began = clock()
            work()
            seconds.append(clock() - began)
        speeds.append(count / min(seconds))
    return Peak(speeds[0], speeds[1], speeds[2], speeds[1] > speeds[0])


@dataclass(frozen=True)
class Needs:
    """Of a training epoch of M."""

    flops: float
    bytes: float
    """Tokens read once in float32, and at each step what AdamW reads and writes."""


def needs(head: str, batch_size: int) -> Needs:
    """What cannot be left out, forward and backward, for weights and what leads to them.

    Tokens need no gradient, so their first layer costs twice its forward pass, later ones three
    times. The heads' default widths; exp0 and exp1 as in their presets.
    """
    clips, units = CLIPS["train"], DIALOGUES["train"] if head == "joint" else CLIPS["train"]
    longest, a_token, a_clip, weights, folding = {
        "attention_pool": (200, 2 * DIM * 128, 2 * STREAMS * DIM * 512 + 3 * STREAMS * 512**2,
                           STREAMS * (DIM + 128 + 512) * 512, 3 * STREAMS * 512 * 128 * DIM),
        "mean_pool": (1, 2 * DIM * 1024, 3 * STREAMS * 1024**2, STREAMS * (DIM + 1024) * 1024, 0),
        "bilstm": (64, 2 * DIM * 64 + 3 * (8 * 64 * 128 + 128 * 64), 3 * STREAMS * 128 * 64,
                   STREAMS * 64 * (DIM + 1024 + 256), 0),
        "mlstm_fcn": (64, 2 * DIM * 64 + 3 * (4 * 64 * 128 + CONVOLUTIONS), 3 * STREAMS * 128 * 64,
                      STREAMS * (64 * (DIM + 512 + 128) + CONVOLUTIONS), 0),
        "cross_modal": (32, 2 * DIM * 128 + 3 * 128 * (384 + 128 + 512 + 256), 3 * 128 * 768,
                        128 * (STREAMS * DIM + 2 * 1024), 0),
        "joint": (1, 2 * DIM * 128, 3 * (384 * 128 + 8 * 64 * (391 + 64) + 519 * 64),
                  128 * STREAMS * DIM + 384 * 128 + 8 * 64 * 455 + 519 * 64, 0),
    }[head]  # fmt: skip
    tokens, steps = expected_tokens(clips, longest), units / batch_size
    return Needs(
        2 * (tokens * a_token + clips * a_clip + steps * folding),
        4 * (tokens * DIM + steps * weights * 8),
    )


CONVOLUTIONS = 7 * 64 * 64 + 5 * 64 * 128 + 3 * 128 * 64


def expected_tokens(clips: int, longest: int) -> float:
    """Expected, of all streams, when longer clips are shortened to so many."""
    return clips * sum(
        sum(min(length, longest) for length in range(low, high + 1)) / (high + 1 - low)
        for low, high in LENGTHS.values()
    )
