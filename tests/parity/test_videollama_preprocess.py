"""What Video-LLaMA's branches are shown, against the original code."""

import re

import numpy as np
import pytest
import torch

from emo.extract.decode.decode import load_media
from emo.extract.decode.sound.audio import read_audio
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Strided
from emo.extract.models.tensor_files.checkpoint import read_config
from emo.extract.networks.imagebind.inputs import (
    IMAGEBIND_RATE,
    imagebind_log_mel,
    piece_starts,
    spectrograms,
)
from emo.extract.networks.videollama.network import normalise
from emo.extract.transforms.kaldi import sinc_resample
from tests.parity.conftest import fixtures, present

FOLDERS = pytest.mark.parametrize("folder", fixtures("videollama_preprocess"))


@FOLDERS
def test_frames_and_their_numbers_are_the_originals(folder, compare):
    theirs, config = np.load(present(folder) / "frames.npz"), read_config(folder / "config.json")
    video, clip = config["video"], ClipSource(video=folder / "clip.mp4")
    rule = Strided(video["n_frms"])
    ours = {}
    for name in theirs:
        if match := re.fullmatch(r"indices_(\d+)_(\d+)", name):
            count, wanted = map(int, match.groups())
            ours[name] = Strided(wanted).indices(np.arange(count) / 25)
    needs = [
        Needs(frames=rule, keep_frames=True),
        Needs(frames=rule, keep_frames=True, squash=video["size"]),
        Needs(frames=Strided(10**6), keep_frames=True, squash=1),
    ]
    native, squashed, all_frames = load_media(clip, needs)
    ours["frames_native_cthw_u8"] = native.frames.transpose(3, 0, 1, 2)
    ours["frames_resized_cthw_u8"] = squashed.frames.transpose(3, 0, 1, 2)
    normalised = normalise(torch.from_numpy(squashed.frames)).numpy()
    ours["frames_normalised_cthw"] = normalised.transpose(1, 0, 2, 3)
    step = np.diff(all_frames.frame_seconds).mean()
    ours["decord_len_fps"] = np.array([len(all_frames.frames), round(1 / step, 6)])
    assert set(theirs) == set(ours)
    for name in theirs:
        compare(folder.name, name, "videollama.frames", ours[name], theirs[name])


@FOLDERS
def test_spectrograms_of_the_wavs_are_the_originals(folder, compare):
    theirs, config = np.load(present(folder) / "mel.npz"), read_config(folder / "config.json")
    assert config["audio"]["sample_rate"] == IMAGEBIND_RATE
    ours = {}
    for path in sorted(folder.glob("*.wav")):
        pieces = config["audio"]["clips_per_video"][path.stem]
        ours |= {f"{path.stem}.{name}": a for name, a in of_wav(path, pieces).items()}
    for name in [name.partition(".")[0] for name in theirs if name.endswith(".wave")]:
        wave = theirs[f"{name}.wave"]
        ours |= {f"{name}.wave": wave, f"{name}.fbank": imagebind_log_mel(wave)}
    for name in theirs:
        if f"{name}_no_inplace" in theirs:
            continue  # the original takes the mean away twice where pieces overlap
        rows = ours[name][: len(theirs[name])]  # of equal pieces the fixture holds the first ones
        compare(folder.name, name, mel_key(name), rows, theirs[name])


def of_wav(path, pieces):
    """What we make of a wav by the names of the fixture."""
    audio = read_audio(path, channel="mix", start_seconds=None, end_seconds=None)
    samples = sinc_resample(*audio, IMAGEBIND_RATE)
    firsts = np.array(piece_starts(samples.shape[1], pieces))
    mel = spectrograms(samples, pieces)
    return {
        "resampled_16k": samples,
        "clip_sample_ranges": np.stack([firsts, firsts + 2 * IMAGEBIND_RATE], axis=1),
        "clip_starts_s": firsts / IMAGEBIND_RATE,
        "mel": mel,
        "mel_no_inplace": mel,
    }


def mel_key(name):
    if name.endswith("ranges"):
        return "videollama.frames"
    if "mel" in name or name.endswith("starts_s"):
        return "videollama.mel"  # a start is compared to a sample, 6e-5 s
    return "videollama.fbank"
