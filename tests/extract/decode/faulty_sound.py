"""Sound files with faults, written by FFmpeg, and FFmpeg's own decode of them as reference.

The reference command fills holes and the time before late sound with silence::

    ffmpeg -i FILE -map 0:v? -c copy -f null - \
        -map 0:a:0 -af aresample=async=1:min_hard_comp=0.008:first_pts=0 -f f32le -

``async=1`` only inserts and drops samples (it does not stretch), where times and samples disagree
by more than ``min_hard_comp`` seconds (0.015 for Ogg Vorbis, whose times are off by 10 ms now and
then); ``first_pts=0`` begins at the start of the file. The pictures are copied to nowhere because
FFmpeg counts the start of an MPEG stream from the tracks in use. ``-err_detect crccheck+explode``
makes it drop packets of FLAC and AC-3 whose checksum is wrong.
"""

import io
import subprocess
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

SECONDS = 4.0
LATE_SECONDS = 0.7
HOLE_SECONDS = (1.5, 2.1)


@dataclass(frozen=True)
class Kind:
    """A container, a codec, and the faults that they can have."""

    ending: str
    codec: str
    rate: int
    faults: tuple[str, ...]
    has_pictures: bool = True
    options: tuple[str, ...] = ()
    least_hole_seconds: float = 0.008


ALL = ("late", "hole", "cut", "damaged")
INDEXED = ("late", "hole", "damaged")  # an mp4 that is cut fails: test_cut.py
ALONE = ("hole", "cut", "damaged")  # nothing else in the file tells when sound starts
KINDS = (
    Kind("mp4", "aac", 44100, INDEXED),
    Kind("mov", "alac", 16000, INDEXED),
    Kind("3gp", "libopencore_amrnb", 8000, INDEXED),
    Kind("mkv", "aac", 44100, ALL),
    Kind("mka", "flac", 16000, ALONE, has_pictures=False),
    Kind("webm", "libopus", 48000, ALL),
    Kind("webm", "libvorbis", 44100, ALL, options=("-q:a", "7")),
    Kind("flv", "aac", 44100, ALL),
    Kind("ts", "aac", 48000, ALL),
    Kind("ts", "ac3", 44100, ALL),
    Kind("mpg", "mp2", 44100, ALL),
    Kind("wmv", "wmav2", 44100, ALL),
    Kind("ogg", "libvorbis", 44100, ("hole", "cut"), False, ("-q:a", "7"), 0.015),
    Kind("opus", "libopus", 48000, ALONE, has_pictures=False),
    Kind("flac", "flac", 16000, ALONE, has_pictures=False),
    Kind("mp3", "libmp3lame", 44100, ("cut",), has_pictures=False),
    Kind("wav", "pcm_s16le", 16000, ("cut",), has_pictures=False),
    Kind("wav", "adpcm_ms", 16000, ("cut", "damaged"), has_pictures=False),
    Kind("avi", "libmp3lame", 44100, ("cut",)),
    Kind("caf", "alac", 16000, ("damaged",), has_pictures=False),
)
CASES = [
    pytest.param(kind, fault, id=f"{kind.codec}-{kind.ending}-{fault}")
    for kind in KINDS
    for fault in kind.faults
]
_VIDEO = {"webm": "libvpx", "flv": "flv1", "mpg": "mpeg2video", "wmv": "wmv2", "avi": "mpeg4"}


