"""What a request gets: the probabilities of `emo predict`, or one sentence."""

import json
import re
import threading

import pytest
from starlette.testclient import TestClient

from emo.machine.libraries import EXTRAS
from emo.predict.one_clip import predict_file
from emo.predict.serve.app import PredictionService
from tests.serve.conftest import LIMITS, write_wav


@pytest.fixture(scope="module")
def client(service):
    return TestClient(service.app())


def upload(name, data, kind="audio/wav"):
    return {"files": {"file": (name, data, kind)}}


def test_a_file_gets_the_bits_of_predict(client, service, made):
    for number in (3, 4):
        path = made / f"{number}.wav"
        expected = json.loads(predict_file(made / "run", path, None).json())
        del expected["id"]
        expected["recipes"] = service.resident.fingerprints
        form = client.post("/predict", **upload("x/../3.wav", path.read_bytes()))
        bare = client.post(
            "/predict", content=path.read_bytes(), headers={"content-type": "audio/x-wav"}
        )
        assert (form.status_code, bare.status_code) == (200, 200)
        assert form.json() == bare.json() == expected
    assert re.fullmatch(r"[0-9a-f]{16}", expected["recipes"]["logmel"])
    assert not [*service.folder.glob("*/*")]  # uploads are deleted


def test_many_at_once_get_what_each_gets_alone(service, made, monkeypatch):
    """Also when they go through the models together."""
    monkeypatch.setattr(service.slots, "_most", 16)
    client, found = TestClient(service.app()), {}
    files = {number: (made / f"{number}.wav").read_bytes() for number in range(12)}

    def ask(number):
        found[number] = client.post("/predict", **upload("a.wav", files[number])).json()

    threads = [threading.Thread(target=ask, args=(number,)) for number in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in files:
        alone = predict_file(made / "run", made / f"{number}.wav", None)
        assert found[number]["probabilities"] == alone.probabilities


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (upload("a.wav", b""), 422, "The file is empty."),
        (upload("a.wav", b"RIFF" + bytes(100)), 422, "clip.wav"),
        (upload("a.wav", bytes(2**20 + 1)), 413, "at most 1,048,576 bytes"),
        ({"content": bytes(2**21), "headers": {"content-type": "audio/wav"}}, 413, "too large"),
        ({"content": b"", "headers": {"content-type": "audio/wav"}}, 422, "The file is empty."),
        ({"json": {"text": "so happy"}}, 422, "the clip has no audio or video file"),
        ({"json": {"text": "x" * 101}}, 413, "more than 100 letters"),
        ({"json": {"text": "\ud800 "}}, 422, "the clip has no audio or video file"),
        ({"json": {"text": " "}}, 422, "There is no file and no text."),
        ({"json": ["text"]}, 422, "fields text and url"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "cannot be read"),
        ({"json": {"url": "https://example.org/a.wav"}}, 403, "without --allow-host"),
        ({"data": {"text": "a", "more": "b", "third": "c"}}, 400, "cannot be read"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "Send a form"),
        ({"content": b"x", "headers": {"content-encoding": "gzip"}}, 415, "is compressed"),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
            400,
            "The form cannot be read",
        ),
    ],
)
def test_what_cannot_be_predicted_gets_one_sentence(client, service, sent, status, said):
    if "json" in sent:
        sent = {
            "content": json.dumps(sent["json"]),
            "headers": {"content-type": "application/json"},
        }
    answer = client.post("/predict", **sent)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert str(service.folder) not in answer.json()["error"]
    assert service.slots.taken == 0
    assert not [*service.folder.glob("*/*")]


def test_a_clip_that_is_too_long_is_refused(client, tmp_path):
    data = write_wav(tmp_path / "a.wav", seconds=21).read_bytes()
    answer = client.post("/predict", **upload("a.wav", data))
    assert (answer.status_code, answer.json()["error"]) == (
        413, "The clip lasts 21 s; at most 20 s are taken.",
    )  # fmt: skip


def test_a_full_queue_answers_429_at_once(client, service, made):
    taken = [service.slots.take() for _ in range(LIMITS.queue)]
    assert all(taken)
    try:
        answer = client.post("/predict", **upload("a.wav", (made / "3.wav").read_bytes()))
    finally:
        for _ in taken:
            service.slots.give()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_process_that_dies_is_begun_anew(client, service, made):
    service.pipeline.decoders[0]._process.kill()
    service.pipeline.decoders[0]._process.join()
    before = service.pipeline.decoders[0].restarts
    answer = client.post("/predict", **upload("a.wav", (made / "3.wav").read_bytes()))
    assert answer.status_code == 200
    assert service.pipeline.decoders[0].restarts == before + 1


