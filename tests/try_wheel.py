"""What `make wheel` runs with the Python of an empty environment that holds only the wheel.

It looks at the wheel's files and writes a store of random tokens through `emo.store`. There the
installed command `emo` fits two heads, compares them and predicts. Nothing here may need an extra,
a model or a test library: this is the machine of somebody who only fits heads.

    build/wheel/bin/python -I tests/try_wheel.py dist/emo_pipeline-….whl
"""

import csv
import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("av", "transformers", "torchvision", "librosa", "obstore", "ray", "pytest", "mkdocs")
"""Modules of libraries that only come with an extra."""
LABELS = ("angry", "happy", "sad")
SPLITS = {"train": 60, "val": 15, "test": 15}


def main() -> None:
    (wheel,) = map(Path, sys.argv[1:])
    check_files(wheel)
    check_environment()
    with tempfile.TemporaryDirectory(prefix="emo-wheel-") as folder:
        scratch = Path(folder)
        labels = write_store(scratch)
        for head in ("linear", "mean_pool"):
            run_emo(scratch, "fit-head", "clips.csv", "--head", head, "--out", f"runs/{head}")
        print(run_emo(scratch, "compare", "runs/linear", "runs/mean_pool"))
        run_emo(
            scratch, "predict", "runs/linear", "--manifest", "clips.csv", "--features", "features"
        )
        check_predictions(scratch / "predictions.csv", labels)
    print("the wheel works")


def check_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = (file for file in (ROOT / "emo").rglob("*") if file.is_file())
    needed = {
        file.relative_to(ROOT).as_posix() for file in files if file.parent.name != "__pycache__"
    }
    expect(needed <= names, f"{wheel} lacks {sorted(needed - names)}")
    strangers = {name for name in names - needed if not name.startswith("emo_pipeline-")}
    expect(not strangers, f"{wheel} holds more than emo/: {sorted(strangers)}")
    print(f"{wheel.name}: the {len(needed)} files of emo/, py.typed among them, and no tests")


def check_environment() -> None:
    import emo

    inside = Path(emo.__file__).is_relative_to(sys.prefix)
    expect(inside, f"emo comes from {emo.__file__}, not from the environment {sys.prefix}")
    found = [name for name in EXTRAS if importlib.util.find_spec(name)]
    expect(not found, f"the environment has libraries of extras: {', '.join(found)}")
    installed = len(list(importlib.metadata.distributions()))
    print(f"{installed} distributions in {sys.prefix}, none of an extra")


def write_store(folder: Path) -> dict[str, str]:
    """Write `features` and `clips.csv`, in which tokens tell the label; return the labels by id."""
    import numpy as np

    from emo.store import PartWriter, Recipe, Store, StreamSpec

    random = np.random.default_rng(0)
    recipe = Recipe("made-up", {"audio": StreamSpec(8), "text": StreamSpec(4, "float32")})
    centres = {label: random.normal(size=12) * 3 for label in LABELS}
    labels, rows = {}, []
    with PartWriter(
        Store.create(folder / "features").add_recipe("made-up", recipe).path, recipe
    ) as part:
        for split, count in SPLITS.items():
            for number in range(count):
                clip_id, label = f"{split}-{number}", LABELS[number % len(LABELS)]
                tokens = centres[label] + random.normal(size=(1 + number % 4, 12))
                part.add(clip_id, {"audio": tokens[:, :8], "text": tokens[:1, 8:]})
                labels[clip_id] = label
                rows.append([clip_id, "something said", split, label])
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text", "split", "label"], *rows])
    print(f"a store of {len(rows)} clips and their manifest, written by emo.store")
    return labels


def run_emo(folder: Path, *words: str) -> str:
    """Run the installed command in ``folder`` and return what it printed."""
    command = [str(Path(sys.executable).with_name("emo")), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    expect(done.returncode == 0, f"$ emo {' '.join(words)}\n{done.stdout}{done.stderr}")
    print(f"$ emo {' '.join(words)}")
    return done.stdout


def check_predictions(file: Path, labels: dict[str, str]) -> None:
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    tested = [row for row in rows if row["id"].startswith("test-")]
    right = sum(row["prediction"] == labels[row["id"]] for row in tested)
    expect(len(rows) == len(labels), f"{file}: {len(rows)} rows for {len(labels)} clips")
    expect(right >= 0.9 * len(tested), f"only {right} of {len(tested)} test clips are right")
    print(f"predictions of {len(rows)} clips; {right} of {len(tested)} test clips are right")


def expect(is_so: bool, otherwise: str) -> None:
    if not is_so:
        sys.exit(f"make wheel: {otherwise}")


if __name__ == "__main__":
    main()
