"""From a limit to the fields of the object that carries it: one small pure function for each controller.

Only numbers are written, each into a field that its owner has filled: Forerun moves a limit, it invents none. Counted
by each pod for itself, it is divided by the pods; the controllers that count for all of them get it whole.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forerun.domain.limits import FieldPath, Fields, FieldValue, Limit
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import LimitKind

TOO_MANY_REQUESTS = 429
_MINUTE = 60
_FINE = 10  # below so many a second a whole number is too coarse: then by the minute
_MOST = 2**31 - 1
_UNIT_SECONDS = {"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400, "Month": 2592000, "Year": 31536000}
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

Raw = Mapping[str, Any]
Adapter = Callable[[Raw, Raw, Limit, int], "dict[FieldPath, FieldValue] | Hold"]


def fields_of(raw: Raw, limit: Limit, baseline: Fields | None, pods: int) -> Fields | Hold:
    """What is to stand on the object. `baseline` is what it had, counted by `pods` pods; None: it has it still.

    In effect never stricter than the baseline: all pods together allow at least what all pods allowed then. A Hold
    (`AdmissionUnsupported`) where the kind is not known, or the object does not have the field that is asked for.
    """
    adapter = ADAPTERS.get((_group(limit.policy.ref.api_version), limit.policy.ref.kind))
    if adapter is None:
        return _unsupported(limit, "no adapter for this kind")
    before = raw if baseline is None else patched(raw, baseline)
    found = adapter(raw, before, limit, pods)
    return found if isinstance(found, Hold) else tuple(found.items())


def value_at(raw: Any, path: FieldPath) -> FieldValue:
    """What stands at a path; None where nothing does, or something that is no number or text."""
    for part in path:
        if isinstance(part, int):
            if not isinstance(raw, list) or part >= len(raw):
                return None
            raw = raw[part]
        else:
            raw = raw.get(part) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, (str, int)) and not isinstance(raw, bool) else None


def patched(raw: Raw, fields: Fields) -> dict[str, Any]:
    """A copy of the object with these fields; None takes a field away."""
    return {**raw, **_merged(raw, fields)}


def patch_of(raw: Raw, fields: Fields) -> dict[str, Any]:
    """The merge patch that makes these fields stand. A list is replaced whole: its writer guards by resourceVersion."""
    patch: dict[str, Any] = {}
    after = patched(raw, fields)
    for path, value in fields:
        into, source = patch, after
        for position, part in enumerate(path):
            last = position == len(path) - 1
            if last:
                into[str(part)] = value
            elif isinstance(path[position + 1], int):
                into[str(part)] = source[str(part)]
                break
            else:
                into, source = into.setdefault(str(part), {}), source.get(str(part), {})
    return patch


def _merged(raw: Any, fields: Fields) -> Any:
    """The node with fields set in it, everything on the way copied."""
    node: Any = list(raw) if isinstance(raw, list) else dict(raw or {})
    below: dict[str | int, list[tuple[FieldPath, FieldValue]]] = {}
    for path, value in fields:
        if len(path) > 1:
            below.setdefault(path[0], []).append((path[1:], value))
        elif value is None and isinstance(node, dict):
            node.pop(str(path[0]), None)
        else:
            node[path[0]] = value
    for part, inner in below.items():
        child = node[part] if isinstance(part, int) else node.get(part)
        node[part] = _merged(child, tuple(inner))
    return node


def _nginx_policy(raw: Raw, before: Raw, limit: Limit, pods: int) -> dict[FieldPath, FieldValue] | Hold:
    """F5 NGINX Ingress Controller: with `scale: true` it divides by its pods itself."""
    at = ("spec", "rateLimit")
    shared = _mapping(raw, at).get("scale") is True
    return _nginx(before, limit, 1 if shared else pods, 1 if shared else limit.pods, at)


def _nginx_fabric(raw: Raw, before: Raw, limit: Limit, pods: int) -> dict[FieldPath, FieldValue] | Hold:
    """NGINX Gateway Fabric: local rules, counted by each pod; of several rules none is known to be meant."""
    rules = ("spec", "rateLimit", "local", "rules")
    if not _one_rule(raw, rules):
        return _unsupported(limit, "spec.rateLimit.local.rules must hold one rule")
    return _nginx(before, limit, pods, limit.pods, (*rules, 0))


def _nginx(before: Raw, limit: Limit, pods_then: int, pods: int, at: FieldPath) -> dict[FieldPath, FieldValue] | Hold:
    """`rate` and `burst`; and where the answer would be 503, "too many requests": the shop is not out of order."""
    found = re.fullmatch(r"([0-9]{1,9})r/([sm])", str(value_at(before, (*at, "rate"))))
    if not limit.is_rate or found is None or int(found[1]) == 0:
        return _unsupported(limit, "the object has no rate such as 20r/s")
    usual = int(found[1]) / (1 if found[2] == "s" else _MINUTE)
    count, seconds = _whole(limit.value / pods, usual * pods_then / pods)
    fields: dict[FieldPath, FieldValue] = {(*at, "rate"): f"{count}r/{'s' if seconds == 1 else 'm'}"}
    _add_burst(fields, before, (*at, "burst"), count / seconds, usual)
    if value_at(before, (*at, "rejectCode")) in {None, 503}:
        fields[(*at, "rejectCode")] = TOO_MANY_REQUESTS
    return fields


def _envoy(raw: Raw, before: Raw, limit: Limit, pods: int) -> dict[FieldPath, FieldValue] | Hold:
    """Envoy Gateway: local rules are counted by each Envoy, global ones by the rate limit service for all."""
    if limit.policy.kind is LimitKind.CONNECTIONS:
        return _count(before, limit, pods, ("spec", "circuitBreaker", "maxConnections"))
    scopes = [scope for scope in ("local", "global") if _mapping(raw, ("spec", "rateLimit", scope))]
    rules: FieldPath = ("spec", "rateLimit", *scopes, "rules")
    if not limit.is_rate or len(scopes) != 1 or not _one_rule(raw, rules):
        return _unsupported(limit, "spec.rateLimit must have local or global, with one rule")
    at = (*rules, 0, "limit")
    usual, unit = value_at(before, (*at, "requests")), str(value_at(before, (*at, "unit")))
    if not isinstance(usual, int) or usual < 1 or unit not in _UNIT_SECONDS:
        return _unsupported(limit, "its rule has no limit of requests for each unit")
    then, now = (1, 1) if scopes == ["global"] else (pods, limit.pods)
    count, seconds = _whole(limit.value / now, usual / _UNIT_SECONDS[unit] * then / now)
    return {(*at, "requests"): count, (*at, "unit"): "Second" if seconds == 1 else "Minute"}


def _traefik(raw: Raw, before: Raw, limit: Limit, pods: int) -> dict[FieldPath, FieldValue] | Hold:
    """Traefik: counted by each instance, or in Redis for all of them."""
    if limit.policy.kind is LimitKind.CONNECTIONS:
        return _count(before, limit, pods, ("spec", "inFlightReq", "amount"))
    at = ("spec", "rateLimit")
    average, period = value_at(before, (*at, "average")), _seconds(value_at(before, (*at, "period")))
    if not limit.is_rate or not isinstance(average, int) or average < 1 or period is None:
        return _unsupported(limit, "spec.rateLimit.average must be there and above 0 (0 is no limit)")
    shared = bool(_mapping(raw, (*at, "redis")))
    then, now = (1, 1) if shared else (pods, limit.pods)
    count, seconds = _whole(limit.value / now, average / period * then / now)
    fields: dict[FieldPath, FieldValue] = {(*at, "average"): count}
    if seconds != period:
        fields[(*at, "period")] = f"{seconds}s"
    _add_burst(fields, before, (*at, "burst"), count / seconds, average / period)
    return fields


def _config_map(_raw: Raw, before: Raw, limit: Limit, _pods: int) -> dict[FieldPath, FieldValue] | Hold:
    """A ConfigMap that a waiting room reads; a number in it is the owner's least."""
    at = ("data", "activeVisitors")
    written = value_at(before, at)
    least = int(written) if isinstance(written, str) and re.fullmatch("[0-9]{1,10}", written) else 0
    return {at: str(max(least, min(_MOST, math.floor(limit.value))))}


