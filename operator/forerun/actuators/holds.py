"""API errors as values."""

from forerun.domain.reason import Hold, Reason
from forerun.kube import errors

_REASONS: dict[type[errors.ApiError], Reason] = {
    errors.NotFound: Reason.TARGET_NOT_FOUND,
    errors.Conflict: Reason.CONFLICT,
    errors.Forbidden: Reason.FORBIDDEN,
    errors.Invalid: Reason.INVALID,
    errors.Fenced: Reason.NOT_LEADER,
}


def hold_of(error: errors.ApiError, subject: str) -> Hold:
    """The Hold that says what the error says; whatever is not known better is an unavailable API."""
    return Hold(_REASONS.get(type(error), Reason.API_UNAVAILABLE), subject, detail=str(error))
