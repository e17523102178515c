"""A small job of texts, the hashes of its tokens, and checks of the store that it makes."""

import hashlib
from pathlib import Path

from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.forked import emo_command, forked

CLIPS = 12
LETTERS = "tests.make_backbone:Letters"


def write_manifest(folder: Path) -> Path:
    """Twelve texts."""
    path = folder / "m.csv"
    path.write_text("id,text\n" + "".join(f"c{k:02},abcdefgh{k}\n" for k in range(CLIPS)))
    return path


def words(manifest: Path, out: Path | str) -> list[object]:
    """The command that extracts them into six parts of some 30 kB."""
    return [
        "extract", manifest, "--backbone", LETTERS, "-o", "width=400", "--out", out,
        "--part-clips", 2,
    ]  # fmt: skip


def hashes_undisturbed(manifest: Path, folder: Path) -> dict[str, str]:
    """Hashes of an undisturbed run, made in this process so that its forks have the imports."""
    assert forked(emo_command(folder / "printed", *words(manifest, folder / "s"))).end() == 0
    return hashes(folder / "s")


def hashes(store: Path) -> dict[str, str]:
    """Clip id -> SHA-256 of its tokens in the store; every byte of every part is checked."""
    if not store.exists() or not Store(store, may_be_empty=True).recipes:
        return {}
    assert verify(Store(store)).problems == []
    recipe = Store(store).recipes["letters"]
    ids = list(recipe.ids)
    tokens = recipe.read("letters", ids)
    return {k: hashlib.sha256(t.tobytes()).hexdigest() for k, t in zip(ids, tokens, strict=True)}


def check_whole(store: Path, expected: dict[str, str]) -> None:
    """Everything is there once, as expected, and nothing is left over."""
    assert hashes(store) == expected
    assert verify(Store(store)).recipes[0].overlaps == 0
    assert not list(store.glob("*/.tmp-*"))
