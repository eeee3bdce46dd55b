"""One line for each raise that was to be given back."""

from forerun.domain.ledger import ABSENT, Bounds
from forerun.domain.target import GivenBack
from forerun.observe.words import sentence


def line(one: GivenBack, *, dry_run: bool = False) -> str:
    """Namespace and object, then what became of it; a Hold is told with its reason and what stood there before us."""
    where = f"{one.namespace} {one.reference}"
    if one.hold is not None:
        words = sentence(one.hold.reason, one.hold.numbers, one.hold.detail)
        stood = f"; before us: {_shown(one, one.baseline)}" if one.baseline != Bounds(None, None) else ""
        return f"{where}: {one.hold.reason}: {words}{stood}"
    if dry_run:
        return f"{where}: would be given back: {_change(one, one.before, one.baseline)}"
    if one.after == one.baseline:
        return f"{where}: given back: {_change(one, one.before, one.after)}"
    if one.after == one.before:
        return f"{where}: stands at {_shown(one, one.after)}; its next step down is not due yet"
    return f"{where}: lowered: {_change(one, one.before, one.after)}, in the end {_shown(one, one.baseline)}"


def _change(one: GivenBack, before: Bounds | None, after: Bounds | None) -> str:
    return f"{_shown(one, before)} -> {_shown(one, after)}"


def _shown(one: GivenBack, bounds: Bounds | None) -> str:
    """`2..10` for an autoscaler, `2` for a target that has none."""
    if bounds is None:
        return "unknown"
    minimum = ABSENT if bounds.minimum is None else str(bounds.minimum)
    if bounds.maximum is None and one.reference.kind not in {"HorizontalPodAutoscaler", "ScaledObject"}:
        return minimum
    return f"{minimum}..{ABSENT if bounds.maximum is None else bounds.maximum}"
