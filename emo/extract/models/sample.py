"""Media of random content, as the decoder would deliver it, to measure sizes without any file."""

import numpy as np

from emo.extract.media import Faces, Media, Needs

_RATE, _PER_SECOND, _SHAPE = 16_000, 25, (240, 320)
_WORDS_A_SECOND = 2.5


def sample_media(needs: Needs, seconds: float) -> Media:
    """Return the media of a clip of random content.

    Args:
        needs: what the backbone requires; its frames are 320 x 240 pixels at 25 per second, its
            sound has one channel at 16 kHz.
        seconds: length of the clip.
    """
    random = np.random.default_rng(0)
    frames = moments = faces = samples = None
    if needs.frames is not None:
        times = np.arange(max(1, round(seconds * _PER_SECOND))) / _PER_SECOND
        moments = times[needs.frames.indices(times)]
    if moments is not None and needs.keep_frames:
        side = needs.squash
        frame = random.integers(0, 256, (*((side, side) if side else _SHAPE), 3), dtype=np.uint8)
        one = frame if needs.transform is None else np.asarray(needs.transform(frame))
        frames = np.repeat(one[None], len(moments), axis=0)
    if moments is not None and needs.faces is not None:
        shape = (len(moments), needs.faces.size, needs.faces.size, 3)
        crops = random.integers(0, 256, shape, dtype=np.uint8)
        faces = Faces(crops, np.ones(len(moments), bool))
    if needs.audio:
        count = max(1, round(seconds * _RATE))
        samples = random.normal(0, 0.1, (1, count)).astype(np.float32)
    words = max(1, round(seconds * _WORDS_A_SECOND))
    return Media(
        frames=frames, frame_seconds=None if frames is None else moments, faces=faces,
        samples=samples, sample_rate=_RATE if needs.audio else None,
        text=" ".join(["word"] * words) if needs.text else None,
    )  # fmt: skip
