"""What LanguageBind's towers are shown, against the original code."""

import json

import numpy as np
import pytest

from emo.extract.media import Linspace
from emo.extract.networks.languagebind.inputs import (
    Sound,
    audio_pixels,
    frame_pixels,
    spectrogram_pixels,
)
from emo.extract.transforms.clip_tokenizer import ClipTokenizer
from emo.extract.transforms.kaldi import centred, fbank, sinc_resample
from tests.parity.conftest import fixtures, present

FOLDERS = fixtures("languagebind_preprocess")
RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
SKIPPED = {
    "np_seed": "the seed with which the original drew its crops; chunk_starts are the draw",
    "n_frames": "a size, checked by the log-mel's own shape",
    "ranges": "from which the original drew; ours are compared with them below",
}


def parts_of(table):
    """``{"short_int16": …}`` -> ``{"short": {"int16": …}}``, by the names that waves have."""
    ends = ("_int16", "_uint8")
    names = [key.rpartition("_")[0] for key in table if key.endswith(ends)]
    parts = {name: {} for name in names}
    for key, value in table.items():
        name = max((n for n in names if key.startswith(f"{n}_")), key=len)
        parts[name][key[len(name) + 1 :]] = value
    return parts


def wave_of(part):
    """(channels, S) in [-1, 1], and its rate, told from the length of what it was resampled to."""
    wave = part["int16"].T.astype(np.float32) / 32768
    if "resampled" not in part:
        return wave, 16000
    length = part["resampled"].shape[1]
    return wave, next(r for r in RATES if -(-wave.shape[1] * 16000 // r) == length)


def sound_of(parts):
    """Bands and length of the spectrograms of this set."""
    pixels = next(v for part in parts.values() for k, v in part.items() if "pixel_values" in k)
    return Sound(*pixels.shape[-2:])


@pytest.mark.parametrize("folder", FOLDERS)
def test_sound_is_resampled_and_seen_as_in_the_original(folder, compare):
    parts = parts_of(dict(np.load(present(folder) / "audio.npz")))
    sound = sound_of(parts)
    for name, part in parts.items():
        wave, rate = wave_of(part)
        ours = sinc_resample(wave, rate, sound.sample_rate)
        rows = fbank(centred(ours)[0], bands=sound.bands)
        starts = part.get("chunk_starts", [0, 0, 0])
        pixels = spectrogram_pixels(rows, list(starts), sound)
        made = {
            "resampled": ("audio_pixels", ours),
            "log_mel": ("log_mel", rows),
            "pixel_values": ("audio_pixels", pixels),
            "pixel_values_ch0": ("audio_pixels", pixels[0]),
        }
        for stage, theirs in part.items():
            if stage in ("int16", "chunk_starts") or stage in SKIPPED:
                continue
            key, value = made[stage]
            compare(name, stage, f"languagebind.{key}", value, theirs)


@pytest.mark.parametrize("folder", FOLDERS)
def test_our_crops_lie_where_the_original_draws(folder):
    parts = parts_of(dict(np.load(present(folder) / "audio.npz")))
    sound = sound_of(parts)
    for part in parts.values():
        if "ranges" not in part:
            continue
        wave, rate = wave_of(part)
        rows = fbank(centred(sinc_resample(wave, rate, 16000))[0], bands=sound.bands)
        assert len(rows) == part["n_frames"]
        middles = [int(low + (high - low + 1) // 2) for low, high in part["ranges"]]
        expected = spectrogram_pixels(rows, middles, sound)
        np.testing.assert_array_equal(audio_pixels(wave, sound), expected)


@pytest.mark.parametrize("folder", FOLDERS)
def test_frames_are_scaled_and_cut_as_in_the_original(folder, compare):
    parts = parts_of(dict(np.load(present(folder) / "video.npz")))
    whole = [v for part in parts.values() for k, v in part.items() if k.endswith("_full")]
    size = whole[0].shape[-1] if whole else 224
    for name, part in parts.items():
        pixels = [frame_pixels(frame, size=size, kinds=("video",))[0] for frame in part["uint8"]]
        ours = np.stack(pixels, axis=1)  # (3, T, size, size)
        for stage, theirs in part.items():
            if stage.startswith("strided"):
                step = int(stage.removeprefix("strided"))
                value = ours[..., ::step, ::step]
            elif stage.endswith("_full"):
                value = ours[:, int(stage.removeprefix("frame").removesuffix("_full"))]
            elif stage == "mean_std":
                wide = ours.astype(np.float64)
                value = np.array([wide.mean(), wide.std(ddof=1)])
            else:
                assert stage == "uint8", f"{stage} is not compared"
                continue
            compare(name, stage, "languagebind.video_pixels", value, theirs)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_same_frames_are_looked_at(folder, compare):
    paths = sorted(present(folder).glob("video_frame_indices_*.json"))
    assert paths
    for path in paths:
        rule = Linspace(int(path.stem.rpartition("_")[2]))
        for frames, readers in json.loads(path.read_text()).items():
            ours = rule.indices(np.arange(int(frames)) / 25)
            for reader, theirs in readers.items():
                compare(reader, f"{frames} frames", "languagebind.ids", ours, theirs)


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts_get_the_same_numbers(folder, compare, clip_files):
    table = json.loads((present(folder) / "text.json").read_text(encoding="utf-8"))
    theirs = table["with_ftfy"]
    tokenizer = ClipTokenizer(*clip_files, table["max_length"])
    ours = [tokenizer(text) for text in table["texts"]]
    ids, words = [numbers for numbers, _ in ours], [count for _, count in ours]
    compare("text", "ids", "languagebind.ids", ids, theirs["input_ids"])
    compare("text", "words", "languagebind.ids", words, theirs["attention_mask_sum"])
    assert all(row[-1] == table["pad_token_id"] for row in ids)
    plain = table["without_ftfy"]["input_ids"]
    assert plain != theirs["input_ids"], "the texts show no difference that ftfy makes"


@pytest.fixture(scope="module")
def clip_files(tmp_path_factory):
    """vocab.json and merges.txt of CLIP, from the list that open_clip carries."""
    import gzip
    from pathlib import Path

    import open_clip
    from open_clip.tokenizer import bytes_to_unicode

    folder = tmp_path_factory.mktemp("clip")
    packed = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(packed.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(bytes_to_unicode().values())
    words = [*letters, *(letter + "</w>" for letter in letters)]
    words += [pair.replace(" ", "") for pair in merges] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return folder / "vocab.json", folder / "merges.txt"
