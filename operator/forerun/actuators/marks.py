"""Find what we raised by the marks that we left on it: no plan, no Storefront and no kind of ours is needed."""

from collections.abc import Iterable
from dataclasses import dataclass

from forerun.actuators.holds import hold_of
from forerun.actuators.owners import HPA_KIND, HPA_VERSION, KEDA_KIND, KEDA_VERSION
from forerun.actuators.reading import LEDGER_ANNOTATION
from forerun.domain.reason import Hold
from forerun.domain.storefront import TargetRef
from forerun.kube.cluster import Cluster
from forerun.kube.errors import ApiError, NotFound

AUTOSCALERS = ((HPA_VERSION, HPA_KIND), (KEDA_VERSION, KEDA_KIND))
COPIES = ("ReplicaSet", "ReplicationController")  # Kubernetes copies a Deployment's annotations to what it makes

Kind = tuple[str, str]  # apiVersion, kind


@dataclass(frozen=True, slots=True)
class Mark:
    """Our annotation on an object, not believed yet: `text` is whatever stands there."""

    namespace: str
    reference: TargetRef
    uid: str
    text: str


async def kinds_of_owners(cluster: Cluster) -> tuple[Kind, ...]:
    """Every kind that may carry a floor of ours: the autoscalers, and whatever has a scale subresource."""
    scalable = await cluster.kinds_with("scale")
    return (*AUTOSCALERS, *(kind for kind in scalable if kind[1] not in COPIES))


async def find_marks(cluster: Cluster, namespace: str | None, kinds: Iterable[Kind]) -> tuple[list[Mark], list[Hold]]:
    """All objects of these kinds that carry our annotation, and a Hold for each kind that could not be looked at.

    `namespace` None: all of them. A kind that is not served is no Hold: nothing of it can be there.
    """
    marks: list[Mark] = []
    holds: list[Hold] = []
    for api_version, kind in kinds:
        try:
            found = await cluster.list(api_version, kind, namespace, metadata_only=True)
        except NotFound:
            continue
        except ApiError as error:
            holds.append(hold_of(error, kind))
            continue
        for raw in found:
            metadata = raw["metadata"]
            text = (metadata.get("annotations") or {}).get(LEDGER_ANNOTATION)
            if text is not None:
                reference = TargetRef(api_version, kind, metadata["name"])
                marks.append(Mark(metadata["namespace"], reference, metadata["uid"], text))
    return marks, holds
