"""Limits at the door: they follow what is Ready, and nothing that is unknown makes them stricter."""

import re
from dataclasses import replace

from hypothesis import assume
from hypothesis import strategies as st
from tests.properties.plan_world import (
    NOON,
    at,
    given,
    make_campaign,
    make_entry,
    make_state,
    make_storefront,
    make_tier,
)

from forerun.actuators.limit_fields import ADAPTERS, fields_of, patch_of, patched, value_at
from forerun.domain.limits import Limit, LimitEntry
from forerun.domain.reason import Hold, Reason
from forerun.domain.storefront import Admission, LimitKind, LimitPolicy, Role, TargetRef
from forerun.plan.inputs import DueInput
from forerun.plan.limits import EDGE_SECONDS, LimitDecision, judge_limits, served_rps

NGINX = TargetRef("k8s.nginx.org/v1", "Policy", "shop-limit")
TOTAL = LimitPolicy(NGINX, LimitKind.TOTAL)
DROP = make_campaign()


def shop(kind=LimitKind.TOTAL):
    asked = Admission((LimitPolicy(NGINX, kind),), per_client_rps=20.0)
    web = make_tier("web", capacity_per_replica_rps=50.0, demand_per_request=0.5)
    door = make_tier("ingress", role=Role.INGRESS, capacity_per_replica_rps=400.0, depends_on=("web",), admission=asked)
    return make_storefront(web, door)


SHOP = shop()


def due(now, web, door, campaigns=(DROP,), raised=False):
    tiers = (make_state("web", ready=web), make_state("ingress", ready=door))
    return DueInput(at(now), SHOP, None, campaigns, tiers, ledger=(make_entry("ingress", 9),) if raised else ())


counts = st.integers(0, 500)
maybe = st.one_of(st.none(), counts)
INSIDE = 4000


def the_limit(web, door):
    (outcome,) = judge_limits(due(INSIDE, web, door), ())
    return outcome


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 100), st.integers(0, 100))
def test_more_ready_replicas_never_mean_a_lower_limit(web, door, more_web, more_door):
    before, after = the_limit(web, door), the_limit(web + more_web, door + more_door)
    assert after.limit.value >= before.limit.value


@given(counts, st.integers(1, 500))
def test_the_limit_is_what_the_scarcest_tier_serves(web, door):
    limit = the_limit(web, door).limit
    assert limit.value <= door * 400.0
    assert limit.value * 0.5 <= web * 50.0
    assert limit.pods == door


@given(maybe, maybe)
def test_unknown_changes_nothing(web, door):
    assume(web is None or not door)
    outcome = the_limit(web, door)
    assert isinstance(outcome, Hold)
    assert outcome.reason is Reason.READY_UNKNOWN


@given(st.integers(-10_000, 3599), counts, counts)
def test_nothing_is_touched_while_no_campaign_asks(now, web, door):
    assert judge_limits(due(now, web, door), ()) == ()
    assert judge_limits(due(INSIDE, web, door, campaigns=()), ()) == ()


@given(st.integers(0, 20_000), st.integers(-100, 100), maybe, maybe)
def test_no_object_is_written_twice_within_the_edge(now, since, web, door):
    entry = LimitEntry("ingress", NGINX, "uid", (), (), 2, ("drop",), 1, at(now - since))
    decisions = [d for d in judge_limits(due(now, web, door), (entry,)) if isinstance(d, LimitDecision)]
    assert abs(since) >= EDGE_SECONDS or decisions == []


@given(st.integers(8000, 20_000), maybe, maybe)
def test_what_was_changed_is_given_back_when_nobody_asks_and_not_while_the_raise_stands(now, web, door):
    entry = LimitEntry("ingress", NGINX, "uid", (), (), 2, ("drop",), 1, at(7000))
    (given_back,) = judge_limits(due(now, web, door), (entry,))
    assert given_back.limit is None
    held = judge_limits(due(now, web, door, raised=True), (entry,))
    assert [d for d in held if isinstance(d, LimitDecision) and d.limit is None] == []


@given(st.integers(0, 20_000))
def test_a_policy_that_the_storefront_no_longer_names_is_given_back(now):
    other = replace(NGINX, name="another")
    entry = LimitEntry("ingress", other, "uid", (), (), 2, ("drop",), 1, at(now - 60))
    gone = [d for d in judge_limits(due(now, 5, 5), (entry,)) if isinstance(d, LimitDecision) and d.limit is None]
    assert [d.policy.ref for d in gone] == [other]


# --- from a limit to the fields of an object

BURST = st.one_of(st.none(), st.integers(1, 1000))


def nginx(rate, unit, burst, scale, code):
    limit = {"rate": f"{rate}r/{unit}", "key": "${binary_remote_addr}", "zoneSize": "10M"}
    limit |= {"burst": burst} if burst else {}
    limit |= {"scale": scale} if scale is not None else {}
    limit |= {"rejectCode": code} if code else {}
    return NGINX, {"spec": {"rateLimit": limit}}, rate / (1 if unit == "s" else 60)


def fabric(rate, unit, burst, _scale, code):
    rule = {"rate": f"{rate}r/{unit}", "key": "$binary_remote_addr", "zoneSize": "10m"}
    rule |= ({"burst": burst} if burst else {}) | ({"rejectCode": code} if code else {})
    ref = TargetRef("gateway.nginx.org/v1alpha1", "RateLimitPolicy", "x")
    return ref, {"spec": {"rateLimit": {"local": {"rules": [rule]}}}}, rate / (1 if unit == "s" else 60)


