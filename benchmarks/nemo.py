"""nEMO (Polish speech, 6 emotions, 6 speakers): leave one speaker out, UAR beside chance.

    python benchmarks/nemo.py ../shared/data/speech/labels.csv --root ../shared/data

Prints one JSON line a head: mean and range of UAR over the six rotations, and the seconds.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from emo.commands.demo import rotations
from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.heads.fitting.fit import FitOptions
from emo.manifest import read_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--heads", nargs="+", default=["linear", "attention_pool"])
    given = parser.parse_args()
    manifest = read_manifest(given.manifest, root=given.root)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        extract(manifest, Path(folder), requests_from_words(["classic"]), ExtractOptions(workers=2))
        extract_seconds = time.perf_counter() - began
        for head in given.heads:
            began = time.perf_counter()
            options = FitOptions(head=head, streams=("classic/audio",))
            uars = [one.scores["uar"] for one in rotations(manifest, Path(folder), options)]
            print(
                json.dumps(
                    {
                        "benchmark": "nemo", "head": head, "clips": len(manifest.clips),
                        "uar_mean": round(sum(uars) / len(uars), 3),
                        "uar_range": [round(min(uars), 3), round(max(uars), 3)],
                        "chance": 0.167, "extract_seconds": round(extract_seconds, 1),
                        "fit_seconds": round(time.perf_counter() - began, 1),
                    }
                )
            )  # fmt: skip


if __name__ == "__main__":
    main()
