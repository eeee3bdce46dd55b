"""One JSON line for each write of ours: who asked, what, before, after, why."""

import structlog

from forerun.domain.ledger import Bounds
from forerun.domain.limits import Fields
from forerun.domain.target import Written

_log = structlog.get_logger("forerun.audit")


def record_write(storefront: str, written: Written, why: str, campaigns: tuple[str, ...], epoch: int) -> None:
    """Append one audit line; names of objects only, never their contents."""
    _log.info(
        "floor written",
        storefront=storefront,
        tier=written.tier,
        before=_shown(written.before),
        after=_shown(written.after),
        why=why,
        asked_by=list(campaigns),
        epoch=epoch,
    )


def record_limit(storefront: str, tier: str, policy: str, fields: Fields, epoch: int) -> None:
    """One line for a limit that was moved or given back; nothing but its own fields."""
    after = {"/".join(map(str, path)): value for path, value in fields}
    _log.info("limit written", storefront=storefront, tier=tier, policy=policy, after=after, epoch=epoch)


def _shown(bounds: Bounds) -> dict[str, int | None]:
    return {"min": bounds.minimum, "max": bounds.maximum}
