"""Which CapacityPolicy holds in a namespace."""

import time
from collections.abc import Mapping

from forerun.api.convert import policy_selects
from forerun.controllers.index import Index
from forerun.domain.policy import Policy
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError

LABELS_LIFETIME_SECONDS = 300.0


class NamespacePolicies:
    """Policies are chosen by label selector; of several that fit, the first by name holds."""

    def __init__(self, cluster: Cluster, index: Index) -> None:
        self._cluster = cluster
        self._index = index
        self._labels: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def of(self, namespace: str) -> Policy:
        """The policy of `namespace`; the defaults where none selects it."""
        for _, record in sorted(self._index.policies.items()):
            if record.value is None:
                continue
            if policy_selects(record.raw, await self._labels_of(namespace)):
                return record.value
        return Policy()

    async def _labels_of(self, namespace: str) -> Mapping[str, str]:
        known = self._labels.get(namespace)
        if known and time.monotonic() - known[0] < LABELS_LIFETIME_SECONDS:
            return known[1]
        try:
            raw = await self._cluster.get("v1", "Namespace", None, namespace)
        except ApiError:
            return known[1] if known else {}
        labels = raw["metadata"].get("labels") or {}
        self._labels[namespace] = (time.monotonic(), labels)
        return labels
