"""A store of 2,000 clips out to every interchange format and back, with the seconds.

    python benchmarks/interop.py [--quick] [--folder DIR]

Prints one JSON line a format, and one for pack and unpack: seconds of export and import, the size,
and the seconds of hashing the same bytes beside them. What comes back is compared bit by
bit; the script fails if it differs. Three streams of video, audio and text, some of them absent.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emo import plugins
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.backend.atomic import content_hash
from emo.store.exchange.format import Format
from emo.store.exchange.pack import pack, unpack
from emo.store.exchange.transfer import export_file, import_file
from emo.store.recipe_folder import RecipeFolder

RECIPE = Recipe(
    "bench",
    {
        "video": StreamSpec(768),
        "audio": StreamSpec(128, "float32"),
        "text": StreamSpec(768, level="clip"),
    },
)


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 clips")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = make_store(Path(scratch), clips=200 if options.quick else 2000)
        cells = {k: {"split": "train", "label": "joy", "text": "hi"} for k in folder.ids}
        for name in plugins.available(plugins.FORMATS):
            kind = plugins.load(plugins.FORMATS, name, Format)  # type: ignore[type-abstract]
            if not (kind.can_write and kind.keeps_all):
                continue
            print(json.dumps(measure(name, folder, cells, Path(scratch))), flush=True)
        print(json.dumps(measure_pack(folder, Path(scratch))), flush=True)


def make_store(scratch: Path, *, clips: int) -> RecipeFolder:
    """Clips of 4 to 60 video and 20 to 300 audio tokens; every tenth without text."""
    rng = np.random.default_rng(0)
    folder = Store.create(scratch / "features").add_recipe("bench", RECIPE)
    with PartWriter(folder.path, RECIPE) as part:
        for clip in range(clips):
            tokens = {
                "video": rng.standard_normal((rng.integers(4, 61), 768), np.float32),
                "audio": rng.standard_normal((rng.integers(20, 301), 128), np.float32),
                "text": rng.standard_normal((1, 768), np.float32),
            }
            if clip % 10 == 0:
                del tokens["text"]
            part.add(f"dia{clip // 10}_utt{clip % 10}", tokens, absent=_absent(tokens))
    folder.refresh()
    return folder


def measure(
    name: str, folder: RecipeFolder, cells: dict[str, dict[str, str]], scratch: Path
) -> dict[str, object]:
    """One format in both directions."""
    out, store = scratch / f"out-{name}", scratch / f"back-{name}"
    is_pickle = plugins.load(plugins.FORMATS, name, Format).is_pickle  # type: ignore[type-abstract]
    out_seconds = timed(lambda: export_file(name, folder.path.parent, out, cells=cells))
    in_seconds = timed(
        lambda: import_file(name, out, store, recipe="bench", allow_pickle=is_pickle)
    )
    compare(folder, Store(store).recipes["bench"])
    return line(name, folder, out, out_seconds, in_seconds)


def measure_pack(folder: RecipeFolder, scratch: Path) -> dict[str, object]:
    """Pack and unpack."""
    out = scratch / "pack.zip"
    out_seconds = timed(lambda: pack(folder.path.parent, out))
    in_seconds = timed(lambda: unpack(out, scratch / "unpacked"))
    compare(folder, Store(scratch / "unpacked" / "features").recipes["bench"])
    return line("pack", folder, out, out_seconds, in_seconds)


def line(
    name: str, folder: RecipeFolder, out: Path, out_seconds: float, in_seconds: float
) -> dict[str, object]:
    """What is printed."""
    files = [out] if out.is_file() else [file for file in out.rglob("*") if file.is_file()]
    (part,) = folder.part_paths
    return {
        "format": name, "clips": len(folder.ids), "export_seconds": round(out_seconds, 2),
        "import_seconds": round(in_seconds, 2), "files": len(files),
        "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 1),
        "store_megabytes": round(part.stat().st_size / 1e6, 1),
        "hash_of_store_seconds": round(timed(lambda: content_hash(part)), 2), "same_bits": True,
    }  # fmt: skip


def compare(folder: RecipeFolder, back: RecipeFolder) -> None:
    """Stop if anything differs."""
    assert list(back.ids) == list(folder.ids)
    for stream in RECIPE.streams:
        ours, theirs = folder.read(stream), back.read(stream)
        assert np.array_equal(ours.offsets, theirs.offsets), stream
        assert ours.values.dtype == theirs.values.dtype, stream
        assert ours.values.tobytes() == theirs.values.tobytes(), stream
    assert back.absent == folder.absent


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _absent(tokens: dict[str, np.ndarray]) -> dict[str, str]:
    return {} if "text" in tokens else {"text": "nothing was said"}


if __name__ == "__main__":
    sys.exit(main())
