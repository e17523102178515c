"""Parts of benchmarks/truth.sh: make the manifest with random groups, print runs as tables.

python benchmarks/truth.py groups speech.csv groups.csv
python benchmarks/truth.py table WORK speech.csv --root FOLDER [--own-speech]
"""

import argparse
import json
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from emo.extract.decode.decode import load_media
from emo.extract.decode.source import source_of
from emo.extract.media import Needs
from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.trim import SECONDS_KEPT, SPEECH_SHARE, trimmed
from emo.manifest import Manifest, read_manifest
from emo.store import Store

GROUPS = 4
"""Number of random divisions of the clips into groups."""
DATA = {
    "speech": ("speech", "uar", "UAR"),
    "trim": ("speech", "uar", "UAR"),
    "meld": ("MELD test", "weighted_f1", "weighted F1"),
}
"""Folder of runs -> name of the data, name of the score in run.json, and its title."""
FEATURES = {
    "classic": "`classic`",
    "logmel": "`logmel`",
    "egemaps": "`opensmile` eGeMAPSv02",
    "compare": "`opensmile` ComParE_2016",
    "whisper": "`hf` Whisper tiny.en, last layer",
    "whisper23": "`hf` Whisper tiny.en, `layers=2,3`",
    "minilm": "`hf` MiniLM",
    "none": "`classic`, `trim=none`",
    "energy": "`classic`, `trim=energy`",
    "speech": "`classic`, `trim=speech`",
}
"""Recipe -> what the table says, in the table's order."""
HEADS = ("linear", "mean_pool", "attention_pool")
"""Heads in the table's order."""
PUBLISHED = {
    "speech": (
        ("nEMO, 4,481 clips of 9 speakers; accuracy, with a protocol of its own",
         "published (arXiv:2404.06292): MFCC", "random forest", "0.840"),
    ),
    "meld": (
        ("MELD test; weighted F1", "published (arXiv:1908.11540): text, turns around it",
         "DialogueGCN", "0.581"),
        ("", "published (arXiv:2108.12009, github.com/tae898/erc): text, RoBERTa base",
         "fine-tuned on single turns", "0.626"),
    ),
}  # fmt: skip
"""Folder of runs -> figures of others on its data: data and measure, features with their source,
head, score."""
HEADER = ("data, measure", "features", "head", "plain", "scaled by speaker", "random groups")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    groups = parts.add_parser("groups")
    groups.add_argument("manifest", type=Path)
    groups.add_argument("out", type=Path)
    table = parts.add_parser("table")
    table.add_argument("work", type=Path)
    table.add_argument("manifest", type=Path)
    table.add_argument("--root", type=Path)
    table.add_argument("--own-speech", action="store_true", help="the speech is not nEMO's")
    given = parser.parse_args()
    if given.part == "groups":
        write_groups(given.manifest, given.out)
        return
    runs = given.work / "runs"
    others = published_rows(runs, is_nemo=not given.own_speech)
    print_table(HEADER, [*truth_rows(runs), *others])
    if (given.work / "trim").exists():
        rows = trim_rows(Store(given.work / "trim"), read_manifest(given.manifest, root=given.root))
        print()
        print_table(("trim", "seconds kept", "share", "no speech found", "ms a clip"), rows)


def write_groups(manifest: Path, out: Path) -> None:
    """Write a manifest with the columns group0, group1 … more.

    A group has as many clips as a speaker has, but clips of everybody.
    """
    table = pd.read_csv(manifest)
    random = np.random.default_rng(0)
    for number in range(GROUPS):
        table[f"group{number}"] = random.permutation(table["speaker"])
    table.to_csv(out, index=False)


