"""Measure the peak of an adaptation's memory: ``python -m tests.adapt.peak WEIGHTS FOLDER METHOD``.

Prints the bytes that training took above what libraries take, and those of the forecast.
"""

import resource
import sys
from pathlib import Path

import torch

from emo.adapt import adapt as adapting
from emo.adapt.finish import Finished
from emo.adapt.planning.dry_run import dry_run
from emo.manifest import read_manifest
from tests.adapt.conftest import options_of, run_adapt


def peak():
    """Largest resident memory so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident():
    """Resident memory now, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main(weights, folder, method):
    torch.set_num_threads(1)
    targets = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2") if method == "lora" else ()
    options = options_of(
        weights, method=method, target_modules=targets, per_device_train_batch_size=12, max_steps=2,
    )  # fmt: skip
    found = []

    def finish(*_, **__):
        found.append(peak())
        return Finished(None, None, ())

    adapting.finish = finish
    manifest = Path(folder, "m.csv")
    forecast = dry_run(read_manifest(manifest), (), options)
    base = resident()
    run_adapt(manifest, Path(folder, "out"), options)
    print(forecast.table())
    print(found[0] - base, forecast.memory_bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
