"""Error messages for what an object store, or the network on the way to it, answered."""

import re

from emo.errors import StoreError

PARTS_ARE_KEPT = "Parts committed so far are kept; the same command goes on from there."
"""End of a message about a write that failed."""
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_STATUS = re.compile(r"status code: (\d+ [A-Za-z ]+)")
_OWN_MACHINE = re.compile(r"169\.254\.169\.254|/latest/api/token|/computeMetadata/")
"""Addresses at which a cloud machine gets its own credentials; tried when none are set."""
_NO_KEYS = re.compile("[Cc]redential|Account must be specified")
_REQUEST = re.compile(r"(https?://)(?:[^\s/@]*@)?([^\s/?]+)")
"""Scheme and host of a URL, without user name and password."""
_QUERY = re.compile(r"\?[^\s)\"']*")
"""Query of a URL, which may hold a signature."""


def refusal(url: str, root: str, answer: str) -> StoreError:
    """Return an error that says what went wrong with a request and what to do.

    Args:
        url: URL of the requested object.
        root: ``s3://bucket``.
        answer: message of obstore's exception, of many lines.
    """
    answer = answer.partition("Debug source")[0]
    code, status = _first(_CODE, answer), _first(_STATUS, answer)
    said = " ".join(filter(None, (status, code))) or _QUERY.sub("", answer.splitlines()[0])
    server = next((scheme + host for scheme, host in _REQUEST.findall(answer)), root)
    if "NoSuchBucket" in answer:
        return StoreError(
            f"{root}: no such bucket at {server}. Create it, or correct the name or the endpoint "
            "(AWS_ENDPOINT_URL)."
        )
    if status.startswith(("301", "307")) or "AuthorizationHeaderMalformed" in answer:
        return StoreError(f"{root}: the bucket is in another region ({said}); set AWS_REGION.")
    if _OWN_MACHINE.search(answer) or _NO_KEYS.search(re.sub(r"\S*/\S*", "", answer)):
        return StoreError(
            f"{root}: no credentials. Set those that the service's own tool reads: "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE, with boto3 installed), "
            "GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME and _KEY."
        )
    if status.startswith(("401", "403")):
        return StoreError(
            f"{url}: permission denied by {server} ({said}). Check the credentials and what they "
            "may do: stores need to list, get and put, and to delete for compact and quarantine."
        )
    if status.startswith("501"):
        return no_conditions(root)
    if "body error" in answer:
        return StoreError(f"{url}: the answer of {server} broke off. {PARTS_ARE_KEPT}")
    if "error sending request" in answer or "timed out" in answer or "builder error" in answer:
        return StoreError(
            f"{root}: {server} cannot be reached. Check the network and the endpoint "
            f"(AWS_ENDPOINT_URL). {PARTS_ARE_KEPT}"
        )
    return StoreError(f"{url}: the object store answers {said}. {PARTS_ARE_KEPT}")


def no_conditions(root: str) -> StoreError:
    """Return the error for a server that overwrites objects against the request's condition."""
    return StoreError(
        f"{root}: the server ignores the condition If-None-Match: *, so one worker would overwrite "
        "the parts of another. Use a server that supports it (S3 since 2024, MinIO, Ceph, Google, "
        "Azure), or extract to a local folder and copy it to the bucket."
    )


def _first(pattern: re.Pattern[str], text: str) -> str:
    """Return the first group of the first match, stripped; empty: no match."""
    found = pattern.search(text)
    return found[1].strip() if found else ""
