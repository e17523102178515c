"""A run on the sound of short files, and a service of it that all tests of this folder share."""

import threading
import time
import wave

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="emo serve needs the extra serve")

from emo.extract.job.request import requests_from_words
from emo.extract.run import extract
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import read_manifest
from emo.predict.serve import server
from emo.predict.serve.app import PredictionService
from emo.predict.serve.limits import ServiceLimits
from emo.predict.serve.resident import ResidentRun
from emo.predict.serve.server import listening_socket, serve_clips


def write_wav(path, hertz=200, seconds=1.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, 500, int(16000 * seconds))
    tone = 8000 * np.sin(2 * np.pi * hertz * np.arange(len(noise)) / 16000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((tone + noise).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with twelve wav files and ``run``."""
    folder = tmp_path_factory.mktemp("serve")
    rows = ["id,audio,label,split"]
    for number in range(12):
        write_wav(folder / f"{number}.wav", 200 * (1 + number % 2), seed=number)
        split = ("train", "train", "val")[number // 2 % 3]
        rows.append(f"c{number},{number}.wav,{('joy', 'fear')[number % 2]},{split}")
    (folder / "m.csv").write_text("\n".join(rows) + "\n")
    manifest = read_manifest(folder / "m.csv")
    extract(manifest, folder / "features", requests_from_words(["logmel"]), progress=False)
    options = FitOptions("linear", head_options={"penalties": "3"}, threads=1)
    fit_head(manifest, [folder / "features"], folder / "run", options)
    return folder


LIMITS = ServiceLimits(
    queue=4, decoders=1, upload_bytes=2**20, text_letters=100, media_seconds=20.0,
    connections=20, header_seconds=1.0, upload_seconds=1.0, decode_seconds=20.0,
)  # fmt: skip


@pytest.fixture(scope="session")
def resident(made):
    return ResidentRun(made / "run", device="cpu", clip_bytes=LIMITS.clip_bytes)


@pytest.fixture(scope="session")
def service(resident):
    """A service without a server, shared by many tests."""
    found = PredictionService(resident, LIMITS, is_own_host_only=False)
    yield found
    found.close()


@pytest.fixture
def served(resident, monkeypatch):
    """A service that listens: ``(service, port, drain)``; ``drain`` is what SIGTERM does."""
    service = PredictionService(resident, LIMITS)
    listener = listening_socket("127.0.0.1", 0)
    servers = []
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.3)
    thread = threading.Thread(
        target=serve_clips, args=(service, listener), kwargs={"on_server": servers.append}
    )
    thread.start()
    while not (servers and servers[0].started):
        time.sleep(0.01)

    def drain():
        servers[0].drain()
        thread.join(30)
        assert not thread.is_alive()

    yield service, listener.getsockname()[1], drain
    drain()
