"""What a part says about its clips: the types of its root document, for readers."""

from typing import Any

from emo.machine.untrusted.kinds import Fields, ListOf, MapOf, Where

WHOLE = Where(int, lambda number: number >= 0, "a whole number from 0")
"""A count."""
_VERSION = Where(int, lambda number: 0 <= number < 1000, "a version from 0 to 999")
ROOT_FORM = Fields(
    {
        "attributes": Fields(
            {
                "fingerprint": str, "attempt": WHOLE, "clip_ids": ListOf(str),
                "failures": MapOf(str), "streams": dict,
            },
            optional={"format_version": _VERSION},
        )
    },
)  # fmt: skip
"""The root document as far as it is read when a part is opened."""
STREAM_FORMS = MapOf(
    Fields(
        {
            "dim": Where(int, lambda dim: 0 < dim < 2**31, "a width from 1 to 2,147,483,647"),
            "dtype": str,
        }
    )
)
"""The entry ``streams`` of the attributes."""
DETAILS = Fields(
    {"sources": ListOf(str), "absent": MapOf(MapOf(str)), "notes": MapOf(MapOf(float))},
    optional={"versions": MapOf(str)},
)
"""The rest of the attributes: what is known about single clips, and which libraries wrote them."""
_TEXT = {str}


def is_root(document: dict[str, Any]) -> bool:
    """Return whether a document is certainly a :data:`ROOT_FORM`; False: look at it entry by entry.

    A store of ten thousand parts opens them all, and this takes a third of the time.
    """
    facts = document.get("attributes")
    if type(facts) is not dict:
        return False
    attempt, ids, failures = facts.get("attempt"), facts.get("clip_ids"), facts.get("failures")
    return (
        type(attempt) is int
        and attempt >= 0
        and facts.get("format_version") == 1
        and type(facts.get("fingerprint")) is str
        and type(facts.get("streams")) is dict
        and type(ids) is list
        and set(map(type, ids)) <= _TEXT
        and type(failures) is dict
        and (not failures or set(map(type, failures.values())) == _TEXT)
    )
