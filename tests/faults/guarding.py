"""Which mutations carry a guard, and which need none.

A guard makes the API server refuse a write that was decided on something that is no longer so: UID and
resourceVersion in the body, or server-side apply, where ownership of the fields decides.
"""

from enum import StrEnum
from typing import Any

from tests.faults.paths import About

APPLY = "application/apply-patch"
REVIEWS = frozenset({"subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews"})


class Guard(StrEnum):
    """How a mutation is guarded; the first three words are counted, the last one is refused."""

    VERSIONED = "uid and resourceVersion"
    APPLIED = "server-side apply"
    EXEMPT = "exempt"
    NONE = "unguarded"


def guard_of(method: str, target: About, content_type: str, body: Any) -> Guard:
    """The guard of one mutation.

    Exempt are: what creates an object, as a name that is taken is a conflict by itself (Events among them); and
    reviews, which ask the API server something and change nothing. kopf only watches here: a write of its own would
    be an unguarded one.
    """
    if method == "POST":
        return Guard.EXEMPT
    if target.plural in REVIEWS:
        return Guard.EXEMPT
    if content_type.startswith(APPLY):
        return Guard.APPLIED
    marks = body if isinstance(body, dict) else {}
    marks = (marks.get("preconditions") if method == "DELETE" else marks.get("metadata")) or {}
    return Guard.VERSIONED if marks.get("uid") and marks.get("resourceVersion") else Guard.NONE
