# ruff: noqa: N818
# The names are the API server's own reasons, as every Kubernetes client has them.
"""What can go wrong between us and the API server: one class each, one line each.

Every message names the verb, the object, the cause and, where there is one, the remedy.
"""

from collections.abc import Mapping
from typing import Any

MESSAGE_LENGTH = 400  # of the server's own words


class ApiError(Exception):
    """Base of all; `status` is the HTTP status, None where no answer came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ApiError):
    """The object, or its kind, is not there."""


class Conflict(ApiError):
    """A guard did not hold: another UID or resourceVersion; or the name is taken."""


class Forbidden(ApiError):
    """RBAC, admission or the credentials said no."""


class Invalid(ApiError):
    """The server understood the request and will never accept it."""


class Unavailable(ApiError):
    """No answer, or no answer that means anything: try again later."""


class Fenced(ApiError):
    """We do not hold the Lease: nothing was sent."""


class NotConfigured(ApiError):
    """There is no way to an API server: no kubeconfig, no service account."""


_CLASSES: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}
_REMEDIES: Mapping[int, str] = {
    401: "the credentials have expired or are unknown: renew the token or the kubeconfig",
    403: "grant it with a RoleBinding in that namespace",
    409: "read it again and decide anew",
    413: "make the object smaller",
    429: "the API server is overloaded: it is tried again",
}


def error_of(action: str, status: int, body: Mapping[str, Any] | None) -> ApiError:
    """The error of a refused request.

    `action` is verb and object ("patch Deployment shop/web"), `body` the server's Status
    object where it sent one.
    """
    said = " ".join(str((body or {}).get("message") or f"HTTP {status}").split())[:MESSAGE_LENGTH]
    remedy = _REMEDIES.get(status, "")
    if status == 403 and "being terminated" in said:
        remedy = "the namespace is being deleted"
    kind = _CLASSES.get(status, Unavailable if status >= 429 else ApiError)
    if status == 422 and _guard_failed(body or {}):
        kind, remedy = Conflict, _REMEDIES[409]
    return kind(f"{action}: {said}" + (f"; {remedy}" if remedy else ""), status)


def _guard_failed(body: Mapping[str, Any]) -> bool:
    """A patch with another object's UID is called invalid, not a conflict: "metadata.uid: field is immutable"."""
    causes = (body.get("details") or {}).get("causes") or ()
    return any(cause.get("field") == "metadata.uid" for cause in causes)
