"""A recipe of three streams, tokens for it, and processes that are over."""

import subprocess
import sys

import numpy as np

from emo.store import Recipe, StreamSpec
from emo.store.backend.process_identity import host

RECIPE = Recipe(
    "toy",
    {
        "audio": StreamSpec(8),
        "text": StreamSpec(5, "float32"),
        "face": StreamSpec(12, "uint8", kind="image", shape=(2, 2, 3)),
    },
    options={"frames": 8},
)


def audio(length: int, value: float = 1.0) -> dict[str, np.ndarray]:
    """Tokens (length, 8) of the stream ``audio`` alone, all ``value``."""
    return {"audio": np.full((length, 8), value, np.float32)}


def noise(seed: int, *lengths: int) -> dict[str, dict[str, np.ndarray]]:
    """Clips ``c0``, ``c1`` … of these lengths with noise in all three streams."""
    rng = np.random.default_rng(seed)
    return {
        f"c{clip}": {
            "audio": rng.normal(size=(length, 8)),
            "text": rng.normal(size=(1, 5)),
            "face": rng.integers(0, 256, size=(length, 12), dtype=np.uint8),
        }
        for clip, length in enumerate(lengths)
    }


def owner(pid: int) -> str:
    """How a process of this machine signs its temporary files and locks."""
    return f"{host()}-{pid}-0"


def dead_pid() -> int:
    """The number of a process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    return ended.pid
