"""Readers of files under fuzzing, each with its first inputs and with what must hold of any bytes.

A reader gets bytes as a file in a folder of its own. It may refuse them with one line; it may not
raise anything else, give another clip's tokens, or leave files behind.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emo.errors import EmoError
from emo.heads.fitting.fit import fit_head
from emo.heads.options import FitOptions
from emo.manifest import read_manifest
from emo.manifest.conversations import conversation_rows
from emo.predict.file import predict_manifest
from emo.store import PartWriter, Store
from emo.store.exchange.pack import pack, unpack
from emo.store.index.file import index_paths
from emo.store.maintain.index import make_index
from emo.store.maintain.verify import verify
from tests.hostile.build import assert_line
from tests.make_batches import learnable
from tests.make_batches import make_store as make_many
from tests.make_store import RECIPE, audio

CLIPS = {"ab": 1, "cd": 2, "ef": 3, "gh": 4}
"""Clip -> number of tokens, and value of all of them."""


@dataclass(frozen=True)
class Reader:
    """A reader, and the folder that its file lies in."""

    prepare: Callable[[Path], list[Path]]
    """Makes a folder with whole files, and returns those whose bytes are first inputs."""
    ask: Callable[[Path, bytes], None]
    """Puts bytes in the place of the file, reads it, and checks what came out."""


def allowed(question: Callable[[], object]) -> bool:
    """Return whether ``question`` was answered; False: it was refused with one line."""
    try:
        question()
    except EmoError as error:
        assert_line(error)
        return False
    return True


def _store(folder: Path) -> Path:
    made = Store.create(folder / "store").add_recipe("toy", RECIPE)
    pairs = [*CLIPS.items()]
    for some in (pairs[:2], pairs[2:]):
        with PartWriter(made.path, made.recipe) as part:
            for name, count in some:
                part.add(name, audio(count, count), source="s")
            part.fail(f"x{some[0][0]}", "no", source="s")
    return folder / "store"


def _whole(folder: Path, clips: set[str]) -> None:
    """Read all clips: each has the tokens that were written."""
    store = Store(folder / "store")
    opened = store.recipes["toy"]
    for name in clips & set(opened.ids):
        (tokens,) = opened.read("audio", [name])
        assert tokens.shape == (CLIPS[name], 8)
        assert np.all(tokens == CLIPS[name])
    _ = (opened.failures, opened.sources, opened.absent, opened.notes)


def _part(folder: Path) -> list[Path]:
    return sorted((_store(folder) / "toy").glob("*.zip"))[:1]


def _ask_part(folder: Path, data: bytes) -> None:
    (path,) = sorted((folder / "store" / "toy").glob("*.zip"))[:1]
    path.write_bytes(data)

    def read() -> None:
        opened = Store(folder / "store").recipes["toy"]
        opened.read("audio")
        _ = (opened.failures, opened.sources, opened.absent, opened.notes)

    allowed(read)
    allowed(lambda: verify(Store(folder / "store")))


def _index(folder: Path) -> list[Path]:
    opened = Store(_store(folder)).recipes["toy"]
    make_index(opened, progress=False)
    return [Path(str(path)) for path in index_paths(opened.path)]


def _ask_index(folder: Path, data: bytes) -> None:
    opened = Store(folder / "store").recipes["toy"]
    (path,) = index_paths(opened.path)
    Path(str(path)).write_bytes(data)
    allowed(lambda: _whole(folder, set(CLIPS)))
    allowed(lambda: verify(Store(folder / "store")))


def _recipe(folder: Path) -> list[Path]:
    return [_store(folder) / "toy" / "recipe.json"]


def _ask_recipe(folder: Path, data: bytes) -> None:
    (folder / "store" / "toy" / "recipe.json").write_bytes(data)
    allowed(lambda: _whole(folder, set(CLIPS)))


def _pack(folder: Path) -> list[Path]:
    store = _store(folder)
    lines = "".join(f"{name},joy,x\n" for name in CLIPS)
    (folder / "m.csv").write_text("id,label,text\n" + lines)
    pack(store, folder / "p.zip", manifest=(folder / "m.csv").read_bytes())
    return [folder / "p.zip"]


def _ask_pack(folder: Path, data: bytes) -> None:
    inside = folder / "in"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    (inside / "p.zip").write_bytes(data)
    before = {path.name for path in folder.iterdir()}
    is_done = allowed(lambda: unpack(inside / "p.zip", inside / "out"))
    assert {path.name for path in folder.iterdir()} == before
    assert {path.name for path in inside.iterdir()} == {"p.zip", *(["out"] if is_done else [])}


_HEADS = ("linear", "attention_pool")


def _run(folder: Path) -> list[Path]:
    labels, tokens = learnable(30)
    make_many(folder / "s", tokens)
    rows = "".join(f"c{row},x,{label}\n" for row, label in enumerate(labels))
    (folder / "m.csv").write_text("id,text,label\n" + rows)
    manifest = read_manifest(folder / "m.csv")
    for head in _HEADS:
        options = FitOptions.of(head=head, seeds=1, **({} if head == "linear" else {"epochs": 1}))
        fit_head(manifest, [folder / "s"], folder / head, options, progress=False)
    return [folder / head / "run.json" for head in _HEADS]


def _ask_run(folder: Path, data: bytes) -> None:
    name = "attention_pool" if b"attention_pool" in data else "linear"
    path = folder / name / "run.json"
    path.write_bytes(data)
    out = folder / "predictions.csv"
    out.unlink(missing_ok=True)
    asked = allowed(
        lambda: predict_manifest(
            folder / name, folder / "m.csv", (str(folder / "s"),), out, columns={}, root=None
        )
    )
    assert out.exists() <= asked
    if asked:
        table = pd.read_csv(out)
        assert len(table) == 30
        assert not table.isna().all(axis=0)[table.filter(like="p_").columns].any()


_ROWS = [
    {"id": "a", "text": "so, \"quoted\"", "label": "joy", "split": "train", "turn": "1"},
    {"id": "b", "text": "é", "label": "anger", "split": "test", "turn": "2"},
]  # fmt: skip


def _manifest(folder: Path) -> list[Path]:
    frame = pd.DataFrame(_ROWS)
    frame.to_csv(folder / "m.csv", index=False)
    frame.to_csv(folder / "m2.csv", index=False, sep=";", encoding="utf-16")
    frame.to_parquet(folder / "m.parquet")
    (folder / "m.json").write_text(json.dumps(_ROWS))
    (folder / "m.jsonl").write_text("\n".join(json.dumps(row) for row in _ROWS))
    said = {"utterance_ID": 1, "text": "x", "speaker": "A", "emotion": "joy"}
    (folder / "c.json").write_text(json.dumps([{"conversation_ID": 1, "conversation": [said]}]))
    return sorted(folder.glob("*.*"))


def _ask_manifest(folder: Path, data: bytes) -> None:
    for ending in ("csv", "tsv", "json", "jsonl", "parquet"):
        is_parquet = data[:4] == b"PAR1"
        if is_parquet != (ending == "parquet"):
            continue
        path = folder / f"asked.{ending}"
        path.write_bytes(data)
        allowed(lambda path=path: read_manifest(path))
        if ending == "json":
            allowed(lambda path=path: conversation_rows(path, "train"))


READERS = {
    "part": Reader(_part, _ask_part),
    "index": Reader(_index, _ask_index),
    "recipe": Reader(_recipe, _ask_recipe),
    "pack": Reader(_pack, _ask_pack),
    "run": Reader(_run, _ask_run),
    "manifest": Reader(_manifest, _ask_manifest),
}
