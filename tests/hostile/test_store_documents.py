"""Documents of a store that are no such documents, links and pipes: one line each."""

import json
import os
import shutil

import pytest

from emo.errors import StoreError
from emo.machine.untrusted.documents import read_checked
from emo.machine.untrusted.kinds import AnyJson
from emo.store import Store
from emo.store.maintain.verify import verify
from tests.hostile.build import assert_line, refused, with_attributes
from tests.make_store import noise

DEEP = 100_000 * "[" + 100_000 * "]"


def opened(store):
    folder = Store(store.path).recipes["toy"]
    return folder.read("audio"), folder.failures, folder.sources, folder.absent, folder.notes


ATTRIBUTES = {
    "no fingerprint": {"fingerprint": 3},
    "an attempt that is text": {"attempt": "1"},
    "a negative attempt": {"attempt": -1},
    "an attempt that is true": {"attempt": True},
    "clips that are text": {"clip_ids": "c0"},
    "a clip that is a number": {"clip_ids": ["c0", 1]},
    "a clip that is a list": {"clip_ids": ["c0", []]},
    "one clip too few": {"clip_ids": ["c0"]},
    "failures that are a list": {"failures": ["c9"]},
    "a reason that is a list": {"failures": {"c9": ["x"]}},
    "streams that are a list": {"streams": ["audio"]},
    "a stream that is text": {"streams": {"audio": "8"}},
    "a width that is text": {"streams": {"audio": {"dim": "8", "dtype": "float16"}}},
    "a width of 10^12": {"streams": {"audio": {"dim": 10**12, "dtype": "float16"}}},
    "a type that is a list": {"streams": {"audio": {"dim": 8, "dtype": ["f2"]}}},
    "sources that are an object": {"sources": {"c0": "s"}},
    "a source that is a number": {"sources": ["s", 1]},
    "one source too few": {"sources": ["s"]},
    "absent streams that are a list": {"absent": ["c0"]},
    "a reason of absence that is a number": {"absent": {"c0": {"audio": 1}}},
    "notes that are text": {"notes": "none"},
    "a note that is text": {"notes": {"c0": {"n": "1"}}},
    "a version that is text": {"format_version": "1"},
    "a library's version that is a number": {"versions": {"numpy": 2}},
    "versions of libraries that are text": {"versions": "2"},
    "a version of 10^400": {"format_version": 10**400},
    "attributes that are a list": None,
}  # fmt: skip


