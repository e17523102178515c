"""An index that says something else than the parts: no clip is read as another."""

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import Store
from emo.store.index import file as index_file
from emo.store.index.file import index_paths, open_index
from emo.store.index.table import HeldColumns
from emo.store.maintain.index import make_index
from emo.store.maintain.verify import verify
from tests.make_store import audio

CLIPS = {"ab": 1, "cd": 2, "ef": 3, "gh": 4}


@pytest.fixture
def indexed(store, commit):
    """Two parts of two clips, whose tokens are the numbers in CLIPS, and their index."""
    pairs = [*CLIPS.items()]
    for some in (pairs[:2], pairs[2:]):
        commit(
            {clip_id: audio(number, number) for clip_id, number in some} | {f"x{some[0][0]}": "no"}
        )
    folder = Store(store.path).recipes["toy"]
    make_index(folder, progress=False)
    return folder


def columns_of(folder):
    (path,) = index_paths(folder.path)
    names = {part.name for part in folder.part_paths}
    columns = open_index(path, folder.recipe.fingerprint, names)
    specs = columns._part.specs
    return path, {name: columns.whole(name).copy() for name in specs}


def rewritten(folder, change):
    """Write the index again, with columns that ``change`` edited."""
    path, columns = columns_of(folder)
    change(columns)
    path.unlink()
    with open(path, "xb") as file:
        index_file._write(file, folder.recipe.fingerprint, HeldColumns(columns))
    return Store(folder.path.parent)


def exchange(columns):
    """The ids of two clips of one part are exchanged; the lookup by hash with them."""
    text = columns["id_text"]
    text[:4] = [*text[2:4], *text[:2]]
    hashes, entries = columns["hashes"], columns["entries"]
    first, second = (int(np.flatnonzero(entries == k)[0]) for k in (0, 1))
    entries[[first, second]] = entries[[second, first]]
    del hashes


def exchange_parts(columns):
    """The first clips of the two parts are exchanged."""
    text = columns["id_text"]
    text[[0, 1, 4, 5]] = text[[4, 5, 0, 1]]
    entries = columns["entries"]
    first, second = (int(np.flatnonzero(entries == k)[0]) for k in (0, 2))
    entries[[first, second]] = entries[[second, first]]


def edit(name, index, value):
    def change(columns):
        columns[name].reshape(-1)[index] = value

    return change


def shorten(name):
    def change(columns):
        columns[name] = columns[name][:-1]

    return change


INDICES = {
    "ids of one part exchanged": exchange,
    "ids of two parts exchanged": exchange_parts,
    "a boundary between ids moved": edit("id_ends", 0, 3),
    "an id beyond the text": edit("id_ends", -1, 10**6),
    "a negative boundary": edit("id_ends", 0, -5),
    "an id that is no UTF-8": edit("id_text", 0, 255),
    "other lengths": edit("lengths.audio", slice(0, 2), [2, 1]),
    "lengths of gigabytes": edit("lengths.audio", slice(None), 2**32 - 1),
    "an entry beyond all clips": edit("entries", slice(None), 10**9),
    "too few ids": shorten("id_ends"),
    "too few lengths": shorten("lengths.audio"),
    "too few winners": shorten("wins"),
    "too few hashes": shorten("hashes"),
    "counts that do not fit": edit("parts", 3, 1),
    "negative counts": edit("parts", 3, -2),
    "a failure exchanged": edit("failed_text", 0, ord("y")),
}  # fmt: skip


@pytest.mark.parametrize("change", INDICES.values(), ids=INDICES)
def test_an_index_that_lies_exchanges_no_clip_and_verify_says_so(indexed, change):
    lying = rewritten(indexed, change)
    for ids in ([*CLIPS], [*CLIPS][::-1], ["ef"], ["ab"], None):
        folder = Store(lying.path).recipes["toy"]
        try:
            found = folder.read("audio", ids)
        except StoreError as error:
            hidden = str(error)  # a clip that the index hides; verify says so
            if "no clip" not in hidden:
                raise
            continue
        asked = ids or [*folder.ids]
        assert {k: int(t[0, 0]) for k, t in zip(asked, found, strict=True)} == {
            clip_id: CLIPS[clip_id] for clip_id in asked
        }
    ((path, what),) = verify(Store(lying.path), progress=False).problems
    assert path.name.startswith("index-")
    assert "disagree" in what or "contradict" in what
    assert "\n" not in what
    verify(Store(lying.path), quarantine=True, progress=False)
    assert not index_paths(indexed.path)
    assert sorted(Store(lying.path).ids("toy")) == sorted(CLIPS)


def test_an_honest_index_is_no_problem(indexed, store):
    assert verify(Store(store.path), progress=False).problems == []


@pytest.mark.parametrize("few", [1, 64])
def test_ids_are_compared_piece_by_piece_and_in_whole_columns(indexed, monkeypatch, few):
    monkeypatch.setattr("emo.store.index.indexed._FEW_PARTS", few)
    lying = rewritten(indexed, exchange)
    found = lying.recipes["toy"].read("audio", ["ab", "cd"])
    assert [int(tokens[0, 0]) for tokens in found] == [1, 2]
