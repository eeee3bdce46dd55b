"""Which occurrences may ask a Storefront for capacity now."""

from collections.abc import Iterable
from datetime import datetime

from forerun.api.windows import windows_of
from forerun.controllers.index import Record
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Campaign, ScheduledCampaign


def note_occurrences(records: Iterable[Record[Campaign]], state: StorefrontState, now: datetime) -> None:
    """Into the state: the occurrences that are current or next, and those still being given back."""
    held = {name for entry in state.ledger if not entry.kept for name in entry.campaigns}
    found: dict[bool, list[ScheduledCampaign]] = {False: [], True: []}
    for record in records:
        if record.value is not None:
            found[record.value.suspend] += windows_of(record.value, now, held=record.value.key.name in held)
    state.campaigns, state.suspended = tuple(found[False]), tuple(found[True])
