"""What is told of a campaign: its state on one screen, and the reasons behind its floors. Pure."""

from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from forerun.domain.observation import LeadTimeSource, StartPart
from forerun.domain.reason import Reason
from forerun.observe.words import sentence
from forerun.plan.lead_time import ENOUGH_STARTS

Raw = dict[str, Any]

_NOT_SEEN = "not seen by the operator yet"
_PARTS = {
    StartPart.NODE_WAIT: "node",
    StartPart.IMAGE_PULL: "image",
    StartPart.CONTAINER_START: "containers",
    StartPart.WARM_UP: "warm-up",
}
_ENTRY_STATES = {
    "kept": " (kept)",
    "drifted": " (drifted: left as somebody set it)",
    "contested": " (contested: no longer fighting)",
}


def condition(obj: Raw, kind: str) -> Raw:
    """One condition of an object, or an empty one."""
    return next((found for found in _status(obj).get("conditions") or [] if found["type"] == kind), {})


def screen(namespace: str, campaign: Raw, storefront: Raw | None = None) -> list[RenderableType]:
    """Phase, forecast, tiers and holds, each ready to be printed on a line of its own."""
    name, status = campaign["metadata"]["name"], _status(campaign)
    window = status.get("occurrence") or {}
    title = Text.assemble((f"{namespace}/{name}", "bold"), f"  {status.get('phase', _NOT_SEEN)}")
    title.append(f"  {window.get('start', '?')} to {window.get('end', '?')}")
    gate = condition(campaign, "CapacityReady")
    return [
        title,
        *_forecast(status),
        *_tiers(status, _status(storefront or {})),
        Text(f"CapacityReady: {gate.get('status', 'Unknown')} {gate.get('message', '')}"),
        *(Text(f"hold: {hold['message']}", style="yellow") for hold in status.get("holds") or []),
        *_kept(name, status),
    ]


def _forecast(status: Raw) -> list[Text]:
    forecast = status.get("forecast") or {}
    peak = forecast.get("peak")
    if not peak:
        return []
    at = forecast.get("peakAt", "?")
    return [Text(f"peak {peak['p50']}/s (p90 {peak['p90']}, p99 {peak['p99']}) about {at}")]


def _tiers(status: Raw, storefront: Raw) -> list[Table]:
    table = Table("Tier", "Floor", "Ready", "Required", "Lead time", box=None, pad_edge=False)
    measured = {tier["name"]: tier for tier in storefront.get("tiers") or []}
    for tier in status.get("tiers") or []:
        ready, lead = str(tier.get("ready", "?")), lead_time_words(measured.get(tier["name"], {}))
        table.add_row(tier["name"], str(tier["floor"]), ready, str(tier["required"]), lead)
    return [table] if table.row_count else []


def _kept(name: str, status: Raw) -> list[Text]:
    kept = ", ".join(tier["tier"] for tier in status.get("kept") or [])
    return [Text(f"kept: {kept}; `forerun release {name} --tier NAME` gives it back")] if kept else []


def reasons(campaign: Raw, plan: Raw | None, storefront: Raw, now: datetime) -> list[str]:
    """Tier by tier, why the floor stands where it stands: the lines of `forerun why`."""
    status = _status(campaign)
    phase = f"{campaign['metadata']['name']} is {status.get('phase', _NOT_SEEN)}"
    lines = [phase, *_peak(status), *_learnt(campaign, storefront)]
    if plan is None:
        told = condition(campaign, "Planned").get("message") or "the operator has not made one"
        return [*lines, f"  no plan: {told}"]
    ledger = {entry["tier"]: entry for entry in _status(plan).get("ledger") or []}
    measured = {tier["name"]: tier for tier in _status(storefront).get("tiers") or []}
    for tier in storefront["spec"]["tiers"]:
        name = tier["name"]
        lines += [
            f"  {name} ({tier['targetRef']['kind']}/{tier['targetRef']['name']}):",
            *_steps(plan, name, now),
            *_capacity(tier, measured.get(name, {})),
            _raise(ledger.get(name)),
        ]
    return [*lines, *(f"  hold: {hold['message']}" for hold in status.get("holds") or [])]


