"""CapacityPolicy and MetricsSource objects as words of the domain."""

from collections.abc import Mapping
from typing import Any

from forerun.api.models_campaign import Schedule as WrittenSchedule
from forerun.api.models_policy import CapacityPolicy, FreezeWindow, LabelSelector, PoolSpec, SelectorOperator
from forerun.api.models_policy import MetricsSource as MetricsSourceObject
from forerun.api.refusals import checked
from forerun.api.schedules import schedule_from
from forerun.api.windows import occurrence_at
from forerun.domain.campaign import Occurrence
from forerun.domain.policy import MetricsSource, Policy, Pool
from forerun.domain.reason import Refusal


def policy_from(obj: Mapping[str, Any]) -> Policy | Refusal:
    """A CapacityPolicy object as the policy that it states; which namespaces it is for says `policy_selects`."""
    found = checked(CapacityPolicy, obj)
    if isinstance(found, Refusal):
        return found
    spec, name = found.spec, found.metadata.name
    frozen: list[Occurrence] = []
    for index, window in enumerate(spec.freeze_windows or ()):
        occurrence = _freeze(window, f"CapacityPolicy {name}", f"spec.freezeWindows[{index}]")
        if isinstance(occurrence, Refusal):
            return occurrence
        frozen.append(occurrence)
    usual = Policy()
    return Policy(
        name=name,
        pools=tuple(_pool(pool) for pool in spec.pools or ()),
        freeze_windows=tuple(sorted(frozen)),
        max_step_up_percent=spec.max_step_up_percent,
        max_step_down_percent_per_minute=spec.max_step_down_percent_per_minute
        or usual.max_step_down_percent_per_minute,
        require_approval_above_replicas=spec.require_approval_above,
        service_level=spec.service_level or usual.service_level,
        replica_hours=spec.budgets.replica_hours if spec.budgets else None,
    )


def _pool(spec: PoolSpec) -> Pool:
    labels = tuple(sorted((spec.node_selector or {}).items()))
    return Pool(spec.name, spec.resource, spec.capacity, labels, spec.device_driver)


def _freeze(window: FreezeWindow, obj: str, path: str) -> Occurrence | Refusal:
    written = WrittenSchedule.model_construct(
        time_zone=window.time_zone, start=window.start, end=window.end, duration=None, recurrence=None, exclude=None
    )
    schedule = schedule_from(written, obj, path)
    return schedule if isinstance(schedule, Refusal) else occurrence_at(schedule, schedule.start_local)


def policy_selects(obj: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether the policy object holds for a namespace with these labels; False where it is refused."""
    found = checked(CapacityPolicy, obj)
    if isinstance(found, Refusal):
        return False
    selector = found.spec.namespace_selector or LabelSelector()
    chosen = (selector.match_labels or {}).items() <= labels.items()
    return chosen and all(_meets(wanted, labels) for wanted in selector.match_expressions or ())


def _meets(wanted: SelectorOperator, labels: Mapping[str, str]) -> bool:
    value = labels.get(wanted.key)
    match wanted.operator:
        case "In":
            return value in (wanted.values or ())
        case "NotIn":
            return value not in (wanted.values or ())
        case "Exists":
            return value is not None
    return value is None


def metrics_source_from(obj: Mapping[str, Any], token: str | None) -> MetricsSource | Refusal:
    """A MetricsSource object, with the bearer token that its secret holds (see `auth_secret_of`)."""
    found = checked(MetricsSourceObject, obj)
    if isinstance(found, Refusal):
        return found
    spec = found.spec
    token = token.strip() if token is not None else None
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        remedy = "must name a secret key that holds one line of visible ASCII characters"
        return Refusal(f"MetricsSource {found.metadata.name}", "spec.authSecretRef", remedy)
    return MetricsSource(
        name=found.metadata.name,
        url=spec.url.rstrip("/"),
        timeout_seconds=spec.timeout or MetricsSource("", "").timeout_seconds,
        bearer_token=token,
        enforced_matchers=tuple(sorted((spec.enforced_matchers or {}).items())),
    )


def auth_secret_of(obj: Mapping[str, Any]) -> tuple[str | None, str, str] | None:
    """Namespace (None: the operator's own), name and key of the secret with the token; None where none is asked."""
    found = checked(MetricsSourceObject, obj)
    if isinstance(found, Refusal) or found.spec.auth_secret_ref is None:
        return None
    secret = found.spec.auth_secret_ref
    return secret.namespace, secret.name, secret.key
