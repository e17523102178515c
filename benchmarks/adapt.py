"""`emo adapt` on the demo's texts: frozen, adapted, and `linear` on the extracted new tokens.

python benchmarks/adapt.py demo/data/manifest.csv WORK [--seeds 5] [--best loss]

A tiny LanguageBind of random weights learns the demo's words in 30 epochs, by LoRA and in full.
For each seed it prints the weighted F1 on test, and whether the tokens that `emo extract`
computes with the new weights are those of the merged networks, bit by bit. ``--best`` keeps the
epoch that is best on val, by loss or score. Some three minutes on two cores.
"""

import argparse
from pathlib import Path

import torch

from emo.adapt.adapt import adapt
from emo.adapt.options import AdaptOptions
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.job.request import requests_from_words
from emo.extract.run import extract
from emo.heads.fitting.fit import fit_head
from emo.heads.options import FitOptions
from emo.machine.table import format_table
from emo.manifest import Manifest, read_manifest
from emo.store.store import Store

LEAST = {"lora": 0.42, "full": 0.40}
"""F1 that an adaptation by a method must reach."""
MOST_FROZEN, LEAST_LINEAR = 0.30, 0.40
USUAL = {
    "backbones": ("languagebind",), "head": "mean_pool", "num_train_epochs": 30,
    "per_device_train_batch_size": 16, "learning_rate": 3e-3, "warmup_ratio": 0.1,
    "lr_scheduler_type": "cosine",
}  # fmt: skip
METHODS = {
    "lora": {
        "method": "lora", "lora_bias": "all",
        "target_modules": ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    },
    "full": {"method": "full"},
}  # fmt: skip


def main() -> int:
    """Print the table; 1: a score is not reached, or tokens differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--best", choices=("loss", "score"))
    asked = parser.parse_args()
    manifest = read_manifest(asked.manifest)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tiny = str(LanguageBind.write_tiny(asked.work / "tiny").weights)
    rows = []
    for method in METHODS:
        for seed in range(asked.seeds):
            rows.append(_row(manifest, asked.work, tiny, method, seed, best_by=asked.best))
            print(rows[-1], flush=True)
    print(format_table(rows))
    return int(any("no" in row.values() for row in rows))


def _row(
    manifest: Manifest, work: Path, tiny: str, method: str, seed: int, *, best_by: str | None
) -> dict[str, str]:
    """Adapt with one seed, extract again, and fit `linear`; return a row of the table."""
    best = {"load_best_model_at_end": True, "metric_for_best_model": best_by} if best_by else {}
    own = (f"weights={tiny}", "streams=text", "stored=float32")
    options = AdaptOptions.of(
        **USUAL, **METHODS[method], **best, backbone_options=own, seed=seed
    )  # fmt: skip
    out = work / f"{method}-{seed}"
    report = adapt(manifest, (), out, options, inputs=work / "inputs", overwrite=True)
    assert report.finished is not None
    run = report.finished.result
    again = _extract(manifest, work / f"{method}-{seed}-tokens", out)
    ids = run.data.splits["test"].ids
    scaling = run.data.scalings["languagebind/text"]
    equal = torch.equal(
        run.data.splits["test"].batch.streams["languagebind/text"].values,
        scaling.apply(Store(again).read("tuned/text", ids)).values,
    )
    linear = fit_head(manifest, [again], None, FitOptions.of(head="linear", streams=("tuned",)))
    scores = {
        "frozen": report.finished.frozen, "adapted": run, "linear on new tokens": linear,
    }  # fmt: skip
    found = {name: each.metrics["test"]["mean"]["weighted_f1"] for name, each in scores.items()}
    is_met = (
        found["frozen"] <= MOST_FROZEN and found["adapted"] >= LEAST[method]
        and found["linear on new tokens"] >= LEAST_LINEAR and equal
    )  # fmt: skip
    return {
        "method": method, "seed": str(seed), **{k: f"{v:.3f}" for k, v in found.items()},
        "same bits": "yes" if equal else "no", "met": "yes" if is_met else "no",
    }  # fmt: skip


def _extract(manifest: Manifest, store: Path, adapted: Path) -> Path:
    """Extract the tokens of new weights as `emo extract` does; return the store."""
    weights = adapted / "weights" / "languagebind" / "weights"
    words = [f"tuned.weights={weights}", "tuned.streams=text", "tuned.stored=float32"]
    extract(manifest, store, requests_from_words(["languagebind:tuned"], words))
    return store


if __name__ == "__main__":
    raise SystemExit(main())
