"""Reason and numbers become one sentence, in one place."""

from forerun.domain.reason import Hold, Reason

SENTENCES: dict[Reason, str] = {
    Reason.BASELINE: "nothing is owed; the floor is its owner's",
    Reason.CAMPAIGN: "a campaign needs it",
    Reason.LIVE_DEMAND: "live demand needs more than was planned",
    Reason.RELEASING: "the campaign is over; capacity is given back in steps",
    Reason.KEPT: "the tier says release: Never; `forerun release CAMPAIGN --tier NAME` gives it back",
    Reason.EVIDENCE: "fresh samples agree that less is needed",
    Reason.SUSPENDED: "the campaign is suspended; what it holds is given back in steps",
    Reason.EXPIRED: "the raise has expired; it is given back even without metrics",
    Reason.BREAK_GLASS: "somebody had everything given back at once, with `forerun release --all`",
    Reason.MAX_REPLICAS: "maxReplicas of the tier stops the plan: wants {want:.0f}, may have {fits:.0f}",
    Reason.CAPACITY_SHORT: "the accelerator pool cannot serve all: wants {want:.0f}, fits {fits:.0f}",
    Reason.BUDGET_EXCEEDED: "the budget stops the plan: wants {want:.1f} replica-hours, may spend {fits:.1f}",
    Reason.STEP_TOO_LARGE: "the policy's largest step splits the raise",
    Reason.LATE: "it may not be Ready at the start: raised {seconds_late:.0f} s later than its lead time asks",
    Reason.DEMAND_UNKNOWN: "demand is not known: no samples, no history and nothing declared",
    Reason.METRIC_STALE: "the newest sample is too old; nothing is lowered",
    Reason.METRIC_ABSURD: "the metric's value makes no sense; nothing is lowered",
    Reason.METRICS_UNREACHABLE: "the metrics source does not answer; nothing is lowered",
    Reason.FORECAST_UNAVAILABLE: "the forecast worker is not there; the last plan holds",
    Reason.SIGNALS_DISAGREE: "a second signal contradicts the live metric; nothing is lowered",
    Reason.WAITING_FOR_DEPENDENCY: "waits until the tier that it depends on is Ready",
    Reason.CONSUMER_NOT_RELEASED: "waits until the tiers that depend on it are released",
    Reason.FREEZE_WINDOW: "a freeze window of the policy is open",
    Reason.APPROVAL_REQUIRED: "waits for `forerun approve CAMPAIGN`",
    Reason.PREVIEW: "mode: Preview; planned, not executed",
    Reason.DRIFTED: "somebody else changed the floor; it is left as they set it",
    Reason.CONTESTED: "somebody reverts our floor each time; not fighting on",
    Reason.LEDGER_REGRESSED: "the ledger is older than what stands on the target; it is mended before anything moves",
    Reason.TARGET_NOT_FOUND: "the target does not exist",
    Reason.TARGET_NOT_SCALABLE: "the target has no scale subresource and no autoscaler",
    Reason.TARGET_CLAIMED_TWICE: "another Storefront has this target already",
    Reason.TARGET_REPLACED: "the target was deleted and created anew",
    Reason.AUTOSCALER_AMBIGUOUS: "more than one autoscaler has this target",
    Reason.FORBIDDEN: "the operator may not do this here",
    Reason.CONFLICT: "the object changed while it was written; tried again",
    Reason.API_UNAVAILABLE: "the API server does not answer",
    Reason.NOT_LEADER: "another instance leads",
    Reason.STOREFRONT_NOT_FOUND: "there is no such Storefront in this namespace",
    Reason.METRICS_SOURCE_NOT_FOUND: "there is no such MetricsSource",
    Reason.INVALID: "the object is refused",
}

LONGEST = 1024  # of a message in a condition or an Event


def sentence(reason: Reason, numbers: dict[str, float] | None = None, detail: str = "") -> str:
    """One line for people: the reason's sentence with its numbers, then the detail (the remedy).

    Where a number is missing, the part of the sentence before its colon stands alone.
    """
    text = SENTENCES[reason]
    try:
        text = text.format(**(numbers or {}))
    except (KeyError, IndexError):
        text = text.split(":", maxsplit=1)[0]
    return f"{text}: {one_line(detail)}" if detail else text


def one_line(text: str) -> str:
    """Foreign words for a status or a log: one line of printable characters, not longer than a condition may be."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:LONGEST]


def hold_sentence(hold: Hold) -> str:
    """One line for a Hold, with its subject in front."""
    words = sentence(hold.reason, hold.numbers, hold.detail)
    return f"{one_line(hold.subject)}: {words}" if hold.subject else words


def rps(value: float) -> str:
    """Demand for people: three significant digits, thousands as k."""
    if value >= 10_000:
        return f"{value / 1000:.3g}k/s"
    return f"{value:.3g}/s" if value < 1000 else f"{value:.0f}/s"
