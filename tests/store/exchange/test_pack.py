"""A pack holds clips and labels, is checked by sums, and never writes outside of its folder."""

import errno
import json
import os
import stat
import zipfile

import numpy as np
import pytest

from emo.errors import StoreError
from emo.manifest import read_manifest
from emo.manifest.exchange import check_packed_labels
from emo.store import Store
from emo.store.backend.commit import cannot_write
from emo.store.exchange.pack import pack, unpack
from tests.contracts.test_formats import assert_same, fill, toy_clips
from tests.make_store import RECIPE


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "store", RECIPE, toy_clips(), failures=["bad"])


@pytest.fixture
def packed(folder, tmp_path):
    pack(tmp_path / "store", tmp_path / "p.zip")
    return tmp_path / "p.zip"


def test_a_pack_comes_back_bit_by_bit_under_its_recipe(folder, packed, tmp_path):
    report = unpack(packed, tmp_path / "there")
    back = Store(tmp_path / "there" / "features").recipes["toy"]
    assert_same(back, folder)
    assert back.recipe == folder.recipe
    assert (back.failures, back.sources) == (folder.failures, folder.sources)
    assert report.clips == 9


def test_streams_left_out_are_absent_with_that_reason(folder, tmp_path):
    pack(tmp_path / "store", tmp_path / "p.zip", streams=["audio"])
    unpack(tmp_path / "p.zip", tmp_path / "there")
    back = Store(tmp_path / "there" / "features").recipes["toy"]
    assert back.recipe.fingerprint == folder.recipe.fingerprint
    assert sorted(back.ids) == [f"c{k}" for k in range(9) if k != 3]
    assert back.lengths("face").sum() == 0
    assert back.absent["c0"]["face"] == "left out when this was written"
    ids = list(back.ids)
    np.testing.assert_array_equal(back.read("audio", ids).values, folder.read("audio", ids).values)


