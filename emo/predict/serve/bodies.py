"""Read the body of a request: a file, a URL or a text, within limits, into a folder of its own."""

import asyncio
import json
import mimetypes
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from emo.machine.untrusted.addresses import checked_url
from emo.predict.serve.limits import RequestError, ServiceLimits
from emo.store.backend.https import HttpsError, download

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}", re.ASCII)
"""An ending of a file's name that is kept; nothing else of a name is."""
_MORE_BYTES = 2**16
"""Bytes that a body may have beside the file: names and boundaries of a form."""
_MEDIA = ("audio/", "video/", "image/", "application/octet-stream", "application/ogg")
_FIELDS = ("text", "url")
_TAKEN = (
    "Send a form with a file (multipart/form-data), the file itself (audio/…, video/… or "
    'application/octet-stream), or JSON such as {"text": "so happy"}.'
)
_downloads = ThreadPoolExecutor(4, thread_name_prefix="emo-serve-download")


@dataclass(frozen=True)
class ClipBody:
    """What a request asks about."""

    name: str | None
    """Name of the file in its folder, ``clip`` with an ending; None: a text alone."""
    text: str | None


async def read_clip(
    request: Request, folder: Path, limits: ServiceLimits, hosts: Sequence[str]
) -> ClipBody:
    """Read the body of a request.

    Args:
        request: the request.
        folder: an empty folder for the file.
        limits: sizes.
        hosts: hosts from which a URL may be read; empty: URLs are refused.

    Raises:
        RequestError: the body is not as described, or too large.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.upload_bytes + _MORE_BYTES:
        raise _too_large(limits)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        found = await _read_form(request, folder, limits)
    elif kind in ("application/json", "application/x-www-form-urlencoded"):
        found = await _read_words(request, kind, folder, limits, hosts)
    elif kind.startswith(_MEDIA):
        name = "clip" + (mimetypes.guess_extension(kind) or "")
        name = "clip" if name == "clip.bin" else name
        with (folder / name).open("xb") as file:
            size = 0
            async for piece in _bounded(request, limits):
                size += len(piece)
                file.write(piece)
        if not size:
            raise RequestError(422, "The file is empty.")
        found = ClipBody(name, None)
    else:
        raise RequestError(415, _TAKEN)
    if found.text is not None and len(found.text) > limits.text_letters:
        raise RequestError(
            413, f"The text has more than {limits.text_letters:,} letters; send a shorter one."
        )
    if found.name is None and not (found.text or "").strip():
        raise RequestError(422, f"There is no file and no text. {_TAKEN}")
    return found


def _too_large(limits: ServiceLimits) -> RequestError:
    return RequestError(
        413, f"The body is too large; at most {limits.upload_bytes:,} bytes are taken."
    )


async def _bounded(request: Request, limits: ServiceLimits) -> AsyncIterator[bytes]:
    """Yield the pieces of a body; raise RequestError once there are too many bytes."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limits.upload_bytes + _MORE_BYTES:
            raise _too_large(limits)
        yield piece


async def _read_form(request: Request, folder: Path, limits: ServiceLimits) -> ClipBody:
    """Read a form of the fields ``file`` and ``text``."""
    parser = MultiPartParser(
        request.headers, _bounded(request, limits), max_files=1, max_fields=2,  # type: ignore[arg-type]
        max_part_size=4 * limits.text_letters + _MORE_BYTES,
    )  # fmt: skip
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, UnicodeError) as error:
        raise RequestError(400, "The form cannot be read; send one file and one text.") from error
    try:
        unknown = [key for key in form if key not in ("file", "text")]
        if unknown:
            raise RequestError(422, "The form may have the fields file and text, and no others.")
        upload, text = form.get("file"), form.get("text")
        if isinstance(text, UploadFile) or isinstance(upload, str):
            raise RequestError(422, "The field file must be a file, and the field text a text.")
        if upload is None:
            return ClipBody(None, text)
        ending = _ending_of(upload.filename or "")
        size = await run_in_threadpool(_copy, upload.file, folder / f"clip{ending}")
        if not size:
            raise RequestError(422, "The file is empty.")
        if size > limits.upload_bytes:
            raise _too_large(limits)
        return ClipBody(f"clip{ending}", text)
    finally:
        await form.close()


def _copy(source: IO[bytes], path: Path) -> int:
    source.seek(0)
    with path.open("xb") as file:
        shutil.copyfileobj(source, file, 2**20)
        return file.tell()


async def _read_words(
    request: Request, kind: str, folder: Path, limits: ServiceLimits, hosts: Sequence[str]
) -> ClipBody:
    """Read a text and a URL from JSON or from a short form, and download the URL."""
    pieces, most = [], 12 * limits.text_letters + _MORE_BYTES
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise RequestError(413, f"The body is too large; at most {most:,} bytes are taken.")
        pieces.append(piece)
    fields = _fields_of(kind, b"".join(pieces))
    url, text = fields.get("url"), fields.get("text")
    if url is None:
        return ClipBody(None, text)
    if not hosts:
        raise RequestError(
            403, "URLs are not read; the service was started without --allow-host HOST."
        )
    try:
        url = checked_url(url)
    except ValueError as error:
        raise RequestError(422, "The URL is not one that is read: https://HOST/NAME.") from error
    if not url.startswith("https://"):
        raise RequestError(422, "Only https:// URLs are read.")
    name = f"clip{_ending_of(urlsplit(url).path)}"
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(_downloads, _download, url, folder / name, limits)
    return ClipBody(name, text)


def _fields_of(kind: str, data: bytes) -> Mapping[str, str]:
    """Return the fields ``text`` and ``url`` of a body."""
    try:
        if kind == "application/json":
            fields = json.loads(data)
        else:
            lists = parse_qs(data.decode(), strict_parsing=True, max_num_fields=2)
            fields = {key: values[0] for key, values in lists.items()}
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"The body cannot be read. {_TAKEN}") from error
    if not isinstance(fields, dict) or not all(
        key in _FIELDS and isinstance(value, str) for key, value in fields.items()
    ):
        raise RequestError(422, "The body may have the fields text and url, each a text.")
    return dict(fields)


def _download(url: str, path: Path, limits: ServiceLimits) -> None:
    """Write the file of a URL.

    Raises:
        RequestError: it cannot be read.
    """
    try:
        with path.open("xb") as file:
            download(url, file, limits.upload_bytes)
        if not path.stat().st_size:
            raise RequestError(422, "The file is empty.")
    except HttpsError as error:
        raise RequestError(422, str(error)) from error
    except FileNotFoundError as error:  # the folder is gone: nobody waits any more
        raise RequestError(408, "The file did not arrive in time.") from error


def _ending_of(name: str) -> str:
    """Return the ending of a name, with its dot, if it is a plain one.

    >>> _ending_of("../../a b.WAV"), _ending_of("x.tar!y/.."), _ending_of("no ending")
    ('.WAV', '', '')
    """
    ending = os.path.splitext(name.replace("\\", "/").rpartition("/")[2])[1]
    return ending if _ENDING.fullmatch(ending) else ""
