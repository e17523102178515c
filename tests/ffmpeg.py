"""FFmpeg's own tool, from a wheel: writes films with faults, and decodes them for comparison."""

import subprocess
from pathlib import Path

import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe


def ffmpeg(*words) -> subprocess.CompletedProcess:
    """Run it on one thread, so that it conceals damage in the same way each time."""
    command = [get_ffmpeg_exe(), "-nostdin", "-v", "warning", "-y", *map(str, words)]
    return subprocess.run(command, capture_output=True, check=True)


def write_film(path: Path, *options, seconds=2.0, size="64x48", rate=20, sound=False) -> Path:
    """Write moving bars and a counter; ``options`` name the codec and more."""
    inputs = ["-f", "lavfi", "-i", f"testsrc=s={size}:r={rate}:d={seconds}"]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=f=440:d={seconds}"]
    ffmpeg(*inputs, "-pix_fmt", "yuv420p", "-threads", "1", *options, path)
    return path


def decoded(path: Path, shape: tuple[int, int], *options) -> tuple[np.ndarray, int]:
    """All pictures as the tool shows them, uint8 (n, H, W, 3), and how many it calls corrupt."""
    done = ffmpeg(
        "-threads", "1", "-i", path, "-map", "0:V:0", *options, "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    )  # fmt: skip
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, *shape, 3)
    return pictures, done.stderr.decode().count("corrupt decoded frame")
