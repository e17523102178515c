"""Decode files of strangers in a child process of limited memory, which is killed when it is late.

The child decodes; the models stay in the parent. It ignores SIGTERM and ^C, which reach a whole
group of processes while accepted requests are still to be answered, and ends with its pipe.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from emo import plugins
from emo.extract.backbone import Backbone
from emo.extract.decode.decode import load_each, probe_seconds
from emo.extract.decode.source import source_of
from emo.extract.job.request import Request
from emo.extract.media import DetectFaces, Media
from emo.extract.worker.decoding.units import units_of
from emo.extract.worker.encode import reason_of
from emo.manifest import Clip
from emo.predict.serve.limits import MIB, RequestError, ServiceLimits

try:
    import resource
except ImportError:  # Windows has no limits of this kind
    resource = None  # type: ignore[assignment]

START_SECONDS = 120.0
"""Seconds within which a child must have loaded its libraries."""
_MORE_BYTES = 1024 * MIB
"""Memory of a child besides four times the bytes that a clip may hold: decoders, face detection."""


@dataclass(frozen=True)
class DecodingTask:
    """What a child needs to know once."""

    requests: tuple[Request, ...]
    """The backbones of the run."""
    kinds: Mapping[str, tuple[type[Backbone], Any]]
    """Recipe name -> class and options of the backbone; the child builds no model."""
    limits: ServiceLimits


Views = dict[str, Media | str]
"""Recipe name -> decoded media, or the reason why there are none."""


def decode_clip(
    clip: Clip, root: Path, task: DecodingTask, detect: DetectFaces | None = None
) -> Iterator[Views]:
    """Decode a clip, stretch by stretch as in a job.

    Args:
        clip: the clip.
        root: folder of its file.
        task: backbones and limits.
        detect: finds faces; None: no backbone needs them, or the clip has no file.

    Raises:
        RequestError: the clip is longer than allowed.
    """
    source = source_of(clip, root, task.limits.clip_bytes)
    length = probe_seconds(source)
    if length is not None and length > task.limits.media_seconds:
        most = task.limits.media_seconds
        raise RequestError(413, f"The clip lasts {length:,.0f} s; at most {most:,.0f} s are taken.")
    needs = {name: kind.needs(options) for name, (kind, options) in task.kinds.items()}
    cut = {name: kind.stretch_seconds(options) for name, (kind, options) in task.kinds.items()}
    for unit in units_of(clip, source, task.requests, cut):
        names = [request.name for request in unit.requests]
        media = load_each(unit.source, [needs[name] for name in names], detect=detect)
        yield {
            name: reason_of(each) if isinstance(each, Exception) else each
            for name, each in zip(names, media, strict=True)
        }


def _child(pipe: Connection, task: DecodingTask, trusted: Any) -> None:
    """Decode one file after the other until the pipe ends."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):  # libraries name files in their messages
        os.dup2(nothing, handle)
    plugins.trust(trusted)
    detect = _detector(task)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    _limit_memory(task.limits)
    pipe.send(("ready", None, False))
    while True:
        try:
            clip, root = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        is_short = False  # its memory may be in pieces: the next file gets a fresh process
        try:
            for views in decode_clip(clip, root, task, detect):
                reasons = [each for each in views.values() if isinstance(each, str)]
                is_short |= any("emory" in each for each in reasons)
                pipe.send(("views", views, False))
            pipe.send(("end", None, is_short))
        except RequestError as error:
            pipe.send(("refused", (error.status, error.sentence), is_short))
        except Exception as error:
            pipe.send(("failed", type(error).__name__, True))


def _detector(task: DecodingTask) -> DetectFaces | None:
    rules = [kind.needs(options).faces for kind, options in task.kinds.values()]
    if not any(rule is not None and rule.mode != "centre" for rule in rules):
        return None
    # imported here: it takes seconds that other runs do not need
    from emo.extract.faces.detector import FaceDetector

    return FaceDetector(device="cpu")


def _limit_memory(limits: ServiceLimits) -> None:
    """Limit the address space of this process to what it has now and what a clip may take."""
    if resource is None or not sys.platform.startswith("linux"):
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 4 * limits.clip_bytes + _MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class DecoderProcess:
    """The parent's side of one child; one thread uses it."""

    def __init__(self, task: DecodingTask) -> None:
        """Start the child; :meth:`wait_until_ready` tells when it has loaded its libraries."""
        self._task = task
        self.restarts = 0
        """Number of children that were begun after one had died or was killed."""
        self._start()

    def _start(self) -> None:
        names = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in names else "spawn")
        if hasattr(context, "set_forkserver_preload"):
            context.set_forkserver_preload(["emo.predict.serve.decoder"])
        self._pipe, theirs = context.Pipe()
        process: Any = context.Process  # type: ignore[attr-defined]
        self._process = process(
            target=_child, args=(theirs, self._task, plugins.trusted()), daemon=True
        )
        self._process.start()
        theirs.close()
        self._is_ready = False

    def wait_until_ready(self) -> None:
        """Wait until the child can decode.

        Raises:
            RequestError: it did not start.
        """
        if self._is_ready:
            return
        try:
            if not self._pipe.poll(START_SECONDS):
                raise EOFError
            self._pipe.recv()
        except (EOFError, OSError) as error:
            self._restart()
            raise RequestError(503, "The decoder did not start; try again.") from error
        self._is_ready = True

    def decode(self, clip: Clip, root: Path) -> Iterator[Views]:
        """Decode a clip in the child; the views come stretch by stretch.

        Raises:
            RequestError: the file is refused, takes too long, or ended the child.
        """
        if not self._process.is_alive():
            self._restart()
        self.wait_until_ready()
        seconds = self._task.limits.decode_seconds
        end = time.monotonic() + seconds
        is_good = False
        try:
            self._pipe.send((clip, root))
            while self._pipe.poll(max(0.0, end - time.monotonic())):
                word, content, is_spent = self._pipe.recv()
                is_good = word != "views" and not is_spent
                if word == "views":
                    yield content
                elif word == "end":
                    return
                elif word == "refused":
                    raise RequestError(*content)
                else:
                    raise RequestError(422, f"The file cannot be decoded ({content}).")
            raise RequestError(422, f"Decoding the file took longer than {seconds:g} s.")
        except (EOFError, OSError) as error:
            raise RequestError(
                422, "The file cannot be decoded: it ended the process that decodes."
            ) from error
        finally:
            if not is_good:
                self._restart()

    def _restart(self) -> None:
        self.close()
        self.restarts += 1
        self._start()

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        self._process.join()
        with contextlib.suppress(OSError):
            self._pipe.close()