def _count(before: Raw, limit: Limit, pods: int, path: FieldPath) -> dict[FieldPath, FieldValue] | Hold:
    usual = value_at(before, path)
    if not isinstance(usual, int):
        return _unsupported(limit, f"{'.'.join(map(str, path))} is not there")
    least = math.ceil(usual * pods / limit.pods)
    return {path: min(_MOST, max(1, least, math.floor(limit.value / limit.pods)))}


def _whole(rate_rps: float, least_rps: float) -> tuple[int, int]:
    """A whole number and the seconds that it is for, 1 or 60: not above the rate, and not below the least."""
    seconds = 1 if max(rate_rps, least_rps) >= _FINE else _MINUTE
    count = max(math.floor(rate_rps * seconds + 1e-9), math.ceil(least_rps * seconds - 1e-9), 1)
    return min(count, _MOST), seconds


def _add_burst(
    fields: dict[FieldPath, FieldValue], before: Raw, path: FieldPath, rate_rps: float, usual_rps: float
) -> None:
    """A burst stays as many seconds' worth as it was, where there is one."""
    burst = value_at(before, path)
    if isinstance(burst, int) and burst > 0 and usual_rps > 0:
        fields[path] = min(_MOST, max(1, math.ceil(burst * rate_rps / usual_rps)))


def _seconds(period: FieldValue) -> float | None:
    """Traefik's period: absent is a second, a number is seconds, a text a Go duration of one unit."""
    if period is None:
        return 1.0
    found = re.fullmatch(r"([0-9]{1,9})(ns|us|ms|s|m|h)?", str(period))
    seconds = int(found[1]) * _GO_UNITS[found[2] or "s"] if found else 0.0
    return seconds or None


def _mapping(raw: Any, path: FieldPath) -> Raw:
    for part in path:
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, Mapping) else {}


def _one_rule(raw: Raw, path: FieldPath) -> bool:
    rules = _mapping(raw, path[:-1]).get(str(path[-1]))
    return isinstance(rules, Sequence) and len(rules) == 1


def _unsupported(limit: Limit, detail: str) -> Hold:
    return Hold(Reason.ADMISSION_UNSUPPORTED, detail=f"{limit.policy.ref}: {detail}")


def _group(api_version: str) -> str:
    group, slash, _ = api_version.partition("/")
    return group if slash else ""


ADAPTERS: Mapping[tuple[str, str], Adapter] = {
    ("k8s.nginx.org", "Policy"): _nginx_policy,
    ("gateway.nginx.org", "RateLimitPolicy"): _nginx_fabric,
    ("gateway.envoyproxy.io", "BackendTrafficPolicy"): _envoy,
    ("traefik.io", "Middleware"): _traefik,
    ("", "ConfigMap"): _config_map,
}
