"""LanguageBind without the original's fixtures: repositories, streams, windows, levels."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from emo.errors import OptionError, WeightsError
from emo.extract.backbones.languagebind import LanguageBind
from emo.extract.media import Media
from emo.extract.networks.languagebind.checkpoint import Config, read_all, read_one, vision_tower
from emo.extract.networks.languagebind.inputs import (
    MEAN,
    STD,
    Sound,
    audio_pixels,
    crop_starts,
    frame_pixels,
)
from emo.extract.networks.languagebind.options import LanguageBindOptions
from emo.extract.networks.languagebind.tiny import write_repository
from emo.plugins import parse_options


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """A tiny repository for each stream, and a video one of another width."""
    root = tmp_path_factory.mktemp("languagebind")
    torch.manual_seed(0)
    for stream in ("video", "audio", "image"):
        write_repository(root / stream, stream)
    write_repository(root / "huge", "video", projected=12)
    return root


def options_of(root, streams, **more):
    places = {"weights": "video", "audio_weights": "audio", "image_weights": "image"}
    return LanguageBindOptions(
        streams=streams, **{**{key: str(root / name) for key, name in places.items()}, **more}
    )


def test_huge_beside_audio_is_refused_before_anything_is_built(repositories):
    options = options_of(repositories, "video,audio", weights=str(repositories / "huge"))
    with pytest.raises(WeightsError, match=r"do not share one space.*'video': 12, 'audio': 8"):
        LanguageBind.recipe(options)
    alone = dataclasses.replace(options, streams="video,text")
    assert {spec.dim for spec in LanguageBind.recipe(alone).streams.values()} == {12}


def test_weights_of_another_kind_are_refused(repositories):
    options = options_of(repositories, "video", weights=str(repositories / "audio"))
    with pytest.raises(WeightsError, match="a tower for audio, not for video; see -o weights"):
        LanguageBind.recipe(options)


def test_only_the_wanted_streams_need_weights(repositories, tmp_path):
    nowhere = {"weights": str(tmp_path / "none"), "image_weights": str(tmp_path / "none")}
    LanguageBind.load(options_of(repositories, "audio", **nowhere), device="cpu")
    with pytest.raises(WeightsError, match=r"-o audio_weights=DIR"):
        LanguageBind.recipe(options_of(repositories, "audio", audio_weights="none/such"))


def test_where_the_weights_lie_changes_no_fingerprint(repositories, tmp_path):
    shutil.copytree(repositories / "audio", tmp_path / "moved")
    here = options_of(repositories, "video,audio,text,image")
    there = dataclasses.replace(here, audio_weights=str(tmp_path / "moved"))
    assert LanguageBind.recipe(here).fingerprint == LanguageBind.recipe(there).fingerprint


def test_one_tensor_read_alone_equals_the_whole_file(repositories):
    path = repositories / "video" / "pytorch_model.bin"
    assert read_one([path], "logit_scale") == read_all([path])["logit_scale"]
    with pytest.raises(WeightsError, match="'none' is missing"):
        read_one([path], "none")


def test_a_newer_peft_and_a_merged_checkpoint_load_alike(repositories):
    config = Config.read(repositories / "video" / "config.json")
    tensors = read_all([repositories / "video" / "pytorch_model.bin"])
    adapted = {name.partition(".lora_")[0] for name in tensors if ".lora_" in name}
    newer = {}
    for name, value in tensors.items():
        module, _, kind = name.rpartition(".")
        newer[f"{module}.base_layer.{kind}" if module in adapted else name] = value
    once = vision_tower(config, tensors, "x")
    merged = vision_tower(config, once.state_dict(), "x")
    for other in (vision_tower(config, newer, "x"), merged):
        for name, value in once.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)


def clip_of(options, *, seconds=2.0, text="The cat and the dog", seed=0):
    """What the decoder hands over: transformed frames at 25 a second, stereo at 22.05 kHz."""
    needs, random = LanguageBind.needs(options), np.random.default_rng(seed)
    frames = None
    if needs.frames is not None:
        wanted = needs.frames.indices(np.arange(round(seconds * 25)) / 25)
        raw = random.integers(0, 256, (round(seconds * 25), 40, 30, 3), dtype=np.uint8)
        frames = np.stack([needs.transform(frame) for frame in raw[wanted]])
    samples = random.normal(0, 0.1, (2, round(seconds * 22050))).astype(np.float32)
    return Media(frames=frames, samples=samples, sample_rate=22050, text=text)


def encode(options, *clips):
    backbone = LanguageBind.load(options, device="cpu")
    return backbone.encode([backbone.prepare(clip).inputs for clip in clips])


@pytest.mark.parametrize("level", ["pooled", "frames", "tokens"])
@pytest.mark.parametrize("streams", ["video,audio,image,text", "image", "text", "audio,image"])
def test_tokens_are_as_many_as_forecast(repositories, streams, level):
    options = options_of(repositories, streams, level=level, window_seconds=0.5)
    (tokens,) = encode(options, clip_of(options))
    forecast = LanguageBind.tokens(options, 2.0)
    assert list(tokens) == streams.split(",")
    for stream, rows in tokens.items():
        if stream != "text":
            assert len(rows) == forecast[stream]
        assert rows.shape[1] == LanguageBind.recipe(options).streams[stream].dim


def test_windows_are_those_of_the_pieces(repositories):
    options = options_of(repositories, "video,audio", window_seconds=1.0)
    clip = clip_of(options)
    backbone = LanguageBind.load(options, device="cpu")
    (tokens,) = encode(options, clip)
    half = len(clip.frames) // 2
    one = dataclasses.replace(options, window_seconds=None)
    second = Media(
        frames=clip.frames[half:], samples=clip.samples[:, 22050:], sample_rate=22050, text=None
    )
    (alone,) = encode(one, second)
    np.testing.assert_allclose(tokens["video"][1], alone["video"][0], atol=1e-5)
    np.testing.assert_allclose(tokens["audio"][1], alone["audio"][0], atol=5e-2)  # resampled apart
    assert backbone.prepare(clip).inputs["audio"].shape[0] == 2


def test_a_pooled_token_is_the_projected_mean_of_the_frames(repositories):
    options = options_of(repositories, "video")
    clip = clip_of(options)
    (pooled,) = encode(options, clip)
    (frames,) = encode(dataclasses.replace(options, level="frames"), clip)
    tower = LanguageBind.load(options, device="cpu").towers["video"]
    expected = frames["video"].mean(0) @ tower.visual_projection.weight.detach().numpy().T
    np.testing.assert_allclose(pooled["video"][0], expected, atol=1e-5)


def test_the_tokens_of_a_text_are_without_padding(repositories):
    options = options_of(repositories, "text", level="tokens")
    short, longer = encode(options, *(clip_of(options, text=t) for t in ("the", "the the")))
    assert [len(tokens["text"]) for tokens in (short, longer)] == [3, 4]
    np.testing.assert_allclose(short["text"][:2], longer["text"][:2], atol=1e-5)


def test_a_blank_text_is_absent(repositories):
    backbone = LanguageBind.load(options_of(repositories, "text"), device="cpu")
    assert backbone.prepare(Media(text=" ")).absent == {"text": "the text has no words"}


def test_an_absent_video_takes_the_images_with_it(repositories):
    backbone = LanguageBind.load(options_of(repositories, "video,image"), device="cpu")
    assert backbone.prepare(Media(absent={"video": "dark"})).absent == {
        "video": "dark",
        "image": "dark",
    }


def test_only_the_first_channel_is_heard_but_for_the_mean():
    sound, random = Sound(16, 48), np.random.default_rng(0)
    first, other = random.normal(0, 0.1, (2, 16000)).astype(np.float32)
    other -= other.mean() - first.mean()
    left = audio_pixels(np.stack([first, other]), sound)
    np.testing.assert_allclose(left, audio_pixels(first[None], sound), atol=1e-4)


@pytest.mark.parametrize(("rows", "starts"), [(10, [0, 1, 2]), (9, [0, 1, 0]), (24, [3, 9, 14])])
def test_crops_begin_in_the_middle_of_each_third(rows, starts):
    assert crop_starts(rows, 8) == starts


def test_a_very_short_sound_is_repeated():
    pixels = audio_pixels(np.full((1, 5), 0.1, np.float32), Sound(16, 48))
    assert pixels.shape == (3, 16, 48)
    assert np.isfinite(pixels).all()
    assert (pixels == pixels[:1, :, :1]).all()


@pytest.mark.parametrize("shape", [(50, 91), (91, 50), (20, 30), (32, 32)])
def test_images_are_scaled_as_torchvision_does(shape):
    from torchvision.transforms import v2

    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = v2.Compose(
        [
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Resize(32, v2.InterpolationMode.BICUBIC, antialias=False),
            v2.CenterCrop(32),
            v2.Normalize(MEAN, STD),
        ]
    )(frame)
    ours = frame_pixels(frame, size=32, kinds=("image",))[0]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_lower_precision_is_near(repositories, dtype):
    options = options_of(repositories, "video,audio,text")
    clip = clip_of(options)
    (exact,) = encode(options, clip)
    (near,) = encode(dataclasses.replace(options, dtype=dtype), clip)
    for stream, tokens in exact.items():
        assert near[stream].dtype == np.float32
        np.testing.assert_allclose(near[stream], tokens, atol=0.1 * np.abs(tokens).max())


@pytest.mark.parametrize(
    ("name", "value"),
    [("streams", "video,smell"), ("streams", "text,text"), ("window_seconds", "0"),
     ("hop_seconds", "1")],
)  # fmt: skip
def test_impossible_options_are_refused(name, value):
    with pytest.raises(OptionError, match=name):
        parse_options(LanguageBindOptions, {name: value}, "languagebind")


def test_words_that_the_text_tower_does_not_read_are_counted(repositories):
    backbone = LanguageBind.load(options_of(repositories, "text"), device="cpu")
    words = "a " * 500
    read = backbone.text.length - 2  # the tiny vocabulary has letters, one id each
    assert backbone.prepare(Media(text="a b")).notes == {}
    assert backbone.prepare(Media(text=words)).notes == {"words_lacking": 500 - read}
