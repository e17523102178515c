"""Video-LLaMA: its files, its streams and its windows; the numbers are in tests/parity."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emo.errors import WeightsError
from emo.extract.backbones.videollama import VideoLlama, VideoLlamaOptions
from emo.extract.media import Media
from emo.extract.networks.videollama.network import normalise


@pytest.fixture(scope="module")
def options():
    return VideoLlama.tiny().options


@pytest.fixture
def copied(options, tmp_path):
    """Options with a copy of the tiny weights that a test may change, and its folder."""
    shutil.copytree(options.weights, tmp_path / "weights")
    return replace(options, weights=str(tmp_path / "weights")), tmp_path / "weights"


def clip(backbone, *, seconds, seed=0):
    needs, random = backbone.needs(backbone.options), np.random.default_rng(seed)
    frames = None
    if needs.frames:
        chosen = needs.frames.indices(np.arange(round(seconds * 25)) / 25)
        shape = (round(seconds * 25), needs.squash, needs.squash, 3)
        frames = random.integers(0, 256, shape, dtype=np.uint8)[chosen]
    samples = random.normal(0, 0.1, (1, round(seconds * 16000))).astype(np.float32)
    return Media(frames=frames, samples=samples, sample_rate=16000, text="What is this")


def tokens_of(options, **kinds):
    backbone = VideoLlama.load(options, device="cpu")
    (tokens,) = backbone.encode([backbone.prepare(clip(backbone, **kinds)).inputs])
    return tokens


def test_a_stream_is_the_same_whichever_others_are_wanted(options):
    together = tokens_of(options, seconds=2.5)
    for stream in ("video", "text"):
        alone = tokens_of(replace(options, streams=stream), seconds=2.5)
        assert set(alone) == {stream}
        np.testing.assert_array_equal(alone[stream], together[stream])


def test_only_the_files_of_the_wanted_streams_are_asked_for(copied):
    options, folder = copied
    for path in [*folder.glob("*.pth"), *folder.glob("llama-tiny/model*")]:
        if path.name not in {"imagebind_huge.pth", "AL_tiny.pth"}:
            path.unlink()
    assert set(tokens_of(replace(options, streams="audio"), seconds=1.0)) == {"audio"}
    with pytest.raises(WeightsError, match=r"eva_vit_g\.pth"):
        VideoLlama.load(options, device="cpu")


def test_the_projection_to_the_language_model_is_linear(options):
    backbone = VideoLlama.load(options, device="cpu")
    before = tokens_of(options, seconds=1.0)
    after = tokens_of(replace(options, layer="llama"), seconds=1.0)
    for stream, name in (("video", "llama_proj"), ("audio", "audio_llama_proj")):
        linear = getattr(backbone.branches[stream], name)
        expected = linear(torch.from_numpy(before[stream])).detach().numpy()
        np.testing.assert_allclose(after[stream], expected, atol=1e-5)


def test_pixels_are_normalised_before_the_first_layer(options):
    backbone = VideoLlama.load(replace(options, streams="video"), device="cpu")
    media = clip(backbone, seconds=1.0)
    (tokens,) = backbone.encode([backbone.prepare(media).inputs])
    branch = backbone.branches["video"]
    with torch.inference_mode():
        frames = branch.encoded_frames(normalise(torch.from_numpy(media.frames)))
        expected = branch.windows(frames[None])[0].numpy()
    np.testing.assert_allclose(tokens["video"], expected, atol=1e-6)


def test_windows_follow_each_other_and_are_as_clips_of_their_own(options):
    windowed = VideoLlama.load(replace(options, window_seconds=2.0), device="cpu")
    media = clip(windowed, seconds=4.0)
    (tokens,) = windowed.encode([windowed.prepare(media).inputs])
    forecast = VideoLlama.tokens(windowed.options, 4.0)
    whole = VideoLlama.load(options, device="cpu")
    for number in range(2):
        part = Media(
            frames=media.frames[number * options.frames :][: options.frames],
            samples=media.samples[:, number * 32000 : (number + 1) * 32000],
            sample_rate=16000,
        )
        (alone,) = whole.encode([whole.prepare(part).inputs])
        for stream, rows in alone.items():
            assert len(tokens[stream]) == forecast[stream] == 2 * len(rows)
            ours = tokens[stream][number * len(rows) :][: len(rows)]
            np.testing.assert_allclose(ours, rows, atol=1e-5)


def test_a_window_with_few_frames_repeats_them(options):
    backbone = VideoLlama.load(
        replace(options, streams="video", frames=8, window_seconds=0.1), device="cpu"
    )
    prepared = backbone.prepare(clip(backbone, seconds=0.2))
    assert prepared.inputs["video"].shape[:2] == (2, 8)


def test_a_text_without_words_and_audio_without_samples_are_absent_with_a_reason(options):
    backbone = VideoLlama.load(options, device="cpu")
    media = Media(samples=np.zeros((1, 0), np.float32), sample_rate=16000, text="  ")
    prepared = backbone.prepare(media)
    assert prepared.inputs == {}
    assert prepared.absent["text"] == "the clip's text is empty"
    assert set(prepared.absent) == {"video", "audio", "text"}


def test_very_short_audio_is_heard(options):
    backbone = VideoLlama.load(replace(options, streams="audio"), device="cpu")
    media = Media(samples=np.ones((2, 1), np.float32), sample_rate=44100)
    (tokens,) = backbone.encode([backbone.prepare(media).inputs])
    assert np.isfinite(tokens["audio"]).all()


def test_the_word_embeddings_are_read_from_the_shard_that_the_index_names(copied):
    options, folder = copied
    llama = folder / "llama-tiny"
    table = load_file(llama / "model.safetensors")
    (llama / "model.safetensors").unlink()
    other = {"model.norm.weight": torch.ones(2)}
    save_file(other, llama / "model-00001-of-00002.safetensors")
    save_file(table, llama / "model-00002-of-00002.safetensors")
    index = {"weight_map": dict.fromkeys(table, "model-00002-of-00002.safetensors")}
    (llama / "model.safetensors.index.json").write_text(json.dumps(index))
    text = tokens_of(replace(options, streams="text"), seconds=1.0)["text"]
    np.testing.assert_array_equal(text, table["model.embed_tokens.weight"][[1, 2, 3]])


def test_word_embeddings_in_a_pickle_are_read_too(copied):
    options, folder = copied
    llama, options = folder / "llama-tiny", replace(options, streams="text")
    expected = tokens_of(options, seconds=1.0)["text"]
    torch.save(load_file(llama / "model.safetensors"), llama / "pytorch_model-00001-of-00003.bin")
    (llama / "model.safetensors").unlink()
    np.testing.assert_array_equal(tokens_of(options, seconds=1.0)["text"], expected)


def test_two_checkpoints_in_one_folder_are_refused(copied):
    options, folder = copied
    shutil.copy(folder / "VL_tiny.pth", folder / "VL_other.pth")
    with pytest.raises(WeightsError, match=r"found VL_other\.pth, VL_tiny\.pth"):
        VideoLlama.recipe(options)


def test_releases_beside_a_hub_id_lie_in_torchs_cache(copied, monkeypatch, tmp_path):
    options, folder = copied
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "models"))
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    (tmp_path / "models" / "lab").mkdir(parents=True)
    digest = VideoLlama.recipe(options).weights
    for name in ("eva_vit_g.pth", "imagebind_huge.pth"):
        shutil.move(folder / name, tmp_path / "torch" / "checkpoints")
    shutil.move(folder, tmp_path / "models" / "lab" / "llama")
    named = replace(options, weights="lab/llama")
    assert VideoLlama.recipe(named).weights == digest
    assert VideoLlama.load(named, device="cpu").branches.keys() == {"video", "audio"}


@pytest.mark.parametrize("change", [{"size": 64}, {"frames": 32}])
def test_frames_that_the_weights_cannot_take_are_refused(options, change):
    with pytest.raises(WeightsError, match="these weights take up to 8 frames of 32 pixels"):
        VideoLlama.load(replace(options, **change), device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"streams": "video,face"},
        {"streams": ""},
        {"streams": "text,text"},
        {"frames": 0},
        {"frames": 33},
        {"window_seconds": 0.0},
        {"hop_seconds": 1.0},
        {"window_seconds": 1.0, "hop_seconds": 2.0},
    ],
)
def test_options_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match="expected"):
        VideoLlamaOptions(**change)
