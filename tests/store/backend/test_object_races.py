"""Many writers, writers that are killed, and several readers of one cache, over one bucket."""

import json
import signal
import subprocess
import sys
import textwrap

import pytest

from emo.store import PartWriter, Store
from tests.make_store import RECIPE, audio

RACE = """
    import os, sys
    from emo.store import PartWriter
    from emo.store.backend.bucket import bucket
    from emo.store.backend.object_path import ObjectPath
    from tests.make_store import RECIPE, audio

    folder = ObjectPath.parse(sys.argv[1])
    wait, go = os.pipe()
    children = {}
    for number in range(int(sys.argv[2])):
        pid = os.fork()
        if not pid:
            os.close(go)
            bucket(folder.root)._is_checked = len(sys.argv) > 3
            os.read(wait, 1)
            with PartWriter(folder, RECIPE) as part:
                part.add("a clip", audio(500, number))
            os._exit(part.was_second)
        children[pid] = number
    os.close(go)
    first = []
    while children:
        pid, status = os.wait()
        number = children.pop(pid)
        if not status:
            first.append(number)
    print(first)
"""
KILLED = """
    import sys
    from emo.store import PartWriter, Store
    from tests.make_store import RECIPE, audio

    folder = Store(sys.argv[1]).recipes["toy"]
    with PartWriter(folder.path, RECIPE) as part:
        part.add("a clip", audio(500_000))
"""
SCAN = """
    import sys
    from emo.store import Store

    print(float(Store(sys.argv[1]).read("toy/audio").values.astype("f8").sum()))
"""


def script(code, *words):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *map(str, words)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def race(folder, writers, *words):
    process = script(RACE, folder.path, writers, *words)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(printed)


@pytest.fixture
def folder(bucket):
    return Store.create(f"{bucket}/features").add_recipe("toy", RECIPE)


def test_of_sixteen_writers_of_a_part_one_wins(folder, object_server):
    with object_server.heard() as requests:
        (first,) = race(folder, 16)
    puts = [r for r in requests if r.method == "PUT" and "part-" in r.key]
    assert len(puts) == 16
    folder.refresh()
    assert (folder.read("audio", ["a clip"]).values == first).all()


def test_without_the_condition_writers_would_overwrite_each_other(folder, object_server):
    """The control: the server drops the header, and the writers do not look whether it does."""
    object_server.is_deaf = True
    assert len(race(folder, 4, "trusting")) == 4


def test_a_killed_upload_is_invisible_and_the_next_run_completes(folder, bucket, object_server):
    object_server.pauses = "part-"
    object_server.is_paused.clear(), object_server.goes_on.clear()
    writer = script(KILLED, f"{bucket}/features")
    assert object_server.is_paused.wait(60)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    object_server.goes_on.set()
    folder.refresh()
    assert folder.part_paths == []
    with PartWriter(folder.path, RECIPE) as part:
        part.add("a clip", audio(500_000))
    assert not part.was_second
    folder.refresh()
    assert len(folder.read("audio", ["a clip"]).values) == 500_000


def test_processes_share_the_copies(folder, bucket, object_server):
    for number in range(3):
        with PartWriter(folder.path, RECIPE) as part:
            part.add(f"c{number}", audio(100_000, number))
    with object_server.heard() as requests:
        printed = [script(SCAN, f"{bucket}/features") for _ in range(2)]
        sums = [float(process.communicate(timeout=60)[0]) for process in printed]
    with object_server.heard() as later:
        sums.append(Store(f"{bucket}/features").read("toy/audio").values.astype("f8").sum())
    assert sums == [8 * 100_000 * (0 + 1 + 2)] * 3
    assert any("part-" in r.key for r in requests)
    assert not any("part-" in r.key for r in later)
