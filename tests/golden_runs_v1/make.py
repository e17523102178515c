"""Made the runs beside this file, of run format 1; run it again only for a new format.

    PYTHONPATH=CHECKOUT python tests/golden_runs_v1/make.py FOLDER

CHECKOUT is emo of commit 83a8d3f, before options and weights were renamed: ``aligned`` has the
option ``places`` (now ``steps``), ``cross`` the weight ``place`` (now ``position``). The folder
``interrupted`` is what a fit that was stopped in its second seed had beside its run. Plots are left
out.
"""

import shutil
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

CLASSES = ("anger", "calm", "joy")
SPLITS = ["train"] * 18 + ["val"] * 6 + ["test"] * 6
WIDTHS = {"a": 6, "b": 4}
COMMON = {
    "target": "label", "batch_size": 8, "learning_rate": 5e-3, "threads": 1,
    "label_smoothing": 0.1, "spec_augment": ("toy/a",), "target_weights": {"label": 2.0},
}  # fmt: skip
OPTIONS = {
    "aligned": {
        "head": "aligned_attention", "epochs": 3, **COMMON,
        "head_options": {"places": "3", "hidden": "4", "attention": "4"},
    },
    "cross": {
        "head": "cross_modal", "epochs": 2, "warmup": 0.1, "decay": "cosine", **COMMON,
        "head_options": {"width": "8", "heads": "2", "layers": "1", "longest": "3"},
    },
    "interrupted": {
        "head": "mean_pool", "epochs": 4, "seeds": 2, **COMMON, "head_options": {"hidden": "4"},
    },
}  # fmt: skip
"""By folder, the options of the fit: fields of FitOptions and of its LoopOptions."""


def tokens(clip: int, stream: str) -> np.ndarray:
    """float32 (T, D) of one clip; the mean tells its class."""
    random = np.random.default_rng([clip, len(stream), WIDTHS[stream]])
    centre = np.zeros(WIDTHS[stream])
    centre[clip % 3] = 2
    values = centre + random.standard_normal((1 + clip % 5, WIDTHS[stream]))
    return values.astype(np.float32).round(3)


def make_inputs(folder: Path) -> None:
    """Write ``manifest.csv`` and the store ``features``; every seventh clip lacks stream b."""
    from emo.store import PartWriter, Recipe, Store, StreamSpec

    rows = [
        f"c{clip},said,{CLASSES[clip % 3]},{split}" for clip, split in enumerate(SPLITS)
    ]  # fmt: skip
    (folder / "manifest.csv").write_text("\n".join(["id,text,label,split", *rows]) + "\n")
    recipe = Recipe("toy", {name: StreamSpec(dim, "float32") for name, dim in WIDTHS.items()})
    recipe_folder = Store.create(folder / "features").add_recipe("toy", recipe)
    with PartWriter(recipe_folder.path, recipe) as part:
        for clip in range(len(SPLITS)):
            here = [name for name in WIDTHS if name == "a" or clip % 7]
            absent = {name: "none" for name in WIDTHS if name not in here}
            part.add(f"c{clip}", {name: tokens(clip, name) for name in here}, absent=absent)


def make_runs(folder: Path) -> None:
    """Fit the two runs, and stop the third fit after six rounds."""
    from emo.heads.fit import FitOptions, fit_head

    from emo.heads import checkpoint
    from emo.manifest import read_manifest

    manifest, stores = read_manifest(folder / "manifest.csv"), [folder / "features"]
    for name in ("aligned", "cross"):
        fit_head(manifest, stores, folder / name, FitOptions(**OPTIONS[name]), progress=False)
        document = folder / name / "run.json"
        text = document.read_text().replace(f"{folder.absolute()}/", "/golden/")
        document.write_text(text)
        for plot in (folder / name).glob("*.png"):
            plot.unlink()

    kept, keep = [], checkpoint.Checkpoints.keep

    def stop_after_six(self: object, seed: int, running: object) -> None:
        keep(self, seed, running)
        kept.append(seed)
        if len(kept) == 6:
            raise KeyboardInterrupt

    options = FitOptions(**OPTIONS["interrupted"])
    with (
        patch.object(checkpoint, "EVERY_SECONDS", -1.0),
        patch.object(checkpoint.Checkpoints, "keep", stop_after_six),
    ):
        try:
            fit_head(manifest, stores, folder / "interrupted", options, progress=False)
        except KeyboardInterrupt:
            shutil.move(folder / ".interrupted.fit", folder / "interrupted")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    make_inputs(target)
    make_runs(target)
    for left in (".interrupted.lock", ".test-scorings.jsonl"):
        (target / left).unlink(missing_ok=True)
