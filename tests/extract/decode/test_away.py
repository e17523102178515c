"""A folder that was away: every clip failed, and all are whole once it is back."""

from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.make import make_clip


def test_a_part_in_which_every_clip_failed_is_whole_after_a_retry(tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    clips = tuple(Clip(f"{k}", video=f"{k}.mp4") for k in range(4))
    manifest = Manifest(root / "m.csv", root, clips, "")
    requests = requests_from_words(["logmel"])

    def run():
        options = ExtractOptions(retry_failed=True)
        return extract(manifest, tmp_path / "store", requests, options, progress=False)

    assert run().exit_code == 3
    assert len(Store(tmp_path / "store").recipes["logmel"].failures) == 4
    for clip in clips:
        make_clip(root / clip.video, seconds=0.5)
    assert run().exit_code == 0
    store = Store(tmp_path / "store")
    assert sorted(store.ids("logmel")) == ["0", "1", "2", "3"]
    assert store.recipes["logmel"].failures == {}
    assert verify(store).problems == []