@pytest.mark.parametrize("entries", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attributes_of_other_types_are_one_line_and_can_be_set_aside(
    store, commit, capsys, entries
):
    path = commit(noise(0, 3, 5))
    with_attributes(path, lambda facts: ["x"] if entries is None else {**facts, **entries})
    refused(lambda: opened(store), path.name)
    for quarantine in (False, True):
        report = verify(Store(store.path), quarantine=quarantine, progress=False)
        assert {part for part, _ in report.problems} == {path}
        assert not any("\n" in what for _, what in report.problems)
    assert not path.exists()
    assert list(Store(store.path).ids("toy")) == []


@pytest.mark.parametrize("value", ["NaN", "1e999", "-Infinity"])
def test_a_note_that_is_not_finite_is_refused(store, commit, value):
    path = commit(noise(0, 3))
    with_attributes(path, lambda facts: facts.update(notes={"c0": {"n": float(value)}}))
    refused(lambda: opened(store), path.name, "notes.c0.n: expected a finite number")


def test_a_part_nested_a_hundred_thousand_deep_is_one_line(store, commit):
    from tests.hostile.build import members_of, write_zip

    path = commit(noise(0, 3))
    write_zip(path, {**members_of(path), "zarr.json": DEEP.encode()})
    refused(lambda: opened(store), path.name, "nested too deeply|expected an object")


RECIPES = {
    "a list": "[]", "text": '"recipe"', "nothing": "", "no JSON": "{", "nesting": DEEP,
    "nested options": 'OPTIONS:{"a":' + 90 * "[" + 90 * "]" + "}",
    "streams that are a list": 'streams:["audio"]', "a stream that is text": 'streams:{"a":"b"}',
    "a width of 0": 'streams:{"a":{"dim":0,"dtype":"f2","level":"","kind":"dense","shape":null}}',
    "a width of 10^12":
        'streams:{"a":{"dim":1000000000000,"dtype":"f2","level":"","kind":"dense","shape":null}}',
    "a type that is none":
        'streams:{"a":{"dim":1,"dtype":"(1,","level":"","kind":"dense","shape":null}}',
    "options that are a list": "options:[]", "a version that is text": 'version:"1"',
    "a backbone that is a number": "backbone:7", "weights that are a number": "weights:7",
    "a fingerprint that is null": "fingerprint:null", "facts that are text": 'facts:"x"',
    "another fingerprint": 'fingerprint:"0000000000000000"',
}  # fmt: skip


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_is_none_is_one_line(store, commit, emo, text):
    commit(noise(0, 3))
    file = store.path / "toy" / "recipe.json"
    name, colon, value = text.partition(":")
    if colon and name.isalpha():
        text = json.dumps(json.loads(file.read_text()) | {name.lower(): json.loads(value)})
    file.write_text(text)
    refused(lambda: Store(store.path), r"recipe\.json", "restore it")
    code, out, err = emo("store", "ls", store.path)
    assert (code, out) == (1, "")
    assert err.startswith("emo: error: ")
    assert err.count("\n") == 1
    assert len(err) < 1000


def test_a_recipe_of_a_gigabyte_is_not_read(store, commit):
    commit(noise(0, 3))
    with open(store.path / "toy" / "recipe.json", "r+b") as file:
        file.truncate(2**30)  # sparse
    refused(lambda: Store(store.path), "1,073,741,824 bytes; at most")


# links and pipes


def test_a_part_that_is_a_link_is_refused_and_set_aside(store, commit, tmp_path):
    path = commit(noise(0, 3))
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    refused(lambda: opened(store), path.name, "it is a link", "copy")
    verify(Store(store.path), quarantine=True, progress=False)
    assert (tmp_path / "secret").exists()
    assert list(Store(store.path).ids("toy")) == []


def test_a_part_that_becomes_a_link_after_it_was_opened_is_not_mapped(store, commit, tmp_path):
    path = commit(noise(0, 3))
    folder = Store(store.path).recipes["toy"]
    assert len(folder.ids) == 1
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    refused(lambda: folder.read("audio"), "it is a link")


def test_a_recipe_that_is_a_link_is_refused(store, commit, tmp_path):
    commit(noise(0, 3))
    file = store.path / "toy" / "recipe.json"
    file.rename(tmp_path / "recipe.json")
    file.symlink_to(tmp_path / "recipe.json")
    refused(lambda: Store(store.path), r"recipe\.json", "it is a link")


def test_a_recipes_folder_that_is_a_link_is_refused(store, commit, tmp_path):
    commit(noise(0, 3))
    shutil.move(store.path / "toy", tmp_path / "elsewhere")
    (store.path / "toy").symlink_to(tmp_path / "elsewhere")
    refused(lambda: Store(store.path), "toy is a link", "links inside a store are refused")


def test_the_store_itself_may_be_a_link_that_the_user_names(store, commit, tmp_path):
    commit(noise(0, 3))
    (tmp_path / "mine").symlink_to(store.path)
    assert len(Store(tmp_path / "mine").read("toy/audio")) == 1


@pytest.mark.parametrize("name", ["part-0123456789abcdef.zarr.zip", "index-000001.zarr.zip"])
def test_a_pipe_in_a_store_is_not_waited_for(store, commit, name):
    commit(noise(0, 3))
    os.mkfifo(store.path / "toy" / name)
    if name.startswith("index"):
        assert len(Store(store.path).read("toy/audio")) == 1
    else:
        refused(lambda: opened(store), name, "it is a pipe, not a regular file")
    verify(Store(store.path), quarantine=True, progress=False)
    assert len(Store(store.path).read("toy/audio")) == 1


def test_a_recipe_that_is_a_pipe_is_no_recipe(store, commit):
    commit(noise(0, 3))
    (store.path / "toy" / "recipe.json").unlink()
    os.mkfifo(store.path / "toy" / "recipe.json")
    refused(lambda: Store(store.path), "no store")


# the shared reader


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "it is a folder|Is a directory"),
        (lambda path: os.mkfifo(path), "it is a pipe"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "not valid JSON"),
        (lambda path: path.write_text(DEEP[:90_000]), "nested too deeply"),
        (lambda path: path.write_text(60 * "[" + 60 * "]"), "nested more than 50 deep"),
        (lambda path: path.write_text("[" + "1" * 5000 + "]"), "JSON: Exceeds the limit"),
        (lambda path: path.write_text("1" * 200_000), "at most 100,000"),
        (lambda path: None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_document_is_one_line_with_advice(tmp_path, make, words):
    path = tmp_path / "x.json"
    make(path)
    with pytest.raises(StoreError) as caught:
        read_checked(path, AnyJson(), error=StoreError, advice="mend it", most_bytes=100_000)
    assert_line(caught.value, r"x\.json", words, "mend it")


def test_verify_goes_on_after_a_part_whose_attributes_lack_an_entry(store, commit):
    commit(noise(0, 3))
    broken = commit({"x": noise(1, 2)["c0"]})
    with_attributes(broken, lambda facts: {k: v for k, v in facts.items() if k != "absent"})
    report = verify(Store(store.path))
    assert [path.name for path, _ in report.problems] == [broken.name]


def test_half_of_a_surrogate_pair_is_refused(store, commit):
    commit(noise(0, 3))
    path = store.path / "toy" / "recipe.json"
    path.write_text(path.read_text().replace('"frames": 8', '"frames": "\\ud800"'))
    refused(lambda: Store(store.path), "recipe.json", "surrogate")
