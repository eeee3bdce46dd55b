"""What finished occurrences taught: which are still to be learnt from and when to ask, and what is taken in.

Level-triggered: whatever is over, lies within the history and does not stand in the Storefront's status is asked
for, also when it ended while nobody watched. What the forecast cannot read off is asked for again when the
history is read again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from forerun.api.lessons import merged
from forerun.api.windows import past_occurrences
from forerun.controllers.index import Index
from forerun.controllers.state import StorefrontState
from forerun.domain.campaign import Key, ScheduledCampaign
from forerun.domain.forecast import CURVE_POINTS, EventWindow, Identity, Lesson
from forerun.domain.observation import DemandSeries
from forerun.forecast.grid import tail_end
from forerun.settings import Settings

_log = structlog.get_logger(__name__)
UNANSWERED = timedelta(minutes=1)  # nobody could say: metrics or worker were not there
MOST_PAST = 200


class Learner:
    """Keeps `state.unlearnt` and `state.learnt`; the Reporter writes the latter into the Storefront's status."""

    def __init__(self, settings: Settings, index: Index) -> None:
        self._settings = settings
        self._index = index

    def past(self, key: Key, now: datetime) -> tuple[EventWindow, ...]:
        """Windows within the history that are over, oldest first; those of suspended campaigns were not sent."""
        since = self._since(now)
        windows = []
        for record in self._index.campaigns_of(key):
            campaign = record.value
            if campaign is None or campaign.suspend:
                continue
            windows += [
                EventWindow.of(ScheduledCampaign(campaign, occurrence))
                for occurrence in past_occurrences(campaign.schedule, since, now)
            ]
        return tuple(sorted(windows, key=lambda window: (window.occurrence, window.campaign))[-MOST_PAST:])

    def experience(self, key: Key, state: StorefrontState) -> tuple[Lesson, ...]:
        """All that is known, in the status or on its way there."""
        return merged(self._index.lessons.get(key, ()), state.learnt)

    def due(self, key: Key, state: StorefrontState, now: datetime) -> tuple[EventWindow, ...]:
        """The windows to ask for now. Keeps in mind when the others are to be asked for."""
        record = self._index.storefronts.get(key)
        if record is None or record.value is None:
            state.unlearnt = {}
            return ()
        known = self.experience(key, state)
        since = self._since(now)
        whole = [window for window in self.past(key, now) if window.occurrence.start >= since]
        moments = {window: self.readable_at(window) for window in _missing(whole, known)}
        state.unlearnt = {window: max(at, state.unlearnt.get(window, at)) for window, at in moments.items()}
        return tuple(window for window, at in state.unlearnt.items() if at <= now)

    def readable_at(self, window: EventWindow) -> datetime:
        """When the history, read then, holds the whole window with its tail."""
        step = self._settings.history_step_seconds / self._settings.time_compression
        return tail_end(window, self._settings.time_compression) + timedelta(seconds=step)

    def asked(self, state: StorefrontState, windows: Iterable[EventWindow], now: datetime) -> None:
        """They are not asked for again before the history is read again."""
        again = now + timedelta(seconds=self._settings.history_refresh_seconds)
        state.unlearnt |= dict.fromkeys(windows, again)

    def unanswered(self, state: StorefrontState, windows: Iterable[EventWindow], now: datetime) -> None:
        """Nobody could say what they taught."""
        again = now + min(UNANSWERED, timedelta(seconds=self._settings.history_refresh_seconds))
        state.unlearnt |= {window: again for window in windows if window in state.unlearnt}

    def take(self, key: Key, state: StorefrontState, learnt: Sequence[Lesson], history: DemandSeries) -> bool:
        """Keep what is new and whole: read off a history that reaches the end of the tail. Whether there was any."""
        until = history.start + timedelta(seconds=history.step_seconds * len(history.values))
        known = _identities(self.experience(key, state))
        whole = [lesson for lesson in learnt if tail_end(lesson.window, self._settings.time_compression) <= until]
        state.learnt = merged(state.learnt, whole)
        new = [lesson.window for lesson in self.experience(key, state) if lesson.window.identity not in known]
        for window in new:
            state.unlearnt.pop(window, None)
            _log.info(
                "learnt", storefront=str(key), campaign=window.campaign, start=window.occurrence.start.isoformat()
            )
        return bool(new)

    def written(self, key: Key, state: StorefrontState) -> None:
        """Forget what stands in the status by now, or has no place there."""
        stored = _identities(self._index.lessons.get(key, ()))
        known = self.experience(key, state)
        state.learnt = tuple(lesson for lesson in known if lesson.window.identity not in stored)

    def _since(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self._settings.history_seconds / self._settings.time_compression)


def _missing(past: Sequence[EventWindow], known: Sequence[Lesson]) -> list[EventWindow]:
    """Those that are not known, and that would be kept among what is."""
    identities = _identities(known)
    unknown = [window for window in past if window.identity not in identities]
    if not unknown:
        return []
    kept = _identities(merged(known, [Lesson(window, 0.0, 0.0, (None,) * CURVE_POINTS) for window in unknown]))
    return [window for window in unknown if window.identity in kept]


def _identities(lessons: Iterable[Lesson]) -> set[Identity]:
    return {lesson.window.identity for lesson in lessons}
