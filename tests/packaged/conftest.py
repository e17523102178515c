"""Folders of installed packages, clips of real speech, and a line for each largest error."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REAL_DATA

SPEECH = REAL_DATA / "speech" / "nemo"


def package(module):
    """Return the folder of an installed package, without running its code; else skip."""
    spec = find_spec(module)
    if spec is None:
        pytest.skip(f"the package {module} is not installed: make models")
    return Path(next(iter(spec.submodule_search_locations)))


@pytest.fixture
def say(capsys, request):
    """Print a line that is seen although the test passes."""

    def say(text):
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}")

    return say


@pytest.fixture(scope="session")
def speech():
    """Clips of real speech: name -> float32 (S,) at 16 kHz."""
    if not SPEECH.is_dir():
        pytest.skip(f"clips of speech are not at {SPEECH}")
    return {path.stem: read_speech(path) for path in sorted(SPEECH.glob("*.flac"))}


def read_speech(path):
    """Read a file with a library that emo does not use: float32 (S,) at 16 kHz."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32")
    return samples if rate == 16000 else soxr.resample(samples, rate, 16000).astype(np.float32)