def truth_rows(runs: Path) -> list[tuple[str, ...]]:
    """Return the rows of the table: all runs of the same data, features and head are one row."""
    rows: list[tuple[str, ...]] = []
    known = ""
    for name, (data, key, title) in DATA.items():
        for recipe, head in _recipes_and_heads(runs / name):
            found = {run.parent.name: _run(run) for run in sorted(
                (runs / name / recipe / head).glob("*/run.json"))}  # fmt: skip
            plain = found["plain"]
            test = plain["metrics"]["test"]
            by = f", {plain['folds']['how']}" if "folds" in plain else ""
            chance = test["majority"][key]
            said = f"{data}, {test['clips']:,} clips{by}; {title}, majority class {chance:.3f}"
            rows.append((
                said if said != known else "",
                FEATURES[recipe], f"`{head}`", _score(plain, key),
                _score(found.get("speaker"), key), _groups(found, key),
            ))  # fmt: skip
            known = said
    return rows


def published_rows(runs: Path, *, is_nemo: bool) -> list[tuple[str, ...]]:
    """Return the figures of others on the data of which there are runs.

    Args:
        runs: folder of all runs.
        is_nemo: whether the speech is that of nEMO, to which the figures belong.
    """
    return [
        (*row, "–", "–")
        for name, rows in PUBLISHED.items()
        if _recipes_and_heads(runs / name) and (is_nemo or name != "speech")
        for row in rows
    ]


def _recipes_and_heads(folder: Path) -> list[tuple[str, str]]:
    """Return recipe and head of the runs of one data set."""
    return [
        (recipe, head)
        for recipe in FEATURES
        for head in HEADS
        if (folder / recipe / head / "plain" / "run.json").exists()
    ]


def _run(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _score(run: dict[str, Any] | None, key: str) -> str:
    """Return a score, its deviation over seeds if there is one, and its 95 % interval."""
    if run is None:
        return "–"
    test = run["metrics"]["test"]
    spread = f" ± {test['std'][key]:.3f}" if test["std"][key] >= 0.0005 else ""
    low, high = test["interval"][key]
    return f"{test['mean'][key]:.3f}{spread} ({low:.3f}–{high:.3f})"


def _groups(found: dict[str, dict[str, Any]], key: str) -> str:
    """Return the mean and range of the scores of random groups."""
    scores = [run["metrics"]["test"]["mean"][key]
              for name, run in found.items() if name.startswith("group")]  # fmt: skip
    if not scores:
        return "–"
    return f"{statistics.mean(scores):.3f} (of {len(scores)}: {min(scores):.3f}–{max(scores):.3f})"


def trim_rows(store: Store, manifest: Manifest) -> list[tuple[str, ...]]:
    """Return what each trim keeps, from the notes of the store, and how long it takes."""
    torch.set_num_threads(1)  # processor time would count threads that wait
    needs = (Needs(audio=True),)
    sounds = []
    for clip in manifest.clips:
        (media,) = load_media(source_of(clip, manifest.root), needs)
        assert media.samples is not None
        sounds.append(resample_audio(to_mono(media.samples), media.sample_rate, 16000))
    whole = sum(len(samples) for samples in sounds) / 16000
    rows = [("none", f"{whole:.0f}", "1", "–", "0")]
    for trim in ("energy", "speech"):
        (folder,) = store.chosen(trim)
        notes = [folder.notes[clip.id] for clip in manifest.clips]
        kept = sum(note[SECONDS_KEPT] for note in notes)
        silent = sum(note.get(SPEECH_SHARE) == 0 for note in notes) if trim == "speech" else "–"
        trimmed(sounds[0], 16000, trim)  # loads the weights
        began = time.process_time()
        for samples in sounds:
            trimmed(samples, 16000, trim)
        spent = 1000 * (time.process_time() - began) / len(sounds)
        rows.append((trim, f"{kept:.0f}", f"{kept / whole:.3f}", str(silent), f"{spent:.2f}"))
    return rows


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in (header, ["---"] * len(header), *rows):
        print(re.sub(r"\b0\.(?=\d)", ".", f"| {' | '.join(row)} |"))


if __name__ == "__main__":
    main()
