"""Whether the account that a Storefront answers with may scale a target still: asked at the write, not remembered."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from forerun.actuators.holds import hold_of
from forerun.domain.campaign import Key
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Storefront, TargetRef
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError

LIFETIME_SECONDS = 5.0  # of a yes; a no is asked again at the next attempt

Account = tuple[str, str]  # namespace, name


class Authority:
    """Asks the API server; where no account is named there is nobody to ask, and nothing is refused."""

    def __init__(self, cluster: Cluster, default_account: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._default = default_account
        self._clock = clock
        self._granted: dict[tuple[Account, TargetRef], float] = {}

    async def refusals(self, key: Key, storefront: Storefront, targets: Mapping[str, TargetRef]) -> dict[str, Hold]:
        """By tier, a Hold for each of `targets` that may not be raised now."""
        answers = await asyncio.gather(*(self.refuses(key, storefront, target) for target in targets.values()))
        found = zip(targets, answers, strict=True)
        return {tier: replace(hold, subject=tier) for tier, hold in found if hold is not None}

    async def refuses(self, key: Key, storefront: Storefront, target: TargetRef) -> Hold | None:
        """A Hold where the account may not scale `target` now, or where that cannot be told."""
        name = storefront.service_account or self._default
        if not name:
            return None
        asked = ((key.namespace, name), target)
        now = self._clock()
        if now - self._granted.get(asked, float("-inf")) < LIFETIME_SECONDS:
            return None
        try:
            allowed = await self._cluster.may_scale(name, target.api_version, target.kind, key.namespace, target.name)
        except ApiError as error:
            return hold_of(error, str(target))
        if allowed:
            self._granted = {at: since for at, since in self._granted.items() if now - since < LIFETIME_SECONDS}
            self._granted[asked] = now
            return None
        detail = (
            f"ServiceAccount {key.namespace}/{name} may not update the scale of {target}; "
            f"bind it to a Role that may, or name another one in spec.serviceAccountName of Storefront {key}"
        )
        return Hold(Reason.FORBIDDEN, str(target), detail=detail)
