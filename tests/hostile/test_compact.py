"""`emo store compact` removes nothing before what replaces it was read back and compared."""

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.maintain import compact as compacting
from emo.store.maintain.compact import compact
from emo.store.maintain.verify import verify
from emo.store.part.zarr_layout import stored_dtype
from tests.hostile.build import refused, with_attributes
from tests.make_store import RECIPE, audio, noise


def stranger(folder, **streams):
    """A part with the fingerprint of the store's recipe and other streams."""
    recipe = Recipe("other", {**RECIPE.streams, **streams})
    tokens = {
        name: np.ones((2, spec.dim), stored_dtype(spec.dtype))
        for name, spec in recipe.streams.items()
    }
    with PartWriter(folder.path, recipe) as part:
        part.add("stranger", tokens, source="s")
    return with_attributes(
        part.committed, lambda facts: facts.update(fingerprint=folder_is(folder))
    )


def folder_is(folder):
    return folder.recipe.fingerprint


STREAMS = {
    "narrower": {"audio": StreamSpec(4)},
    "wider": {"audio": StreamSpec(16)},
    "width 1, which numpy would broadcast": {"audio": StreamSpec(1)},
    "another dtype": {"audio": StreamSpec(8, "float32")},
    "one stream more": {"more": StreamSpec(8)},
}


@pytest.mark.parametrize("streams", STREAMS.values(), ids=STREAMS)
def test_a_part_with_our_fingerprint_and_other_streams_destroys_nothing(store, commit, streams):
    good = commit(noise(0, 3, 5))
    before = good.read_bytes()
    bad = stranger(store.recipes["toy"], **streams)
    folder = Store(store.path).recipes["toy"]
    (name,) = streams
    words = bad.name, "damaged", f"stream '{name}': its recipe says", "the part says", "verify"
    refused(lambda: compact(folder, progress=False), *words)
    assert good.read_bytes() == before
    assert sorted(path.name for path in folder.path.glob("part-*")) == sorted([good.name, bad.name])
    refused(lambda: folder.read("audio"), *words)
    ((part, what),) = verify(Store(store.path), progress=False).problems
    assert part == bad
    assert "its recipe says" in what
    verify(Store(store.path), quarantine=True, progress=False)
    assert len(Store(store.path).read("toy/audio")) == 2


def test_width_1_is_not_broadcast_behind_a_part_that_lies_after_it_was_opened(store, commit):
    """The last guard: the copy of tokens itself."""
    commit(noise(0, 3))
    folder = Store(store.path).recipes["toy"]
    (path,) = folder.part_paths
    part = folder.parts.open(path)
    layout = part.layout("audio")
    layout.dim = 1
    refused(lambda: folder.read("audio"), path.name, "float16 of width 1, not float16 of width 8")


def small_parts(commit):
    return [commit({f"c{k}": audio(2, k)}) for k in range(3)]


def test_a_new_part_that_cannot_be_read_back_is_removed_and_the_old_ones_stay(
    store, folder, commit, monkeypatch
):
    old = small_parts(commit)
    whole = compacting.commit

    def flipping(where, name, write):
        done = whole(where, name, write)
        data = bytearray((where / name).read_bytes())
        data[100] ^= 1  # of the first tokens
        (where / name).write_bytes(data)
        return done

    monkeypatch.setattr(compacting, "commit", flipping)
    refused(lambda: compact(folder, progress=False), "read back", "old ones are kept", "repeat")
    assert sorted(folder.path.glob("part-*")) == sorted(old)
    assert [ragged.max() for ragged in folder.read("audio", ["c0", "c1", "c2"])] == [0, 1, 2]


def test_a_damaged_part_found_while_it_is_compared_keeps_everything(folder, commit, monkeypatch):
    old = small_parts(commit)
    monkeypatch.setattr(compacting, "_holds", lambda *_: False)
    with pytest.raises(StoreError, match="read back"):
        compact(folder, progress=False)
    assert sorted(folder.path.glob("part-*")) == sorted(old)


def test_a_part_that_holds_a_clip_twice_stops_compaction(store, folder, commit):
    good = commit({"a": audio(1, 1), "b": audio(1, 2)})
    with_attributes(good, lambda facts: facts.update(clip_ids=["a", "a"]))
    folder = Store(store.path).recipes["toy"]
    refused(lambda: compact(folder, progress=False), good.name, "a clip is in it twice")
    assert good.exists()
