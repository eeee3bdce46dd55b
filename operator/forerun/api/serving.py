"""What stands between Ready and serving, as words of the domain."""

from collections.abc import Iterator

from forerun.api.models import ObjectRef
from forerun.api.models_serving import AdmissionSpec, AnomalySpec, ConnectionsSpec, ShrinkWhenSpec, WarmUpSpec
from forerun.domain.storefront import Admission, Anomaly, Connections, LimitKind, LimitPolicy, ShrinkWhen, TargetRef
from forerun.domain.warm_up import WarmKeys, WarmUp

_USUAL_KEYS = 1000
_USUAL_TIMEOUT_SECONDS = 600.0


def warm_up_from(spec: WarmUpSpec | None) -> WarmUp | None:
    if spec is None:
        return None
    keys = spec.keys
    return WarmUp(
        job_template=spec.job_template_ref.name if spec.job_template_ref else None,
        hit_ratio_query=spec.hit_ratio_query,
        min_hit_ratio=spec.min_hit_ratio,
        timeout_seconds=spec.timeout or _USUAL_TIMEOUT_SECONDS,
        keys=None if keys is None else WarmKeys(keys.query, keys.label, keys.limit or _USUAL_KEYS),
    )


def warm_up_misfits(spec: WarmUpSpec | None, path: str) -> Iterator[tuple[str, str]]:
    """Field and remedy of what does not fit together; the same rules as in the CRD."""
    if spec is None:
        return
    if spec.job_template_ref is None and spec.hit_ratio_query is None:
        yield path, "give jobTemplateRef, hitRatioQuery or both; without either there is nothing to wait for"
    if (spec.hit_ratio_query is None) != (spec.min_hit_ratio is None):
        yield f"{path}.minHitRatio", "hitRatioQuery and minHitRatio belong together; give both or neither"
    if spec.keys is not None and spec.job_template_ref is None:
        yield f"{path}.keys", "keys are for the Job of jobTemplateRef; name it"


def admission_from(spec: AdmissionSpec | None) -> Admission | None:
    if spec is None:
        return None
    room = spec.waiting_room
    return Admission(
        policies=tuple(LimitPolicy(TargetRef(ref.api_version, ref.kind, ref.name), kind) for kind, ref in _refs(spec)),
        per_client_rps=spec.per_client,
        connections_per_rps=spec.connections_per_request,
        requests_per_visitor_rps=None if room is None else room.requests_per_visitor,
    )


def admission_misfits(spec: AdmissionSpec | None, path: str) -> Iterator[tuple[str, str]]:
    """Field and remedy of what does not fit together."""
    if spec is None:
        return
    if (spec.connection_policy_ref is None) != (spec.connections_per_request is None):
        yield (
            f"{path}.connectionsPerRequest",
            "connectionPolicyRef and connectionsPerRequest belong together",
        )
    if spec.total_policy_ref is not None and spec.per_client is None:
        yield f"{path}.totalPolicyRef", "without perClient policyRef is the limit on all already; leave it out"
    refs = [(ref.api_version.rpartition("/")[0], ref.kind, ref.name) for _, ref in _refs(spec)]
    if len(set(refs)) < len(refs):
        yield path, "each limit needs an object of its own; two of them name the same one"


def connections_from(spec: ConnectionsSpec | None) -> Connections | None:
    return None if spec is None else Connections(spec.per_replica, spec.per_request, spec.query)


def anomaly_from(spec: AnomalySpec | None) -> Anomaly | None:
    return None if spec is None else Anomaly(spec.query, spec.threshold)


def shrink_when_from(spec: ShrinkWhenSpec | None) -> ShrinkWhen | None:
    if spec is None:
        return None
    ref = spec.object_ref
    path = tuple(int(part) if part.isdigit() else part for part in spec.path.split("/")[1:])
    return ShrinkWhen(TargetRef(ref.api_version, ref.kind, ref.name), path, spec.value)


def _refs(spec: AdmissionSpec) -> Iterator[tuple[LimitKind, ObjectRef]]:
    yield LimitKind.TOTAL if spec.per_client is None else LimitKind.PER_CLIENT, spec.policy_ref
    if spec.total_policy_ref is not None:
        yield LimitKind.TOTAL, spec.total_policy_ref
    if spec.connection_policy_ref is not None:
        yield LimitKind.CONNECTIONS, spec.connection_policy_ref
    if spec.waiting_room is not None and spec.waiting_room.config_map_ref is not None:
        name = spec.waiting_room.config_map_ref.name
        yield LimitKind.WAITING_ROOM, ObjectRef(apiVersion="v1", kind="ConfigMap", name=name)