def envoy(rate, unit, _burst, scale, _code):
    rules = [{"limit": {"requests": rate, "unit": {"s": "Second", "m": "Minute"}[unit]}}]
    spec = {"rateLimit": {"global" if scale else "local": {"rules": rules}}}
    ref = TargetRef("gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy", "x")
    return ref, {"spec": spec}, rate / (1 if unit == "s" else 60)


def traefik(rate, unit, burst, scale, _code):
    limit = {"average": rate} | ({"period": "1m"} if unit == "m" else {}) | ({"burst": burst} if burst else {})
    limit |= {"redis": {"endpoints": ["redis:6379"]}} if scale else {}
    return (
        TargetRef("traefik.io/v1alpha1", "Middleware", "x"),
        {"spec": {"rateLimit": limit}},
        rate / (1 if unit == "s" else 60),
    )


def rate_of(ref, raw):
    """Requests/s of one counter, read as the controller reads it."""
    limit = raw["spec"]["rateLimit"]
    if ref.kind in {"Policy", "RateLimitPolicy"}:
        text = limit["rate"] if ref.kind == "Policy" else limit["local"]["rules"][0]["rate"]
        count, unit = re.fullmatch(r"(\d+)r/([sm])", text).groups()
        return int(count) / {"s": 1, "m": 60}[unit]
    if ref.kind == "Middleware":
        return limit["average"] / {None: 1, "1s": 1, "60s": 60, "1m": 60}[limit.get("period")]
    rule = (limit.get("global") or limit["local"])["rules"][0]["limit"]
    return rule["requests"] / {"Second": 1, "Minute": 60}[rule["unit"]]


objects = st.builds(
    lambda make, *rest: make(*rest),
    st.sampled_from([nginx, fabric, envoy, traefik]),
    st.integers(1, 100_000),
    st.sampled_from(["s", "m"]),
    BURST,
    st.sampled_from([None, True, False]),
    st.sampled_from([None, 503, 429, 444]),
)


def counters(ref, raw, pods):
    """How many count for themselves."""
    limit = raw["spec"]["rateLimit"]
    shared = limit.get("scale") is True or "global" in limit or "redis" in limit
    return 1 if shared else pods


@given(objects, st.floats(0, 1e7), st.integers(1, 300), st.integers(1, 300), examples=400)
def test_all_pods_together_allow_the_limit_and_never_less_than_before(found, value, pods_then, pods):
    """One number to a pod: at most one of its units a pod is lost or, for the baseline's sake, given."""
    ref, raw, usual = found
    limit = Limit(LimitPolicy(ref, LimitKind.TOTAL), value, pods)
    fields = fields_of(raw, limit, None, pods_then)
    after = patched(raw, fields)
    then, now = counters(ref, raw, pods_then), counters(ref, raw, pods)
    allowed, before = rate_of(ref, after) * now, usual * then
    unit = now if rate_of(ref, after) >= 10 else now / 60
    assert allowed >= before * (1 - 1e-9)
    assert allowed <= max(value, before + unit, now / 60) * (1 + 1e-9)
    assert allowed >= value - unit - 1e-6
    assert fields_of(after, limit, tuple((path, value_at(raw, path)) for path, _ in fields), pods_then) == fields


@given(objects, st.floats(0, 1e7), st.floats(0, 1e7), st.integers(1, 300), st.integers(1, 300))
def test_the_written_rate_follows_the_limit(found, one, other, pods_then, pods):
    ref, raw, _ = found

    def written(value):
        limit = Limit(LimitPolicy(ref, LimitKind.TOTAL), value, pods)
        return rate_of(ref, patched(raw, fields_of(raw, limit, None, pods_then)))

    low, high = sorted((one, other))
    assert written(low) <= written(high)


@given(objects, st.floats(0, 1e7), st.integers(1, 300), st.integers(1, 300))
def test_only_numbers_are_written_and_given_back_to_the_byte(found, value, pods_then, pods):
    ref, raw, _ = found
    fields = fields_of(raw, Limit(LimitPolicy(ref, LimitKind.TOTAL), value, pods), None, pods_then)
    assert all(re.fullmatch(r"\d+(r/[sm]|s)?|Second|Minute", str(written)) for _, written in fields)
    baseline = tuple((path, value_at(raw, path)) for path, _ in fields)
    assert patched(patched(raw, fields), baseline) == raw
    assert merged(raw, patch_of(raw, fields)) == patched(raw, fields)
    assert merged(patched(raw, fields), patch_of(patched(raw, fields), baseline)) == raw


def merged(raw, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(raw) if isinstance(raw, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "rateLimit", "rate", "local", "rules", "limit", "average", "period", "data"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_like, st.sampled_from(sorted(ADAPTERS)), st.sampled_from(list(LimitKind)), examples=300)
def test_whatever_an_object_looks_like_there_is_an_answer(spec, kind, limit_kind):
    ref = TargetRef(f"{kind[0]}/v1" if kind[0] else "v1", kind[1], "x")
    raw = {"spec": spec, "data": spec if isinstance(spec, dict) else {}}
    found = fields_of(raw, Limit(LimitPolicy(ref, limit_kind), 100.0, 3), None, 2)
    assert isinstance(found, (tuple, Hold))


def test_the_scarcest_tier_is_the_door_s_limit():
    states = {state.tier: state for state in due(INSIDE, 3, 2).tiers}
    assert served_rps(SHOP, states) == 300.0
    assert at(0) == NOON
