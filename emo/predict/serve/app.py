"""The addresses of the service: /predict, /healthz, /readyz and /metrics."""

import asyncio
import hmac
import json
import re
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emo.errors import EmoError
from emo.manifest import Clip
from emo.predict.one_clip import Prediction
from emo.predict.serve.bodies import read_clip
from emo.predict.serve.limits import RequestError, ServiceLimits
from emo.predict.serve.metrics import TEXT_TYPE, ServiceMetrics
from emo.predict.serve.pipeline import ClipPipeline, ClipWork, Slots
from emo.predict.serve.resident import ResidentRun

_OWN_NAME = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
"""Names of this machine for itself, with any port: a tunnel has another one."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_OPEN = frozenset({"/healthz", "/readyz"})
"""Addresses that need no token: they say one word, and probes have no token."""


class PredictionService:
    """A resident run with its queue, behind the addresses of :meth:`app`."""

    def __init__(
        self,
        resident: ResidentRun,
        limits: ServiceLimits,
        *,
        token: str = "",
        hosts: Sequence[str] = (),
        is_own_host_only: bool = True,
    ) -> None:
        """Start the threads.

        Args:
            resident: the run.
            limits: sizes, seconds and counts.
            token: what requests must bring as ``Authorization: Bearer TOKEN``; empty: nothing.
            hosts: hosts from which URLs may be read.
            is_own_host_only: whether the header ``Host`` must name this machine: a page of a
                stranger can make its own name lead to 127.0.0.1.
        """
        self.resident, self.limits = resident, limits
        self._token, self._hosts, self._is_own_host_only = token, hosts, is_own_host_only
        self.metrics = ServiceMetrics(resident.fingerprints)
        self.slots = Slots(limits.queue)
        self.folder = Path(tempfile.mkdtemp(prefix="emo-serve-"))
        """Folder of the files in hand; each request's file is deleted with its answer."""
        self.pipeline = ClipPipeline(resident, limits, self.metrics)
        self.is_draining = False
        """Whether the service was told to end: it answers, and /readyz says no."""

    def warm_up(self) -> None:
        """Predict seconds of silence, so that the first request finds all libraries loaded.

        Raises:
            EmoError: a process that decodes did not start.
        """
        self.pipeline.wait_until_ready()
        with wave.open(str(self.folder / "silence.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(32000))
        clip = Clip("silence", video="silence.wav", text="silence")
        works = [ClipWork(clip, self.folder, float("inf")) for _ in range(self.limits.decoders)]
        for work in works:
            self.pipeline.submit(work)
        for work in works:
            work.answer.exception()  # silence may have none of a run's streams
        self.metrics = self.pipeline.metrics = ServiceMetrics(self.resident.fingerprints)

    def close(self) -> None:
        """Answer what is queued, end the threads and remove the folder."""
        self.pipeline.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route("/predict", self._predict, methods=["POST"])
        for path, handler in (
            ("/healthz", self._health), ("/readyz", self._ready), ("/metrics", self._metrics)
        ):  # fmt: skip
            app.add_api_route(path, handler, methods=["GET", "HEAD"])
        app.add_exception_handler(HTTPException, _as_json)
        return app

    async def _predict(self, request: Request) -> Response:
        """Answer with class probabilities, or with one sentence on why there are none."""
        began = time.monotonic()
        try:
            self._check(request)
            found = await self._prediction(request)
            document = json.loads(found.json()) | {"recipes": self.resident.fingerprints}
            del document["id"]
            response = answer_json(200, document)
        except ClientDisconnect:
            response = _refusal(RequestError(400, "The connection ended before the body did."))
        except RequestError as error:
            response = _refusal(error)
        except EmoError as error:
            response = _refusal(RequestError(422, str(error)))
        except Exception as error:  # its message may hold names: only its kind is told
            print(f"emo serve: a request failed: {type(error).__name__}", file=sys.stderr)
            response = _refusal(RequestError(500, "The service failed on this request."))
        self.metrics.answered(response.status_code, time.monotonic() - began)
        return response

    async def _prediction(self, request: Request) -> Prediction:
        """Read the body of a request, and wait for its prediction."""
        if not self.slots.take():
            raise RequestError(429, "The queue is full; try again in a second.")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        work = None
        try:
            try:
                async with asyncio.timeout(self.limits.upload_seconds):
                    body = await read_clip(request, folder, self.limits, self._hosts)
            except TimeoutError as error:
                raise RequestError(
                    408, f"The body did not arrive within {self.limits.upload_seconds:g} s."
                ) from error
            clip = Clip(body.name or "text", video=body.name, text=body.text)
            work = ClipWork(clip, folder, time.monotonic() + self.limits.answer_seconds)
            work.answer.add_done_callback(self.slots.give)
            self.pipeline.submit(work)
            waited = asyncio.wrap_future(work.answer)
            done, _ = await asyncio.wait([waited], timeout=self.limits.answer_seconds)
            if not done:
                waited.add_done_callback(lambda each: each.cancelled() or each.exception())
                raise RequestError(
                    504, f"There was no answer within {self.limits.answer_seconds:g} s."
                )
            return await waited
        finally:
            if work is None:
                self.slots.give()
            shutil.rmtree(folder, ignore_errors=True)

    async def _health(self) -> Response:
        """Say whether the service works; an orchestrator restarts it if not."""
        if self.pipeline.broken:
            return _refusal(RequestError(503, "The device of the models is broken."))
        return answer_json(200, {"status": "ok"})

    async def _ready(self) -> Response:
        """Say whether requests may be sent here."""
        if self.is_draining or self.pipeline.broken:
            return _refusal(RequestError(503, "The service ends."))
        return answer_json(200, {"status": "ready"})

    async def _metrics(self, request: Request) -> Response:
        """Answer with all counts as Prometheus text."""
        try:
            self._check(request)
        except RequestError as error:
            return _refusal(error)
        restarts = sum(each.restarts for each in self.pipeline.decoders)
        gauges = {
            "emo_serve_in_hand": ("gauge", "Requests in hand.", float(self.slots.taken)),
            "emo_serve_queue_size": ("gauge", "Most requests in hand.", float(self.limits.queue)),
            "emo_serve_ready": ("gauge", "1 unless the service ends.", float(not self.is_draining)),
            "emo_serve_decoder_restarts_total": (
                "counter", "Processes that decode and were begun anew.", float(restarts),
            ),
        }  # fmt: skip
        return Response(self.metrics.text(gauges), headers=_HEADERS, media_type=TEXT_TYPE)

    def _check(self, request: Request) -> None:
        """Check the token and the name of this machine.

        Raises:
            RequestError: the request may not be answered.
        """
        hosts = request.headers.getlist("host")
        if self._is_own_host_only and not (len(hosts) == 1 and _OWN_NAME.fullmatch(hosts[0])):
            raise RequestError(403, "The header Host does not name this machine.")
        given = request.headers.get("authorization", "").encode()
        if self._token and not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise RequestError(401, "The request needs the header Authorization: Bearer TOKEN.")


def answer_json(status: int, document: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a response of JSON in ASCII."""
    return Response(
        json.dumps(document), status, {**_HEADERS, **(headers or {})}, "application/json"
    )


def _refusal(error: RequestError) -> Response:
    """Return the response to a request that gets no prediction."""
    more = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}
    return answer_json(error.status, {"error": error.sentence}, more.get(error.status))


async def _as_json(request: Request, error: Exception) -> Response:
    """Answer an address or a method that does not exist."""
    assert isinstance(error, HTTPException)
    sentences = {
        404: "There is nothing at this address; the addresses are /predict, /healthz, /readyz and "
        "/metrics.",
        405: "This address does not take this method; /predict takes POST, the others GET.",
    }
    sentence = sentences.get(error.status_code, "The request cannot be answered.")
    return answer_json(error.status_code, {"error": sentence}, dict(error.headers or {}))
