"""Writes librosa_log_mel.npz, to which emo.extract.transforms.log_mel is held.

Not computed in the tests: librosa's first call compiles for half a minute.
Run: ``python -m tests.extract.transforms.make_librosa_golden``; last with librosa 0.11.
"""

from pathlib import Path

import numpy as np

from tests.make import tone

GOLDEN = {
    "default": (16000, {}),
    "classic": (16000, {"mels": 40, "hop_seconds": 0.02, "window_seconds": 0.032, "fmin": 50.0}),
    "music": (22050, {"mels": 128, "fmax": 8000.0}),
    "telephone": (8000, {"mels": 20, "fmin": 300.0, "fmax": 3400.0}),
}


def speechlike(seconds=1.0, sample_rate=16000):
    noise = np.random.default_rng(0).normal(0, 0.05, round(seconds * sample_rate))
    return (tone(seconds, sample_rate, 1)[0] + noise).astype(np.float32)


def reference(name):
    import librosa  # seconds of import

    sample_rate, options = GOLDEN[name]
    window = round(options.get("window_seconds", 0.025) * sample_rate)
    power = librosa.feature.melspectrogram(
        y=speechlike(0.25, sample_rate),
        sr=sample_rate,
        n_fft=1 << (window - 1).bit_length(),
        win_length=window,
        hop_length=round(options.get("hop_seconds", 0.01) * sample_rate),
        n_mels=options.get("mels", 64),
        fmin=options.get("fmin", 0.0),
        fmax=options.get("fmax"),
    )
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T


if __name__ == "__main__":
    path = Path(__file__).with_name("librosa_log_mel.npz")
    np.savez_compressed(path, **{name: reference(name) for name in GOLDEN})