def test_the_same_clips_make_the_same_bytes(folder, packed, tmp_path):
    pack(tmp_path / "store", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_pack_and_unpack_as_typed_with_labels(folder, tmp_path, emo):
    rows = "".join(
        f"c{k},{'train' if k else 'test'},{'joy' if k % 2 else 'fear'}\n" for k in range(9)
    )
    (tmp_path / "m.csv").write_text("id,split,label,text\n" + rows.replace("\n", ",hi\n"))
    words = ("--recipe", "toy", "--stream", "audio", "--manifest", "m.csv", "--out", "p.zip")
    code, out, err = emo("store", "pack", "store", *words)
    assert code == 0, err
    assert "1 clip without tokens in these streams" in out
    code, out, err = emo("store", "unpack", "p.zip", "there")
    assert code == 0, err
    assert "with labels: there/manifest.csv" in out
    clips = read_manifest(tmp_path / "there" / "manifest.csv").clips
    assert [c.id for c in clips] == [f"c{k}" for k in range(9)]
    assert (clips[1].split, clips[1].targets) == ("train", {"label": "joy"})


def rewritten(path, change):
    """The pack with its members changed by ``change(name, data)`` -> (name or info, data)s."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    hostile = path.with_name("hostile.zip")
    with zipfile.ZipFile(hostile, "w") as archive:
        for name, data in members:
            for each, content in change(name, data):
                archive.writestr(each, content)
    return hostile


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


EXTRA = {
    "absolute": ("/etc/passwd", b"x", "'/etc/passwd' has an absolute path"),
    "windows": ("C:\\x", b"x", r"'C:.*x' has an absolute path"),
    "parent": ("features/../../x", b"x", "leaves the folder by '..'"),
    "link": (link("features/other/recipe.json"), b"/etc/passwd", "recipe.json' is a link"),
    "link to a folder": (link("features"), b"/tmp", "'features' is a link"),
    "pickle": ("features/toy/head.pkl", b"x", "'features/toy/head.pkl' is a pickle"),
    "script": ("features/toy/setup.py", b"x", "is not one that emo store pack writes"),
    "not listed": ("manifest.csv", b"x", "emo-pack.json and the members disagree"),
}


@pytest.mark.parametrize("name", EXTRA)
def test_hostile_members_are_refused_and_nothing_is_written(name, packed, tmp_path):
    member, data, message = EXTRA[name]

    def change(old, content):
        yield old, content
        if old == "emo-pack.json":
            yield member, data

    with pytest.raises(StoreError, match=message) as caught:
        unpack(rewritten(packed, change), tmp_path / "there")
    assert "\n" not in str(caught.value)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["hostile.zip", "p.zip", "store"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(packed, tmp_path):
    hostile = rewritten(packed, lambda name, data: [(name, data), (name, data)])
    with pytest.raises(StoreError, match="occurs twice; nothing was unpacked"):
        unpack(hostile, tmp_path / "there")


def test_a_changed_member_is_found_by_its_sum(packed, tmp_path):
    def change(name, data):
        is_part = "part-" in name
        yield name, data[:-1] + bytes([data[-1] ^ 1]) if is_part else data

    with pytest.raises(StoreError, match=r"expected sha256 .* damaged in transfer; nothing was"):
        unpack(rewritten(packed, change), tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_damaged_part_with_the_right_sum_is_found_too(packed, tmp_path):
    import hashlib

    broken = {}

    def change(name, data):
        if "part-" in name:
            at = data.index(b"PK\3\4") + 200
            data = data[:at] + b"\xff" + data[at + 1 :]
            broken[name] = hashlib.sha256(data).hexdigest()
        if name == "emo-pack.json":
            index = json.loads(data)
            index["sha256"] |= broken
            data = json.dumps(index).encode()
        yield name, data

    with pytest.raises(StoreError, match=r"is damaged: .*nothing was unpacked"):
        unpack(rewritten(packed, change), tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_compressed_members_are_refused_so_that_none_can_explode(packed, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features/toy/recipe.json", b"0" * 10**6)
    with pytest.raises(StoreError, match="is encrypted or compressed"):
        unpack(tmp_path / "bomb.zip", tmp_path / "there")


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\3\4" + b"\0" * 40])
def test_no_zip_is_one_line(data, tmp_path):
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(StoreError, match="not a pack that can be read"):
        unpack(tmp_path / "x.zip", tmp_path / "there")


def with_member(packed, member, data):
    """Write a pack again with another member, and the sum that fits."""
    import hashlib

    def change(name, content):
        if name == "emo-pack.json":
            index = json.loads(content)
            index["sha256"][member] = hashlib.sha256(data).hexdigest()
            yield member, data
            yield name, json.dumps(index).encode()
        elif name != member:
            yield name, content

    return rewritten(packed, change)


@pytest.mark.parametrize(
    ("member", "data", "words"),
    [
        ("manifest.csv", b"\xff\0" * 100, "manifest.csv: "),
        ("manifest.csv", b"text,label\nhi,joy\n", "manifest.csv: expected a table of clips with"),
        ("manifest.csv", b"", "manifest.csv: expected a table of clips"),
        ("features/toy/recipe.json", b"[]", "features/toy/recipe.json"),
        ("features/toy/part-0123456789abcdef.zarr.zip", b"", "part-0123456789abcdef.zarr.zip is d"),
    ],
)
def test_errors_name_the_pack_and_its_member(packed, tmp_path, member, data, words):
    hostile = with_member(packed, member, data)
    with pytest.raises(StoreError, match="nothing was unpacked") as caught:
        unpack(hostile, tmp_path / "there", check_labels=check_packed_labels)
    assert f"{hostile}: {words}" in str(caught.value)
    assert "tmp-" not in str(caught.value).replace(str(tmp_path), "")
    assert not (tmp_path / "there").exists()


def test_unpack_as_typed_looks_into_the_labels(packed, emo):
    hostile = with_member(packed, "manifest.csv", b"\xff\0" * 100)
    code, out, err = emo("store", "unpack", hostile, "there")
    assert (code, out) == (1, "")
    assert "nothing was unpacked" in err


def test_a_full_disk_names_the_pack(folder, tmp_path, monkeypatch):
    def full(*_):
        cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise cannot_write(tmp_path / ".tmp-x", cause) from cause

    monkeypatch.setattr("emo.store.exchange.pack.write_parts", full)
    with pytest.raises(StoreError, match=r"p\.zip: no space left to write; nothing is kept"):
        pack(tmp_path / "store", tmp_path / "p.zip")
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


def test_what_is_there_stays(packed, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError, match="there exists"):
        unpack(packed, tmp_path / "there")
