"""Still pictures: a clip of one frame, upright, alone or with sound."""

import numpy as np
import pytest
from PIL import Image

from emo import plugins
from emo.datasets.check import check
from emo.errors import MediaError
from emo.extract.backbone import Backbone
from emo.extract.decode.decode import load_media, probe_seconds
from emo.extract.decode.pictures.still import is_still, read_still
from emo.extract.decode.source import ClipSource
from emo.extract.job.request import requests_from_words
from emo.extract.media import Needs, Uniform
from emo.extract.run import extract
from emo.machine.libraries import MissingLibraryError
from emo.manifest import read_manifest
from emo.manifest.folder import posters
from emo.manifest.make import from_folder
from emo.store import Store
from tests.make import make_clip

NEEDS = Needs(frames=Uniform(8), keep_frames=True, audio=True)
KINDS = ("jpg", "png", "webp", "bmp", "tif")


def drawing(height=48, width=64):
    """A picture of which every corner differs."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x % 256, 5 * y % 256, 2 * (x + y) % 256], axis=-1).astype(np.uint8)


def save(path, image=None, orientation=None, **options):
    picture = Image.fromarray(drawing() if image is None else image)
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    if path.suffix == ".jpg":
        options |= {"quality": 98, "subsampling": 0}
    picture.save(path, **options, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


def near(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 1.5  # JPEG


@pytest.mark.parametrize("kind", KINDS)
def test_a_still_is_one_frame(tmp_path, kind):
    path = save(tmp_path / f"a.{kind}")
    hidden = path.rename(tmp_path / "a.mp4")  # the name does not matter
    for source in (ClipSource(video=hidden), ClipSource(video=hidden, start_seconds=7.0)):
        (media,) = load_media(source, [NEEDS])
        near(media.frames[0], drawing())
        assert len(media.frames) == 1
        assert media.absent == {"audio": "a still picture has no sound"}
        assert media.notes == {}


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, kind, orientation):
    """Source: EXIF 2.3, the table of the tag Orientation."""
    image = drawing()
    upright = {
        1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1],
        5: image.swapaxes(0, 1), 6: np.rot90(image, -1), 7: np.rot90(image, 2).swapaxes(0, 1),
        8: np.rot90(image),
    }  # fmt: skip
    near(read_still(save(tmp_path / f"a.{kind}", image, orientation)), upright[orientation])


def test_all_kinds_of_pixels_become_rgb(tmp_path):
    image = Image.fromarray(drawing())
    kinds = {
        "a.png": "L", "b.png": "P", "c.png": "RGBA", "d.png": "LA", "e.png": "1",
        "f.jpg": "CMYK", "g.jpg": "L", "h.bmp": "P",
    }  # fmt: skip
    for name, mode in kinds.items():
        image.convert(mode).save(tmp_path / name)
        expected = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        np.testing.assert_array_equal(read_still(tmp_path / name), expected)
    deep = drawing()[:, :, 0].astype(np.uint16) * 257
    for name in ("i.png", "j.tif"):  # 16 bits: not cut at 255
        Image.fromarray(deep).save(tmp_path / name)
        np.testing.assert_array_equal(read_still(tmp_path / name)[:, :, 0], drawing()[:, :, 0])


def test_pictures_that_cannot_be_read_are_a_reason(tmp_path, monkeypatch):
    for kind in KINDS:
        whole = save(tmp_path / f"a.{kind}").read_bytes()
        (tmp_path / f"cut.{kind}").write_bytes(whole[: len(whole) // 3])
        with pytest.raises(MediaError, match=rf"cut\.{kind}: the picture cannot be read"):
            load_media(ClipSource(video=tmp_path / f"cut.{kind}"), [NEEDS])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(MediaError, match="floating-point pixels"):
        read_still(tmp_path / "f.tif")
    monkeypatch.setattr("emo.extract.decode.budget.MOST_PIXELS", 3000)
    with pytest.raises(MediaError, match="64 x 48 pixels; at most 3,000"):
        read_still(tmp_path / "a.png")


def test_what_is_not_a_still(tmp_path):
    for name, content in [("a.jpg", b""), ("b.jpg", b"no picture"), ("c.avi", b"RIFF0000AVI ")]:
        (tmp_path / name).write_bytes(content)
        assert not is_still(tmp_path / name)
    assert not is_still(tmp_path / "nowhere.jpg")
    assert not is_still(tmp_path)
    many = save(tmp_path / "a.jpg").read_bytes() * 5
    (tmp_path / "film.mjpeg").write_bytes(many)
    (media,) = load_media(ClipSource(video=tmp_path / "film.mjpeg"), [NEEDS])
    assert len(media.frames) == 5


def test_a_still_with_sound_is_as_long_as_the_sound(tmp_path):
    still = save(tmp_path / "a.jpg")
    sound = make_clip(tmp_path / "a.wav", video=False, seconds=3, audio_codec="pcm_s16le")
    source = ClipSource(video=still, audio=sound, start_seconds=1.0, end_seconds=2.5)
    (media,) = load_media(source, [NEEDS])
    assert (len(media.frames), media.samples.shape) == (1, (1, 24000))
    assert probe_seconds(ClipSource(video=still, audio=sound)) == pytest.approx(3)
    assert probe_seconds(ClipSource(video=still)) is None


@pytest.mark.parametrize("name", plugins.available(plugins.BACKBONES))
def test_every_visual_backbone_takes_a_still_alone_and_with_sound(tmp_path, name):
    try:
        backbone = plugins.load(plugins.BACKBONES, name, Backbone).tiny()
    except MissingLibraryError as error:
        if "[extract]" in str(error):
            raise
        pytest.skip(str(error))  # an extra of its own that is not installed
    needs = type(backbone).needs(backbone.options)
    if needs.frames is None:
        pytest.skip("it reads no frames")
    still = save(tmp_path / "a.jpg", drawing(100, 130))
    sound = make_clip(tmp_path / "a.wav", video=False, seconds=2, audio_codec="pcm_s16le")

    def detect(frames):
        return [(np.array([[20.0, 10, 80, 90]]), np.array([0.99]))] * len(frames)

    for source in (ClipSource(video=still), ClipSource(video=still, audio=sound, text="Hi")):
        (media,) = load_media(source, [needs], detect=detect)
        prepared = backbone.prepare(media)
        if source.audio is None and name == "perceiver":
            assert "no sound" in prepared.absent["label"]
            continue
        (tokens,) = backbone.encode([prepared.inputs])
        assert {"video", "face", "label"} & tokens.keys()
        assert all(np.isfinite(rows).all() for rows in tokens.values())
    if name == "perceiver":  # windows of 0.16 s: the whole sound, not one window of it
        assert len(tokens["label"]) == 13


def test_a_folder_of_stills_is_checked_and_extracted(tmp_path):
    media = tmp_path / "faces"
    for label in ("joy", "anger"):
        (media / label).mkdir(parents=True)
        for number, kind in enumerate(KINDS):
            save(media / label / f"{number}.{kind}")
    make_clip(media / "joy" / "talk.mp4", audio=False)
    save(media / "joy" / "talk.jpg")  # its poster
    manifest = from_folder(media, out=tmp_path / "m.csv")
    assert len(manifest.clips) == 11
    assert posters(media) == ["joy/talk.jpg"]
    for fast in (True, False):
        findings = {f.name: f.found for f in check(tmp_path / "m.csv", fast=fast).findings}
        assert findings["clips without sound"] == (
            "faces/joy/talk.mp4 (the file has no audio track)",
        )
        assert not findings["clips under 0.1 s"]
        assert not findings["unreadable headers" if fast else "undecodable clips"]
    requests = requests_from_words(["classic"], ["faces=centre"])
    report = extract(read_manifest(tmp_path / "m.csv"), tmp_path / "s", requests, progress=False)
    assert report.exit_code == 0
    found = Store(tmp_path / "s").read("classic/face", [clip.id for clip in manifest.clips])
    assert np.diff(found.offsets).tolist() == [1] * 10 + [8]


def test_check_names_a_still_that_cannot_be_read(tmp_path):
    whole = save(tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:20])
    (tmp_path / "m.csv").write_text("video\na.png\n")
    for fast in (True, False):
        findings = {f.name: f.found for f in check(tmp_path / "m.csv", fast=fast).findings}
        (line,) = findings["unreadable headers" if fast else "undecodable clips"]
        assert "the picture cannot be read" in line


@pytest.mark.skipif(".avif" not in Image.registered_extensions(), reason="Pillow without AVIF")
def test_a_picture_of_tiles_is_refused_and_a_whole_one_is_read(tmp_path):
    path = tmp_path / "p.avif"
    save(path, quality=95)
    (media,) = load_media(ClipSource(video=path), [NEEDS])
    assert media.frames.shape == (1, 48, 64, 3)
    assert abs(media.frames[0].astype(int) - drawing()).mean() < 12
    path.write_bytes(path.read_bytes().replace(b"av01Color", b"gridColor", 1))
    with pytest.raises(MediaError, match=r"p\.avif: the picture is made of tiles"):
        load_media(ClipSource(video=path), [NEEDS])
