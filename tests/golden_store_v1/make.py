"""Made the store beside this file, with format version 1; run only to make one for a new version.

    python tests/golden_store_v1/make.py FOLDER

Inner chunks are 256 bytes here instead of a MiB, so that a tiny file has several.
"""

import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

from emo.store import PartWriter, Recipe, Store, StreamSpec

RECIPE = Recipe(
    "toy",
    {
        "audio": StreamSpec(6, "float16"),
        "face": StreamSpec(12, "uint8", kind="image", shape=(2, 2, 3)),
        "text": StreamSpec(3, "float32", level="clip"),
    },
    options={"frames": 8, "rate": None},
    weights="0" * 64,
)
LENGTHS = {
    "dia0_utt0": {"audio": 40, "face": 9, "text": 1},
    "dia0_utt1": {"audio": 1},
    "dia0_utt2": {"face": 30, "text": 1},
    "fröhlich 3": {"audio": 77, "text": 1},
    "retried": {"audio": 2},
    "changed": {"audio": 3},
}
"""Tokens by stream of every clip that is finished in the end."""


def tokens(clip_id: str, stream: str) -> np.ndarray:
    """(T, D) in the stored type; ``dia0_utt0`` is silent, which makes chunks of zeros."""
    length, spec = LENGTHS[clip_id][stream], RECIPE.streams[stream]
    rows = 31 * np.arange(length)[:, None] + 7 * np.arange(spec.dim) + 13 * len(clip_id)
    silent = (clip_id, stream) == ("dia0_utt0", "audio")
    return (0 * rows if silent else rows % 101 / (1 if spec.dtype == "uint8" else 8)).astype(
        spec.dtype
    )


def make(path: Path) -> None:
    """Write the store: two parts at the first attempt, one at the second."""
    folder = Store.create(path).add_recipe("toy", RECIPE)
    with patch("emo.store.part.zarr_layout.CHUNK_BYTES", 256):
        with PartWriter(folder.path, RECIPE) as part:
            for clip_id in list(LENGTHS)[:4]:
                here = {name: tokens(clip_id, name) for name in LENGTHS[clip_id]}
                notes = {"face_share": 0.75} if "face" in here else {}
                missing = [name for name in RECIPE.streams if name not in here]
                reasons = dict.fromkeys(missing, "the file has none")
                part.add(clip_id, here, source="aa" * 8, absent=reasons, notes=notes)
            part.fail("retried", "the folder was away", source="bb" * 8)
            part.fail("broken", "no video and no audio track", source="cc" * 8)
        with PartWriter(folder.path, RECIPE) as part:
            part.add("changed", {"audio": np.ones((5, 6))}, source="dd" * 8)
        with PartWriter(folder.path, RECIPE, attempt=1) as part:
            part.add("retried", {"audio": tokens("retried", "audio")}, source="bb" * 8)
            part.add("changed", {"audio": tokens("changed", "audio")}, source="ee" * 8)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
