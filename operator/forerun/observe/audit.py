"""One JSON line for each write of ours: who asked, what, before, after, why; sealed by `CHAIN`."""

import structlog

from forerun.domain.ledger import Bounds
from forerun.domain.target import Written
from forerun.observe.audit_chain import KIND, AuditChain

_log = structlog.get_logger("forerun.audit")
CHAIN = AuditChain()
HEAD_ANNOTATION = "forerun.dev/audit-head"  # of the Lease: the digest of the newest line


def record_write(storefront: str, written: Written, why: str, campaigns: tuple[str, ...], epoch: int) -> None:
    """Append one audit line; names of objects only, never their contents."""
    _log.info(
        "floor written",
        kind=KIND,
        storefront=storefront,
        tier=written.tier,
        before=_shown(written.before),
        after=_shown(written.after),
        why=why,
        asked_by=list(campaigns),
        epoch=epoch,
    )


def _shown(bounds: Bounds) -> dict[str, int | None]:
    return {"min": bounds.minimum, "max": bounds.maximum}
