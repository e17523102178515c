"""Run folders without any training: predictions are drawn, their scores are the real ones."""

import json

import numpy as np

from emo.heads.metrics.ranked import is_ranked
from emo.heads.metrics.scores import Scores
from emo.heads.options import FitOptions
from emo.heads.runs.files import write_table
from emo.heads.runs.write import options_document

RECIPE = {
    "backbone": "classic", "version": 2, "options": {}, "weights": None, "facts": {},
    "streams": {"audio": {"dim": 4, "dtype": "float32", "kind": "dense", "level": "token",
                          "shape": None}},
}  # fmt: skip


def drawn(labels, classes, *, seeds=2, skill=2.0, seed=0):
    """Probabilities (S, N, C) of a head with some skill, or numbers (S, N, 1) near the labels."""
    rng = np.random.default_rng(seed)
    if not classes:
        return (labels[None, :, None] + rng.normal(size=(seeds, len(labels), 1))).astype(np.float32)
    if labels.ndim == 2:
        logits = rng.normal(size=(seeds, *labels.shape)) + skill * (labels - 0.5)
        return (1 / (1 + np.exp(-2 * logits))).astype(np.float32)
    logits = rng.normal(size=(seeds, len(labels), len(classes)))
    logits[:, np.arange(len(labels)), labels % len(classes)] += skill
    shares = np.exp(logits)
    return (shares / shares.sum(-1, keepdims=True)).astype(np.float32)


def cells(task, classes, values):
    """Labels or predictions as the table of predictions writes them."""
    if task == "regress":
        return [round(float(value), 6) for value in values]
    if task == "multilabel":
        return ["|".join(c for c, on in zip(classes, row, strict=True) if on) or "none"
                for row in values]  # fmt: skip
    return [classes[value] for value in values]


def make_run(
    folder, classes, labels, *, task="classify", ids=None, dialogues=None, causes=None,
    split="test", seeds=2, skill=2.0, seed=0, manifest=None, target="emotion", folds=None,
    val=True, history=True, fold_entries=None, **entries,
):  # fmt: skip
    """Write a run folder, and return its path.

    Args:
        folder: the folder.
        classes: names of the classes; empty for a number.
        labels: int (N,) classes, int (N, C) of 0 and 1, or float (N,) numbers.
        manifest: a manifest that was read; its path and SHA-256 are recorded.
        fold_entries: the entry ``folds`` of run.json.
        entries: further entries of run.json.
    """
    folder.mkdir(parents=True)
    labels = np.asarray(labels)
    ids = ids or [f"c{k}" for k in range(len(labels))]
    table = drawn(labels, classes, seeds=seeds, skill=skill, seed=seed)
    groups = None if dialogues is None else np.unique(dialogues, return_inverse=True)[1]
    over = "clip" if dialogues is None else "dialogue"
    scores = Scores(
        tuple(classes), tuple(range(seeds)), labels, table, 0 if classes else 0.0, 0, task=task,
        scale="" if classes else "any", groups=groups, drawn_over=over,
    )  # fmt: skip
    found = scores.to_json()
    columns = {"id": [], "split": [], "seed": [], "label": [], "prediction": []}
    columns |= {"cause_id": []} if causes else {}
    columns |= {"dialogue": []} if dialogues is not None else {}
    columns |= {"fold": []} if folds is not None else {}
    shown = not is_ranked(table) and task != "regress"
    columns |= {f"p_{name}": [] for name in classes if shown}
    for number in range(seeds):
        columns["id"] += ids
        columns["split"] += [split] * len(ids)
        columns["seed"] += [number] * len(ids)
        columns["label"] += cells(task, classes, labels)
        columns["prediction"] += cells(task, classes, scores.predictions[number])
        if causes:
            columns["cause_id"] += causes
        if dialogues is not None:
            columns["dialogue"] += [*dialogues]
        if folds is not None:
            columns["fold"] += folds
        for k, name in enumerate(classes if shown else ()):
            columns[f"p_{name}"] += table[number, :, k].astype(float).round(6).tolist()
    write_table(folder / "predictions.csv", columns)
    one = {"name": target, "task": task, "classes": [*classes], "centre": 0.0, "spread": 1.0,
           "scale": "" if classes else "any"}  # fmt: skip
    options = options_document(FitOptions(head="mean_pool"), {})
    document = {
        "format_version": 1, "head": options["head"], "target": target, "classes": [*classes],
        "targets": [one], "streams": {"classic/audio": {"fingerprint": "0" * 16, "dim": 4}},
        "recipes": {"classic": RECIPE},
        "manifest": {"path": "", "sha256": "", "columns": {}}
        if manifest is None
        else {"path": str(manifest.path.absolute()), "sha256": manifest.sha256, "columns": {}},
        "features": [], "options": options["options"], "question": "0123456789abcdef",
        "notes": [], "drawn": over,
        "metrics": {**({"val": found} if val and split == "test" else {}), split: found},
        "metrics_of_others": {}, "missing": {}, "versions": {"emo": "0.2.0"}, "made_with": {},
    }  # fmt: skip
    document |= entries | ({} if fold_entries is None else {"folds": fold_entries})
    if folds is None:
        document["kept"] = {"seed": 0, "round": 2, "val_weighted_f1": 0.5}
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    if history:
        rows = [(seed, r, 1 / r, 1.1 / r, 0.4 + r / 10, r == 2) for seed in range(seeds)
                for r in (1, 2, 3)]  # fmt: skip
        names = ("seed", "round", "train_loss", "val_loss", "val_weighted_f1", "is_best")
        write_table(folder / "history.csv", dict(zip(names, zip(*rows, strict=True), strict=True)))
    return folder