def test_token_and_host(service, made, monkeypatch):
    monkeypatch.setattr(service, "_token", "k3y")
    monkeypatch.setattr(service, "_is_own_host_only", True)
    data = upload("a.wav", (made / "3.wav").read_bytes())
    here = TestClient(service.app(), base_url="http://127.0.0.1:8000")
    assert here.post("/predict", **data).status_code == 401
    assert here.get("/metrics", headers={"authorization": "Bearer no"}).status_code == 401
    assert here.get("/readyz").status_code == here.get("/healthz").status_code == 200
    right = {"authorization": "Bearer k3y"}
    assert here.post("/predict", **data, headers=right).status_code == 200
    elsewhere = TestClient(service.app(), base_url="http://evil.example")
    assert elsewhere.post("/predict", **data, headers=right).status_code == 403


def test_an_error_of_ours_tells_no_content(client, service, made, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("secret.wav")

    monkeypatch.setattr(service.resident, "predict", fail)
    answer = client.post("/predict", **upload("a.wav", (made / "3.wav").read_bytes()))
    assert (answer.status_code, answer.json()) == (
        500, {"error": "The service failed on this request."},
    )  # fmt: skip
    assert capsys.readouterr().err == "emo serve: a request failed: RuntimeError\n"


def test_a_url_is_read_from_allowed_hosts_alone(service, made, monkeypatch):
    from emo.predict.serve import bodies

    seen = []

    def download(url, out, most_bytes):
        seen.append((url, most_bytes))
        out.write((made / "3.wav").read_bytes())

    monkeypatch.setattr(bodies, "download", download)
    monkeypatch.setattr(service, "_hosts", ("a.org",))
    client = TestClient(service.app())
    for url in (
        "http://a.org/x.wav",
        "https://me:pw@a.org/x",
        "s3://b/x.wav",
        "file:///etc/passwd",
    ):
        answer = client.post("/predict", json={"url": url})
        assert answer.status_code == 422
        assert "pw" not in answer.text
    assert not seen
    answer = client.post("/predict", json={"url": "https://a.org/x.wav"})
    assert (answer.status_code, seen) == (200, [("https://a.org/x.wav", LIMITS.upload_bytes)])
    monkeypatch.undo()
    monkeypatch.setattr(service, "_hosts", ("a.org",))
    answer = client.post("/predict", json={"url": "https://127.0.0.1/x.wav"})
    assert (answer.status_code, "is not allowed" in answer.json()["error"]) == (422, True)


def test_other_addresses_and_methods(client):
    assert "/predict" in client.get("/docs").json()["error"]
    assert client.get("/predict").status_code == 405
    head = client.head("/healthz")
    assert (head.status_code, head.content) == (200, b"")


LINE = re.compile(
    r"# (HELP|TYPE) ([a-z_]+) (.+)"
    r'|([a-z_]+)(?:\{([a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*)\})?'
    r" ([-+0-9.e]+|\+Inf)"
)
"""A line of https://prometheus.io/docs/instrumenting/exposition_formats/, without time."""


def test_metrics_are_prometheus_text_without_names(client, made):
    client.post("/predict", **upload("Secret-name.wav", (made / "3.wav").read_bytes()))
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    kinds, buckets = {}, []
    assert answer.text.endswith("\n")
    for line in answer.text.splitlines():
        found = LINE.fullmatch(line)
        assert found, line
        if found[1] == "TYPE":
            assert found[2] not in kinds
            kinds[found[2]] = found[3]
        elif found[4]:
            name = re.sub("_(bucket|sum|count)$", "", found[4])
            assert name in kinds or found[4] in kinds
            float(found[6])
            if found[4] == "emo_serve_request_seconds_bucket":
                buckets.append(int(found[6]))
    assert set(kinds.values()) == {"counter", "gauge", "histogram"}
    assert buckets == sorted(buckets)
    assert f"emo_serve_request_seconds_count {buckets[-1]}\n" in answer.text
    assert "Secret" not in answer.text
    assert ".wav" not in answer.text


def test_the_command_needs_the_extra():
    assert {EXTRAS[name] for name in ("fastapi", "uvicorn", "starlette", "h11")} == {"serve"}


def test_the_folder_goes_with_the_service(resident):
    service = PredictionService(resident, LIMITS)
    service.warm_up()
    assert service.folder.is_dir()
    service.close()
    assert not service.folder.exists()
