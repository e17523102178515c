"""A folder with everything that the faulted commands read, the commands, and what they make."""

import hashlib
import json
import os
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emo.store import PartWriter, Store
from emo.store.maintain.verify import verify
from tests.hostile.faults.shim import Shim
from tests.make_batches import learnable, make_store
from tests.make_store import RECIPE, noise

Outcome = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A command that is faulted."""

    words: str
    made: str
    """Path of what it makes or changes."""
    outcome: Outcome
    """What is made, given its path, without times and the like; it is read with every checksum."""
    is_stepwise: bool = False
    """Whether the outcome is a dict that grows; else it is the old one or the new one."""
    to_stdout: bool = False
    """Whether ``made`` is the command's stdout."""
    again: str = ""
    """Further words of the repetition."""
    changes: tuple[str, ...] = field(default=())
    """Further names in the world that it may change."""


def whole_file(path: Path) -> object:
    return path.read_bytes() if path.is_file() else None


def store(path: Path) -> dict[str, object]:
    """Recipe, clip and stream -> hash of the tokens, or the reason of the failure."""
    if not path.is_dir() or not any(path.iterdir()):
        return {}
    opened = Store(path, may_be_empty=True)
    assert verify(opened).problems == []
    found: dict[str, object] = {}
    for name, folder in opened.recipes.items():
        found |= {f"{name}: {clip_id}": why for clip_id, why in folder.failures.items()}
        ids = list(folder.ids)
        for stream in folder.recipe.streams:
            tokens = folder.read(stream, ids)
            for clip_id, values in zip(ids, tokens, strict=True):
                found[f"{name}/{stream}: {clip_id}"] = hashlib.sha256(values.tobytes()).hexdigest()
    return found


def indexed(path: Path) -> dict[str, object]:
    """The store, which is read by its index."""
    assert [list(folder.glob("index-*")) for folder in path.iterdir()]
    return store(path)


def unpacked(path: Path) -> object:
    return store(path / "features") if path.exists() else None


def run(path: Path) -> object:
    """The files of a run, without seconds and paths of processes."""
    if not path.is_dir():
        return None
    files = sorted(file for file in path.rglob("*") if file.is_file())
    found: dict[str, object] = {
        str(file.relative_to(path)): file.read_bytes()
        for file in files if file.suffix in (".csv", ".safetensors")
    }  # fmt: skip
    document = json.loads((path / "run.json").read_text())
    for name in ("seconds", "versions", "started"):
        document.pop(name, None)
    return {**found, "run.json": document}


def folder(path: Path) -> object:
    """All files of a folder, or one file."""
    if path.is_file():
        return path.read_bytes()
    return {
        str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*"))
        if file.is_file()
    } or None  # fmt: skip


def zarr_folder(path: Path) -> object:
    import zarr

    if not path.exists():
        return None
    return {
        name: array[:].tobytes()
        for name, array in zarr.open_group(path, mode="r").members(max_depth=None)
        if isinstance(array, zarr.Array)
    }


def hdf5_file(path: Path) -> object:
    import h5py

    found: dict[str, object] = {}
    if not path.exists():
        return None
    with h5py.File(path) as file:
        file.visititems(
            lambda name, each: (
                found.update({name: each[()].tobytes()})
                if isinstance(each, h5py.Dataset) and each.dtype != object
                else None
            )
        )
    return found


