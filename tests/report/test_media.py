"""What clips hold on the page, and where in them the head looks."""

import base64
import dataclasses
import io
import json
import re

import av
import numpy as np
import pytest

from emo.errors import EmoError
from emo.heads.fitting.fit import fit_head
from emo.manifest import read_manifest
from emo.report import ReportOptions, read_report
from emo.report.embedded import embedded_media
from emo.report.sections.pictures import principal
from emo.store import Store
from tests.heads.conftest import QUICK, SPLITS
from tests.make import make_clip
from tests.make_batches import learnable, make_manifest, make_store
from tests.report.conftest import CLASSES, page_of
from tests.report.make_runs import make_run


def test_media_are_small_cut_to_the_clip_and_told_when_missing(tmp_path):
    make_clip(tmp_path / "a.mp4", seconds=2, size=(320, 240))
    path = tmp_path / "m.csv"
    path.write_text("id,video,text,start_seconds,end_seconds,split\n"
                    "a,a.mp4,one,0.5,1.5,test\nb,gone.mp4,two,,,test\n")  # fmt: skip
    run = make_run(tmp_path / "run", CLASSES, np.array([1, 2]), ids=["a", "b"], skill=-9,
                   manifest=read_manifest(path))  # fmt: skip
    options = ReportOptions(media=("frames", "video", "words"))
    facts = read_report([run], options)
    media = embedded_media(facts, options)
    assert "This page shows people: it holds frames, video and words" in media.banner
    first, second = (media.of_clip(facts.clips.index(name)) for name in "ab")
    assert (first.words, len(first.frames), first.sound) == ("one", 3, "")
    with av.open(io.BytesIO(base64.b64decode(first.video.partition(",")[2]))) as container:
        stream = container.streams.video[0]
        assert stream.height == 240
        assert 10 <= sum(1 for _ in container.decode(stream)) <= 13  # of 1 s
        assert container.streams.audio[0].codec_context.channels == 1
    assert (second.words, second.frames) == ("two", ())
    assert "gone.mp4" in second.note
    assert str(tmp_path) not in second.note
    sound = embedded_media(facts, dataclasses.replace(options, media=("sound",))).of_clip(0).sound
    assert sound.startswith("data:audio/mpeg;base64,")


def test_a_store_adds_a_map_of_the_tokens_and_what_each_part_means(tmp_path, without_plots):
    labels, tokens = learnable(120, streams=("a",))
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=SPLITS)
    path = tmp_path / "m.csv"
    lines = [f"{c.id},x,{c.split},{c.targets['label']}" for c in manifest.clips]
    path.write_text("\n".join(["id,text,split,label", *lines]) + "\n")
    options = QUICK.replace(epochs=3, seeds=1)
    fit_head(read_manifest(path), [store], tmp_path / "run", options, progress=False)
    folder = str(store.path) if isinstance(store, Store) else str(store)
    facts = read_report([tmp_path / "run"], ReportOptions(features=(folder,), cards=3))
    (run,) = facts.pages[0].runs
    assert [each.title for each in run.maps] == ["What the head says, by label",
                                                 "The tokens, by label"]  # fmt: skip
    assert not facts.notes
    for card in run.cards:
        assert [strip.stream for strip in card.strips] == ["fake/a"]
    page = page_of(tmp_path / "run", features=("nowhere",))
    assert re.search(r"run: no tokens: .*nowhere is no store", page)


def test_principal_components_are_those_of_a_full_decomposition():
    table = np.random.default_rng(1).normal(size=(50, 6)) * [5, 3, 1, 1, 0.5, 0.1]
    found, shares = principal(table)
    centred = table - table.mean(0)
    _, values, _ = np.linalg.svd(centred)
    assert np.allclose(shares, values[:2] ** 2 / (values**2).sum(), rtol=1e-6)
    assert np.allclose((found**2).sum(0), values[:2] ** 2, rtol=1e-6)
    one, _ = principal(table[:, :1])
    assert one.shape == (50, 2)


def test_files_outside_of_the_manifests_folder_are_embedded_of_a_named_root_alone(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "private").mkdir()
    make_clip(tmp_path / "private" / "a.mp4", seconds=0.5)
    make_clip(tmp_path / "theirs" / "b.mp4", seconds=0.5)
    (tmp_path / "theirs" / "link.mp4").symlink_to("../private/a.mp4")
    path = tmp_path / "theirs" / "m.csv"
    path.write_text("id,video,split\na,a.mp4,test\nb,b.mp4,test\nl,link.mp4,test\n")
    run = make_run(tmp_path / "theirs" / "run", CLASSES, np.array([1, 2, 3]), ids=["a", "b", "l"],
                   skill=-9, manifest=read_manifest(path))  # fmt: skip
    document = json.loads((run / "run.json").read_text())

    def shown(recorded, **options):
        """The clips whose frames are embedded, where run.json names a folder of media."""
        document["manifest"]["root"] = str(recorded)
        (run / "run.json").write_text(json.dumps(document))
        options = ReportOptions(media=("frames",), **options)
        facts = read_report([run], options)
        media = embedded_media(facts, options)
        names = [name for name in "abl" if media.of_clip(facts.clips.index(name)).frames]
        return "".join(names), media, " ".join(facts.notes)

    found, media, notes = shown(tmp_path / "private")
    assert (found, "name their folder with --root" in notes) == ("b", True)
    assert "a link that leads out" in " ".join(media.of_clip(k).note for k in range(3))
    assert shown(tmp_path / "theirs")[0] == "b"
    (tmp_path / "theirs" / "out").symlink_to("../private")
    assert shown(tmp_path / "theirs" / "out")[0] == "b"
    assert shown("x", root=tmp_path / "private")[0] == "a"
    assert shown("x", root=tmp_path / "theirs")[0] == "bl"
    with pytest.raises(EmoError, match=r"--root .*no such folder"):
        shown("x", root=tmp_path / "nowhere")


def test_a_page_says_that_it_shows_people_only_if_it_does(emo, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("id,text,split\na,one,test\nb,two,test\n")
    run = make_run(tmp_path / "run", CLASSES, np.array([1, 2]), ids=["a", "b"], skill=-9,
                   manifest=read_manifest(path))  # fmt: skip
    out = tmp_path / "page.html"
    _, told, _ = emo("report", run, "--media", "frames", "--out", out)
    assert "no clip that it shows has any frames" in told
    assert "shows people" not in told + out.read_text()
    _, told, _ = emo("report", run, "--media", "frames", "--media", "words", "--out", out)
    assert "it shows people (words)" in told
    assert "it holds words of clips" in out.read_text()