def run_ffmpeg(*words, data: bytes | None = None) -> bytes:
    """What FFmpeg writes to its output; the test is skipped where the package is missing."""
    tool = pytest.importorskip("imageio_ffmpeg", reason="pip install imageio-ffmpeg (extra dev)")
    command = [tool.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *map(str, words)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return done.stdout


@cache
def melody(seconds: float, rate: int) -> np.ndarray:
    """(S,) float32: a tone of another pitch and loudness each 50 ms, which tells when it is."""
    random = np.random.default_rng(0)
    steps = (np.arange(round(seconds * rate)) / rate / 0.05).astype(int)
    pitches = random.uniform(200, 2500, steps[-1] + 1)
    levels = random.uniform(0.15, 0.6, steps[-1] + 1)
    tone = levels[steps] * np.sin(2 * np.pi * np.cumsum(pitches[steps]) / rate)
    return tone.astype(np.float32)


def write(kind: Kind, path: Path, *, late_seconds: float = 0.0) -> Path:
    """A file without faults, but that sound may start late."""
    sound = melody(SECONDS, kind.rate)[: round((SECONDS - late_seconds) * kind.rate)]
    pictures = ("-f", "lavfi", "-i", f"testsrc=size=32x32:rate=10:duration={SECONDS}")
    codec = _VIDEO.get(kind.ending, "libx264" if kind.ending != "3gp" else "mpeg4")
    run_ffmpeg(
        *(pictures if kind.has_pictures else ()),
        *("-itsoffset", late_seconds, "-f", "wav", "-i", "-"),
        *(("-map", "0:v", "-map", "1:a", "-c:v", codec) if kind.has_pictures else ()),
        *("-c:a", kind.codec, *kind.options, path),
        data=wave_bytes(sound, kind.rate),
    )
    return path


def wave_bytes(samples: np.ndarray, rate: int) -> bytes:
    """The samples (S,) as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def spoil(kind: Kind, fault: str, folder: Path) -> Path:
    """A file with the fault."""
    path = folder / f"{kind.codec}-{fault}.{kind.ending}"
    if fault == "none":
        return path if path.exists() else write(kind, path)
    if fault == "late":
        return write(kind, path, late_seconds=LATE_SECONDS)
    clean = folder / f"{kind.codec}-none.{kind.ending}"  # one for all faults of a kind
    if not clean.exists():
        write(kind, clean)
    if fault == "hole":
        low, high = HOLE_SECONDS
        drop = f"noise=drop='between(pts*tb-{start_of(clean)}\\,{low}\\,{high})'"
        run_ffmpeg("-copyts", "-i", clean, "-map", 0, "-c", "copy", "-bsf:a", drop, path)
        return path
    content = bytearray(clean.read_bytes())
    if fault == "cut":
        path.write_bytes(content[: round(0.6 * len(content))])
        return path
    low, high = middle_packets(clean)
    noise = np.random.default_rng(1).integers(0, 256, high - low, dtype=np.uint8)
    content[low:high] = noise.tobytes()
    path.write_bytes(content)
    return path


def middle_packets(path: Path) -> tuple[int, int]:
    """First byte of the sound in the middle of a file, and a byte in the sound 0.3 s later."""
    size_bytes = path.stat().st_size
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    middle = len(packets) // 2
    after = middle + 1 + round(0.3 / SECONDS * len(packets))
    low, high = packets[middle].pos, packets[after].pos
    if low is None or high is None or high <= low:
        return size_bytes // 2, round(0.54 * size_bytes)
    return low, high + 4


def start_of(path: Path) -> float:
    with av.open(str(path)) as container:
        return (container.start_time or 0) / av.time_base


def reference(kind: Kind, path: Path) -> np.ndarray:
    """(S,): FFmpeg's decode of the first audio track, holes filled; see the module."""
    fill = f"aresample=async=1:min_hard_comp={kind.least_hole_seconds}:first_pts=0"
    checked = ("-err_detect", "crccheck+explode") if kind.codec in {"flac", "ac3"} else ()
    raw = run_ffmpeg(
        *checked,
        *("-i", path, "-map", "0:v?", "-c", "copy", "-f", "null", "-"),
        *("-map", "0:a:0", "-af", fill, "-f", "f32le", "-"),
    )
    return np.frombuffer(raw, np.float32)


def lags(ours: np.ndarray, theirs: np.ndarray, rate: int) -> list[tuple[float, float, float]]:
    """(moment, lag in milliseconds, likeness) for 0.1 s each, where there is sound in theirs."""
    width, most, found = round(0.1 * rate), round(0.05 * rate), []
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)  # silence stays below 1e-12
    for first in range(most, min(len(ours), len(theirs)) - width - most, round(0.2 * rate)):
        piece = theirs[first : first + width]
        near = ours[first - most : first + width + most]
        if np.abs(piece).max() < 0.05:
            continue
        sums = np.cumsum(np.pad(near**2, (1, 0)))
        power = (sums[width:] - sums[:-width]) * (piece**2).sum()
        spectra = np.fft.rfft(near), np.fft.rfft(piece, len(near)).conj()
        likeness = np.fft.irfft(spectra[0] * spectra[1], len(near))[: len(power)]
        likeness /= np.sqrt(np.maximum(power, 0) + 1e-12)
        best = int(likeness.argmax())
        found.append((first / rate, 1000 * (best - most) / rate, float(likeness[best])))
    return found


def is_silent(samples: np.ndarray, rate: int) -> np.ndarray:
    """bool (n,) for each 10 ms."""
    step = rate // 100
    return np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(axis=1) < 1e-3
