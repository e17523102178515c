"""Connect to buckets: endpoint, credentials, timeouts and retries.

Endpoint and credentials come from the environment variables that the services' own tools read;
profiles in ``~/.aws`` are read by boto3 if it is installed.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from emo.errors import StoreError
from emo.store.backend.errors import refusal

QUICK_TIMEOUTS: dict[str, Any] = {"connect_timeout": "5s", "read_timeout": "20s", "timeout": "10m"}
"""Timeouts of reads and listings: no byte for 20 s counts as unreachable."""
SLOW_TIMEOUTS: dict[str, Any] = {"connect_timeout": "5s", "timeout": "20m"}
"""Timeouts of writes and copies: the answer comes only after all of a part (2 GiB) is sent."""
RETRY: dict[str, Any] = {"max_retries": 10, "retry_timeout": timedelta(seconds=20)}
"""Retries of failed requests."""
MEDIA_TIMEOUTS: dict[str, Any] = {"connect_timeout": "5s", "read_timeout": "15s", "timeout": "5m"}
"""Timeouts of requests for media: no byte for 15 s, or 4 MiB in more than 5 minutes, fail."""
MEDIA_RETRY: dict[str, Any] = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
"""Retries of requests for media: five tries; the clip then fails, and the job goes on."""
_QUIET_SECONDS = 15.0
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OWN_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE",
)  # fmt: skip
_FILES = {
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
}


def media_settings(seconds: float | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return timeouts and retries of requests for media.

    Args:
        seconds: most seconds of one request with its retries (``--timeout``); None: the usual ones.
    """
    if seconds is None:
        return MEDIA_TIMEOUTS, MEDIA_RETRY
    most = f"{max(1, round(1000 * seconds))}ms"
    timeouts = {"connect_timeout": most, "read_timeout": most, "timeout": most}
    if seconds > _QUIET_SECONDS:
        timeouts = MEDIA_TIMEOUTS | {"timeout": most}
    retry_timeout = min(MEDIA_RETRY["retry_timeout"], timedelta(seconds=seconds))
    return timeouts, MEDIA_RETRY | {"retry_timeout": retry_timeout}


def connected(root: str, timeouts: dict[str, Any], retry: dict[str, Any] = RETRY) -> ObjectStore:
    """Return a handle to ``s3://bucket``; no request is sent.

    Args:
        root: the bucket.
        timeouts: one of the timeouts above.
        retry: how failed requests are repeated.

    Raises:
        StoreError: the settings in the environment are invalid.
    """
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    plain = {"allow_http": True} if endpoint.startswith("http://") else {}
    given: dict[str, Any] = {"client_options": timeouts | plain, "retry_config": retry}
    try:
        if root.startswith("s3://") and (provider := _profile()):
            given["credential_provider"] = _provider(root, provider)
        store: ObjectStore = from_url(root, **given)
    except (BaseError, ValueError) as error:
        raise refusal(root, root, str(error)) from error
    return store


def _provider(root: str, provider: Callable[[], Any]) -> Any:
    """Make boto3's provider of credentials."""
    try:
        return provider()
    except Exception as error:  # botocore raises many kinds
        raise StoreError(f"{root}: no credentials found in the files in ~/.aws: {error}") from error


def _profile() -> Callable[[], Any] | None:
    """Return boto3's provider when only a profile in ``~/.aws`` holds credentials, else None.

    obstore does not read profiles; without boto3 the result is None, too.
    """
    if any(os.environ.get(name) for name in _OWN_CREDENTIALS):
        return None
    files = [os.environ.get(name) or usual for name, usual in _FILES.items()]
    if not any(os.path.isfile(os.path.expanduser(file)) for file in files):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return None
    return Boto3CredentialProvider