def _status(obj: Raw) -> Raw:
    return obj.get("status") or {}


def _peak(status: Raw) -> list[str]:
    forecast = status.get("forecast") or {}
    peak = forecast.get("peak")
    if not peak:
        return []
    at = forecast.get("peakAt", "?")
    return [f"  forecast: peak {peak['p50']}/s, with 99 % certainty below {peak['p99']}/s, about {at}"]


def _learnt(campaign: Raw, storefront: Raw) -> list[str]:
    """What earlier occurrences of this type did to the shop."""
    kind = campaign["spec"].get("type")
    summary = (_status(storefront).get("learnt") or {}).get("summary") or []
    found = next((row for row in summary if row["type"] == kind), None)
    if found is None:
        return []
    several = found["occurrences"] != 1
    spread = (
        f" ({found['lowest']} to {found['highest']})" if several and "lowest" in found and "highest" in found else ""
    )
    occurrences = f"{found['occurrences']} earlier occurrence{'s' if several else ''} of {kind}"
    return [f"  learnt from {occurrences}: peak x{found['multiplier']}{spread}"]


def _steps(plan: Raw, tier: str, now: datetime) -> list[str]:
    """The newest step that is due, and the next one."""
    steps = [step for step in plan["spec"].get("steps") or [] if step["tier"] == tier]
    past = [step for step in steps if datetime.fromisoformat(step["at"]) <= now]
    lines = []
    if past:
        step = past[-1]
        asked = f" for {', '.join(step['campaigns'])}" if step.get("campaigns") else ""
        lines.append(f"    floor {step['floor']} since {step['at']}{asked}: {sentence(Reason(step['reason']))}")
    if len(past) < len(steps):
        coming = steps[len(past)]
        lines.append(f"    next: floor {coming['floor']} at {coming['at']} ({coming['reason']})")
    return lines


def _capacity(tier: Raw, measured: Raw) -> list[str]:
    lines = [f"    capacity {tier.get('capacityPerReplica', '?')}/s a replica, lead time {lead_time_words(measured)}"]
    start_up = measured.get("startUp") or {}
    parts = [f"{_PARTS[part['name']]} {part['p50Seconds']} s" for part in start_up.get("parts") or []]
    if parts:
        lines.append(f"    half of the starts take up to {start_up['p50Seconds']} s: {', '.join(parts)}")
    if start_up.get("coldStarts"):
        cold = f"{start_up['coldStarts']} waited for a node or pulled an image"
        lines.append(f"    {cold}: p95 {start_up['coldP95Seconds']} s")
    room = measured.get("capacityAhead")
    if room:
        lines.append(f"    room for {room['replicas']} more made ahead ({room['provision']}), until {room['until']}")
    return lines


def lead_time_words(measured: Raw) -> str:
    """What the plan counts with for one tier of a Storefront's status, and what that rests on."""
    if "leadTimeSeconds" not in measured:
        return "as declared"
    lead, starts = f"{measured['leadTimeSeconds']} s", f"{measured.get('leadTimeSamples', '?')} starts"
    if measured.get("leadTimeSource") == LeadTimeSource.DECLARED:
        return f"{lead} as declared ({starts} measured, enough are {ENOUGH_STARTS})"
    return f"{lead} (p95 of {starts})"


def _raise(entry: Raw | None) -> str:
    if entry is None:
        return "    nothing of ours stands there"
    state = "".join(words for name, words in _ENTRY_STATES.items() if entry.get(name))
    owner = f"{entry['ownerRef']['kind']}/{entry['ownerRef']['name']}"
    baseline = entry["baseline"]["minReplicas"]
    return f"    raised on {owner} from {baseline}{state}; to be given back at the latest {entry['expires']}"
