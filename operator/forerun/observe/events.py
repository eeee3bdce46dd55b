"""Kubernetes Events: one for each turn of the story, with a stable reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

REPORTING_CONTROLLER = "forerun.dev/operator"


@dataclass(frozen=True, slots=True)
class Event:
    """One Event to post about `regarding` (a raw object: apiVersion, kind, metadata)."""

    reason: str
    note: str
    action: str = "Reconcile"
    warning: bool = False


def transitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """What became new between two statuses of a Campaign, told as Events."""
    old, new = _by_type(before), _by_type(after)
    turned = [
        kind
        for kind in ("Accepted", "Planned", "Degraded", "Contested", "StockUnknown")
        if kind in new and _turned(old, new, kind)
    ]
    events = [event for kind in turned if (event := _news(kind, new[kind]))]
    phase = after.get("phase")
    if phase != before.get("phase") and phase not in {None, "Scheduled", "Rejected"}:
        events.append(Event(str(phase), _phase_note(after), action="Phase"))
    return events


def _news(kind: str, condition: Mapping[str, Any]) -> Event | None:
    """The Event of one condition that has turned; None where nobody needs to hear of it."""
    true = condition["status"] == "True"
    if kind in {"Accepted", "Planned"}:
        # accepted is told by Planned, which follows; a campaign that is over has no plan, and that is no news
        quiet = condition["reason"] in {"Accepted", "Completed", "Suspended", "Pending"}
        return None if quiet else _event(kind if true else f"Not{kind}", condition, warning=not true)
    return _event(condition["reason"] if true else f"{kind}Over", condition, warning=true)


def event_body(event: Event, regarding: Mapping[str, Any], instance: str, now: datetime) -> dict[str, Any]:
    """An events.k8s.io/v1 Event in the namespace of what it regards."""
    metadata = regarding["metadata"]
    namespace = metadata.get("namespace") or "default"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{int(now.timestamp() * 1e6):x}", "namespace": namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": REPORTING_CONTROLLER,
        "reportingInstance": instance[:128],
        "action": event.action,
        "reason": event.reason,
        "type": "Warning" if event.warning else "Normal",
        "note": event.note[:1024],
        "regarding": {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "namespace": metadata.get("namespace"),
            "name": metadata["name"],
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
        },
    }


def _by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {condition["type"]: condition for condition in status.get("conditions") or []}


def _turned(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]], kind: str) -> bool:
    before = old.get(kind)
    after = new[kind]
    if before is None:
        return after["status"] == "True" or kind in {"Accepted", "Planned"}
    return (before["status"], before["reason"]) != (after["status"], after["reason"])


def _event(reason: str, condition: Mapping[str, Any], *, warning: bool) -> Event:
    return Event(reason, condition.get("message") or condition["reason"], warning=warning)


def _phase_note(status: Mapping[str, Any]) -> str:
    tiers = ", ".join(
        f"{tier['name']} floor {tier['floor']}, {tier.get('ready', '?')}/{tier['required']} Ready"
        for tier in status.get("tiers") or []
    )
    return f"{status['phase']}: {tiers}" if tiers else str(status["phase"])
