import io
from datetime import UTC, datetime

from rich.console import Console

from forerun.cli.describe import reasons, screen

NOW = datetime(2026, 11, 27, 7, 30, tzinfo=UTC)
NEW = {"metadata": {"name": "sale", "namespace": "shop"}, "spec": {"storefrontRef": {"name": "main"}}}
LIVE = {
    **NEW,
    "status": {
        "phase": "Live",
        "occurrence": {"start": "2026-11-27T07:00:00Z", "end": "2026-11-27T11:00:00Z"},
        "forecast": {"peak": {"p50": "3280", "p90": "6210", "p99": "9950"}, "peakAt": "2026-11-27T07:12:00Z"},
        "tiers": [{"name": "web", "floor": 9, "required": 9}],
        "conditions": [{"type": "CapacityReady", "status": "False", "message": "web ?/9"}],
        "holds": [{"message": "web: [3 of 4] samples agree"}],
        "kept": [{"tier": "cache", "floor": 3}],
    },
}
STOREFRONT = {
    "spec": {"tiers": [{"name": "web", "targetRef": {"kind": "Deployment", "name": "nginx"}}]},
    "status": {"tiers": [{"name": "web", "leadTimeSeconds": "31", "leadTimeSamples": 40}]},
}
PLAN = {
    "spec": {
        "steps": [
            {"tier": "web", "at": "2026-11-27T06:59:00Z", "floor": 9, "reason": "Campaign", "campaigns": ["sale"]},
            {"tier": "cache", "at": "2026-11-27T06:59:00Z", "floor": 7, "reason": "Campaign"},
            {"tier": "web", "at": "2026-11-27T11:10:00Z", "floor": 8, "reason": "Releasing"},
        ]
    },
    "status": {
        "ledger": [
            {
                "tier": "web",
                "ownerRef": {"kind": "HorizontalPodAutoscaler", "name": "nginx"},
                "baseline": {"minReplicas": 2},
                "expires": "2026-11-27T13:00:00Z",
                "drifted": True,
            }
        ]
    },
}


def printed(campaign, storefront=None):
    out = io.StringIO()
    console = Console(file=out, soft_wrap=True, highlight=False, width=80)
    for part in screen("shop", campaign, storefront):
        console.print(part)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_screen():
    assert printed(LIVE, STOREFRONT) == [
        "shop/sale  Live  2026-11-27T07:00:00Z to 2026-11-27T11:00:00Z",
        "peak 3280/s (p90 6210, p99 9950) about 2026-11-27T07:12:00Z",
        "Tier  Floor  Ready  Required  Lead time",
        "web   9      ?      9         31 s (p95 of 40 starts)",
        "CapacityReady: False web ?/9",
        "hold: web: [3 of 4] samples agree",  # brackets are text, not markup
        "kept: cache; `forerun release sale --tier NAME` gives it back",
    ]


def test_the_screen_of_a_campaign_that_nobody_has_seen():
    assert printed(NEW) == ["shop/sale  not seen by the operator yet  ? to ?", "CapacityReady: Unknown"]


def test_why():
    assert reasons(LIVE, PLAN, STOREFRONT, NOW) == [
        "sale is Live",
        "  forecast: peak 3280/s, with 99 % certainty below 9950/s, about 2026-11-27T07:12:00Z",
        "  web (Deployment/nginx):",
        "    floor 9 since 2026-11-27T06:59:00Z for sale: a campaign needs it",
        "    next: floor 8 at 2026-11-27T11:10:00Z (Releasing)",
        "    capacity ?/s a replica, lead time 31 s (p95 of 40 starts)",
        "    raised on HorizontalPodAutoscaler/nginx from 2 (drifted: left as somebody set it); to be given back at the latest 2026-11-27T13:00:00Z",
        "  hold: web: [3 of 4] samples agree",
    ]


def test_why_tells_where_the_time_of_a_start_goes():
    parts = [
        {"name": "NodeWait", "p50Seconds": 31, "p95Seconds": 95, "starts": 9},
        {"name": "ImagePull", "p50Seconds": 12, "p95Seconds": 29, "starts": 4},
        {"name": "WarmUp", "p50Seconds": 40, "p95Seconds": 44, "starts": 9},
    ]
    start_up = {"p50Seconds": 84, "p95Seconds": 171, "coldP95Seconds": 180, "coldStarts": 4, "parts": parts}
    measured = {
        "name": "web",
        "leadTimeSeconds": "300",
        "leadTimeSamples": 9,
        "leadTimeSource": "Declared",
        "startUp": start_up,
    }
    lines = reasons(LIVE, PLAN, {**STOREFRONT, "status": {"tiers": [measured]}}, NOW)
    assert lines[5:8] == [
        "    capacity ?/s a replica, lead time 300 s as declared (9 starts measured, enough are 14)",
        "    half of the starts take up to 84 s: node 31 s, image 12 s, warm-up 40 s",
        "    4 waited for a node or pulled an image: p95 180 s",
    ]


def test_why_there_is_no_plan():
    refused = {
        **NEW,
        "status": {"conditions": [{"type": "Planned", "status": "False", "message": "demand is unknown"}]},
    }
    assert reasons(refused, None, STOREFRONT, NOW)[1:] == ["  no plan: demand is unknown"]
    assert reasons(NEW, None, STOREFRONT, NOW)[1:] == ["  no plan: the operator has not made one"]


def test_a_tier_of_which_nothing_is_known():
    bare = {"spec": STOREFRONT["spec"]}
    assert reasons(NEW, {"spec": {}}, bare, NOW)[1:] == [
        "  web (Deployment/nginx):",
        "    capacity ?/s a replica, lead time as declared",
        "    nothing of ours stands there",
    ]


def test_why_says_what_was_learnt_of_the_type():
    row = {"type": "FlashSale", "occurrences": 3, "multiplier": "3.1", "lowest": "2.4", "highest": "4"}
    once = {"type": "TVSpot", "occurrences": 1, "multiplier": "0.9", "lowest": "0.9", "highest": "0.9"}
    shop = {**STOREFRONT, "status": {"learnt": {"version": 1, "summary": [row, once]}}}

    def told(kind, storefront=shop):
        campaign = {**LIVE, "spec": {**LIVE["spec"], "type": kind}}
        return [line for line in reasons(campaign, PLAN, storefront, NOW) if "learnt" in line]

    assert told("FlashSale") == ["  learnt from 3 earlier occurrences of FlashSale: peak x3.1 (2.4 to 4)"]
    assert told("TVSpot") == ["  learnt from 1 earlier occurrence of TVSpot: peak x0.9"]
    assert told("Newsletter") == told("FlashSale", STOREFRONT) == []