FIT = "fit-head m.csv --features s --head"
CASES = {
    "extract": Case("extract w.csv --backbone logmel --out f --part-clips 1", "f", store, True),
    "extract-new": Case("extract w.csv --backbone logmel --out g --part-clips 2", "g", store, True),
    "fit": Case(f"{FIT} linear --out new", "new", run, again="--overwrite"),
    "fit-replace": Case(f"{FIT} linear --seeds 1 --out run --overwrite", "run", run),
    "fit-epochs": Case(
        f"{FIT} attention_pool --epochs 2 --out new", "new", run, again="--overwrite"
    ),
    "fit-folds": Case(
        f"{FIT} linear --seeds 1 --cv 2 --out new", "new", run, again="--overwrite"
    ),
    "fit-search": Case(f"{FIT} mean_pool --epochs 2 --search 2 --out new", "new", run,
                       again="--overwrite"),
    "predict": Case("predict run --manifest m.csv --features s --out p.csv", "p.csv", whole_file),
    "predict-parquet": Case(
        "predict run --manifest m.csv --features s --out q.parquet", "q.parquet", whole_file
    ),
    "predict-jsonl": Case(
        "predict run --manifest m.csv --features s --out q.jsonl", "q.jsonl", whole_file
    ),
    "predict-media": Case("predict heard --manifest w.csv --out q.csv", "q.csv", whole_file),
    "score": Case("score p.csv --gold m.csv", "scores", whole_file, to_stdout=True),
    "score-json": Case("score p.csv --gold m.csv --json", "scores", whole_file, to_stdout=True),
    "manifest-split": Case(
        "manifest split m.csv --split-by speaker --test s1 --out n.csv", "n.csv", whole_file
    ),
    "manifest-join": Case(
        "manifest join --split train=m.csv --split test=o.csv --out n.csv", "n.csv", whole_file
    ),
    "manifest-folder": Case("manifest folder media --out n.csv", "n.csv", whole_file),
    "manifest-parquet": Case("manifest folder media --out n.parquet", "n.parquet", whole_file),
    "compact": Case("store compact small", "small", indexed),
    "index": Case("store index small", "small", indexed),
    "import": Case("store import npz e.npz --out i", "i", store),
    "import-beside": Case("store import npz e.npz --out f --as other", "f", store, True),
    "pack": Case("store pack small --out new.zip", "new.zip", whole_file),
    "unpack": Case("store unpack pack.zip u", "u", unpacked),
    "export-npz": Case("store export npz small --out x.npz", "x.npz", folder),
    "export-hdf5": Case("store export hdf5 small --out x.h5", "x.h5", hdf5_file),
    "export-parquet": Case("store export parquet small --out x", "x", folder),
    "export-zarr": Case("store export zarr small --out x.zarr", "x.zarr", zarr_folder),
    "export-mertools": Case("store export mertools s --out x", "x", folder),
}  # fmt: skip
"""Name -> command; each begins in a copy of the world."""


def make(world: Path, shim: Shim) -> None:
    """Make the world: tables, media, stores, runs, a prediction, a pack."""
    for name in ("tmp", "cache", "config", "media"):
        (world / name).mkdir(parents=True)
    _tables(world)
    for name in "abcd":
        _sound(world / "media" / f"{name}.wav", seed=ord(name))
    made = Store.create(world / "small").add_recipe("toy", RECIPE)
    for number in range(4):
        clips = {f"{number}{k}": v for k, v in noise(number, 3, 5).items()}
        with PartWriter(made.path, made.recipe) as part:
            for clip_id, tokens in clips.items():
                part.add(clip_id, tokens, source="s")
    for words in (
        f"{FIT} linear --seeds 2 --out run",
        "extract two.csv --backbone logmel --out f --part-clips 1",
        "extract w.csv --backbone logmel --out whole",
        "fit-head w.csv --features whole --head linear --out heard",
        "store index small",
        "store pack small --out pack.zip",
        "store export npz small --out e.npz",
    ):
        done = shim.run(world, words.split())
        assert done.code == 0, f"{words}: {done.err}"


def _tables(world: Path) -> None:
    labels, tokens = learnable(30)
    make_store(world / "s", tokens)
    rows = [f"c{k},x,{label},s{k // 3}" for k, label in enumerate(labels)]
    (world / "m.csv").write_text("\n".join(["id,text,label,speaker", *rows, ""]))
    other = [row.replace("c", "d", 1) for row in rows[:3]]
    (world / "o.csv").write_text("\n".join(["id,text,label,speaker", *other, ""]))
    heard = [
        f"{name},media/{name}.wav,{'joy' if name in 'ac' else 'fear'},train" for name in "abcd"
    ]
    (world / "w.csv").write_text("\n".join(["id,audio,label,split", *heard, ""]))
    (world / "two.csv").write_text("\n".join(["id,audio,label,split", *heard[:2], ""]))
    guessed = [f"c{k},{labels[k - k % 2]}" for k in range(30)]
    rows = ["id,prediction,absent", *(f"{line}," for line in guessed), ""]
    (world / "p.csv").write_text("\n".join(rows))


def _sound(path: Path, *, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-9000, 9000, 4000, dtype=np.int16)
    with wave.open(os.fspath(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
