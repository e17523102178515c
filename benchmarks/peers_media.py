"""Rows of peers.py about media: facenet-pytorch, librosa, torchcodec, decord."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from peers_pairs import Size, beside
from store import Figure

from emo.extract.decode.decode import load_media
from emo.extract.decode.source import source_of
from emo.extract.media import Linspace, Needs
from emo.manifest import Clip

FRAMES = 8


def facenet(size: Size) -> Iterator[Figure]:
    """Faces of frames of 720p, both on one thread; the boxes are the same."""
    from facenet_pytorch import MTCNN
    from skimage import data, transform

    from emo.extract.faces.detector import FaceDetector

    face = (transform.resize(data.astronaut(), (720, 720)) * 255).astype(np.uint8)
    frames = np.zeros((size.of(8), 720, 1280, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, 60 * number : 60 * number + 720] = face
    mtcnn, detector = MTCNN(keep_all=True).eval(), FaceDetector()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    theirs = mtcnn.detect(frames)[0]
    for (boxes, _), peer in zip(detector(frames), theirs, strict=True):
        assert np.abs(boxes - peer.astype(np.float32)).max() < 1, "boxes differ"
    yield beside(
        f"facenet-pytorch MTCNN / ours, {len(frames)} frames of 720p, equal boxes",
        lambda: mtcnn.detect(frames), lambda: detector(frames), size, 1.0,
    )  # fmt: skip
    torch.set_num_threads(before)


def librosa(size: Size) -> Iterator[Figure]:
    """A log-mel spectrogram of 64 bands; equal values."""
    import librosa

    from emo.extract.transforms.log_mel import log_mel

    samples = np.random.default_rng(0).standard_normal(16000 * size.of(60)).astype(np.float32)
    samples *= 0.1

    def theirs() -> np.ndarray:
        mel = librosa.feature.melspectrogram(
            y=samples, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64
        )
        found: np.ndarray = librosa.power_to_db(mel, top_db=None).T
        return found

    np.testing.assert_allclose(log_mel(samples, 16000), theirs(), atol=2e-3)
    yield beside(
        f"librosa / log_mel, {size.of(60)} s of sound, equal values", theirs,
        lambda: log_mel(samples, 16000), size, 1.0,
    )  # fmt: skip


def torchcodec(size: Size) -> Iterator[Figure]:
    """Evenly chosen frames of a file, exact seeks on both sides."""
    from torchcodec.decoders import VideoDecoder

    for path in _videos(size):

        def theirs(path: Path = path) -> object:
            decoder = VideoDecoder(str(path), seek_mode="exact", dimension_order="NHWC")
            chosen = np.linspace(0, len(decoder) - 1, FRAMES).round().astype(int).tolist()
            return decoder.get_frames_at(chosen)

        yield beside(f"torchcodec / ours, {FRAMES} frames of {path.name}", theirs,
                     lambda path=path: _ours(path), size, 0.8)  # fmt: skip


def decord(size: Size) -> Iterator[Figure]:
    """Evenly chosen frames of a file."""
    from decord import VideoReader

    for path in _videos(size):

        def theirs(path: Path = path) -> object:
            reader = VideoReader(str(path))
            return reader.get_batch(np.linspace(0, len(reader) - 1, FRAMES).round().astype(int))

        yield beside(f"decord / ours, {FRAMES} frames of {path.name}", theirs,
                     lambda path=path: _ours(path), size, 0.8)  # fmt: skip


def _ours(path: Path) -> object:
    needs = Needs(frames=Linspace(FRAMES), keep_frames=True)
    return load_media(source_of(Clip(id="-", video=path.name), path.parent), [needs])


def _videos(size: Size) -> list[Path]:
    if size.clips is None:
        raise SystemExit("torchcodec and decord need --clips FOLDER")
    return sorted(path for path in size.clips.iterdir() if path.suffix == ".mp4")
