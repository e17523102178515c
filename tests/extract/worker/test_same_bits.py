"""The tokens are the same bits whatever the number of workers."""

import hashlib
from pathlib import Path

import pytest

from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.make import make_clip, tone

REQUESTS = requests_from_words(["classic", "logmel", "faces"])


def manifest_of(folders):
    root = Path(folders[0]).parent
    files = sorted(file for folder in folders for file in folder.iterdir())
    names = [str(file.relative_to(root)) for file in files]
    return Manifest(root / "m.csv", root, tuple(Clip(name, video=name) for name in names), "")


def hashes(manifest, store, workers):
    options = ExtractOptions(workers=workers, part_clips=4)
    extract(manifest, store, REQUESTS, options, progress=False)
    assert verify(Store(store)).problems == []
    return {
        (name, stream, clip_id): hashlib.sha256(tokens.tobytes()).hexdigest()
        for name, folder in Store(store).recipes.items()
        for stream in folder.recipe.streams
        for clip_id, tokens in zip(folder.ids, folder.read(stream, folder.ids), strict=True)
    }


def test_one_and_two_workers_give_the_same_bits(tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    for k in range(6):
        make_clip(media / f"{k}.mp4", seconds=0.5, samples=tone(0.5 + 0.02 * k, 16000, 2))
    manifest = manifest_of([media])
    one = hashes(manifest, tmp_path / "one", 1)
    assert len(one) == 6 * (3 + 1 + 1)
    assert hashes(manifest, tmp_path / "two", 2) == one


@pytest.mark.slow
def test_real_and_hostile_files_give_the_same_bits(real_data, tmp_path):
    manifest = manifest_of([real_data / name for name in ("clips", "flv", "hostile")])
    one = hashes(manifest, tmp_path / "one", 1)
    assert hashes(manifest, tmp_path / "two", 2) == one
