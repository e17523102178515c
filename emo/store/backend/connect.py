"""Connections to buckets: endpoint and credentials as the services' own tools find them, patience.

The environment variables are obstore's, which are those of the services; profiles are boto3's.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from emo.errors import StoreError
from emo.store.backend.errors import refusal

QUICK: dict[str, Any] = {"connect_timeout": "5s", "read_timeout": "20s", "timeout": "10m"}
"""Of requests that ask; a server that says nothing for 20 s is not there."""
SLOW: dict[str, Any] = {"connect_timeout": "5s", "timeout": "20m"}
"""Of requests that send a part, 2 GiB at most: there is no answer before all of it is sent."""
RETRY: dict[str, Any] = {"max_retries": 10, "retry_timeout": timedelta(seconds=20)}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OWN_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE",
)  # fmt: skip
_FILES = {
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
}


def connected(root: str, timeouts: dict[str, Any]) -> ObjectStore:
    """A handle to ``s3://bucket``; nothing is sent yet.

    Raises:
        StoreError: the settings make no connection.
    """
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    plain = {"allow_http": True} if endpoint.startswith("http://") else {}
    given: dict[str, Any] = {"client_options": timeouts | plain, "retry_config": RETRY}
    try:
        if root.startswith("s3://") and (provider := _profile()):
            given["credential_provider"] = _asked(root, provider)
        store: ObjectStore = from_url(root, **given)
    except (BaseError, ValueError) as error:
        raise refusal(root, root, str(error)) from error
    return store


def _asked(root: str, provider: Callable[[], Any]) -> Any:
    try:
        return provider()
    except Exception as error:  # botocore's, of many kinds
        raise StoreError(f"{root}: no credentials by the files in ~/.aws: {error}") from error


def _profile() -> Callable[[], Any] | None:
    """boto3, when it is there and a file of profiles must be read, which obstore does not."""
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
