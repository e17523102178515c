"""What an object store refuses is one line that says which, why and what to do."""

import builtins
import os
import socket
import sys
import time

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter, Store
from emo.store.backend.bucket import forget_connections
from emo.store.backend.cache_folder import evict
from emo.store.backend.errors import refusal
from tests.make_store import RECIPE, audio


def filled(bucket):
    folder = Store.create(bucket).add_recipe("toy", RECIPE)
    with PartWriter(folder.path, RECIPE) as part:
        part.add("a clip", audio(3))
    return folder


def test_a_server_without_conditions_is_refused_before_a_part_is_lost(bucket, object_server):
    object_server.is_deaf = True
    with pytest.raises(StoreError, match=r"s3://test-\w+: the server ignores .*If-None"):
        Store.create(bucket).add_recipe("toy", RECIPE)
    object_server.is_deaf = False
    folder = filled(bucket)
    object_server.is_deaf = True
    forget_connections()
    with (
        pytest.raises(StoreError, match="ignores the condition"),
        PartWriter(folder.path, RECIPE) as part,
    ):
        part.add("a clip", audio(3, 9.0))
    assert (Store(bucket).read("toy/audio").values == 1).all()


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("GET", lambda bucket: Store(bucket)),
        ("PUT", filled),
        ("POST", lambda bucket: filled(bucket).path.bucket.delete("toy/recipe.json")),
    ],
)
def test_denied(bucket, object_server, method, act):
    object_server.refuses = method
    with pytest.raises(StoreError, match=r"permission denied by http://127.*403 Forbidden AccessD"):
        act(bucket)


def test_a_conflict_is_not_taken_for_a_part_that_is_there(bucket, object_server):
    object_server.conflicts = 2
    folder = filled(bucket)
    object_server.conflicts = 1
    with PartWriter(folder.path, RECIPE) as part:
        part.add("another", audio(2))
    assert not part.was_second
    assert sorted(Store(bucket).ids("toy")) == ["a clip", "another"]
    object_server.conflicts = 9
    with (
        pytest.raises(StoreError, match="refused it 5 times"),
        PartWriter(folder.path, RECIPE) as part,
    ):
        part.add("a third", audio(2))


def test_no_such_bucket(object_server):
    for act in (Store, Store.create, filled):
        with pytest.raises(
            StoreError, match=r"s3://nowhere: no such bucket at http://127.0.0.1:\d+"
        ):
            act("s3://nowhere/features")


def test_nothing_there(bucket):
    with pytest.raises(StoreError, match=r"features is no store.*emo extract"):
        Store(f"{bucket}/features")


@pytest.mark.slow  # 15 seconds of patience
def test_no_server(monkeypatch, object_server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    forget_connections()
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"http://127.0.0.1:\d+ cannot be reached.*AWS_ENDPOINT"):
        Store("s3://bucket/features")
    assert time.monotonic() - began < 45


def test_no_credentials(monkeypatch, object_server):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", object_server.url)
    object_server.refuses = "PUT"  # by which a machine in the cloud asks for its own
    forget_connections()
    for url in ("s3://bucket/latest", "az://bucket/latest"):
        with pytest.raises(StoreError, match=r"//bucket: no credentials. Set .*AWS_ACCESS_KEY_ID"):
            Store(url)


def test_a_name_is_not_taken_for_the_reason():
    url = "s3://bucket/latest/credentials"
    said = (
        f"Error performing GET http://host/{url[5:]} - status code: 403 Forbidden: <Code>No</Code>"
    )
    assert "permission denied by http://host (403 Forbidden No)" in str(refusal(url, url, said))


def test_credentials_of_a_profile_are_read(bucket, monkeypatch, tmp_path):
    filled(bucket)
    (tmp_path / "keys").write_text(
        "[work]\naws_access_key_id = tests\naws_secret_access_key = tests\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    forget_connections()
    assert list(Store(bucket).ids("toy")) == ["a clip"]
    monkeypatch.setenv("AWS_PROFILE", "play")
    forget_connections()
    with pytest.raises(StoreError, match=r"no credentials found in the files in ~/.aws: .*play"):
        Store(bucket)


def test_the_library_is_missing(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.partition(".")[0] == "obstore":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "emo.store.backend.bucket", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(StoreError, match=r"need obstore.*pip install 'emo-pipeline\[s3\]'"):
        Store("s3://bucket/features")


def test_a_cache_that_cannot_be_written(bucket, monkeypatch, tmp_path):
    filled(bucket)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMO_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"cache of parts cannot be written.*EMO_CACHE"):
        Store(bucket).read("toy/audio")


def test_a_limit_that_is_no_number(bucket, monkeypatch):
    filled(bucket)
    monkeypatch.setenv("EMO_CACHE_GIB", "much")
    with pytest.raises(StoreError, match="EMO_CACHE_GIB=much: expected a number of GiB"):
        Store(bucket).read("toy/audio")


def test_what_was_used_longest_ago_is_evicted_but_nothing_in_use(bucket, tmp_path):
    folder = Store.create(bucket).add_recipe("toy", RECIPE)
    for number in range(4):
        with PartWriter(folder.path, RECIPE) as part:
            part.add(f"c{number}", audio(65_536, number + 1))
    folder.refresh()
    for number in range(4):
        folder.read("audio", [f"c{number}"])
    copies = tmp_path / "cache" / "parts"
    files = [folder.parts.open(path)._copy.file for path in folder.part_paths]
    held = folder.parts.open(folder.part_paths[0])
    for path in folder.part_paths[1:]:
        folder.parts.open(path).release()
    for age, file in enumerate(files):
        for each in copies.glob(f"{file.stem}.*"):
            _age(each, 100 - age)
    evict(copies, 5 * 2**19)  # two of four and a half
    assert [file.exists() for file in files] == [True, False, False, True]
    assert len(held.read("audio").values) == 65_536
    evict(copies, 0)
    assert [file.exists() for file in files] == [True, False, False, False]
    assert np.unique(folder.read("audio").values).tolist() == [1, 2, 3, 4]


def _age(file, seconds):
    os.utime(file, (time.time() - seconds,) * 2)
