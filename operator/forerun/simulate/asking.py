"""Policies asked while the clock runs: who is due, what they answer, and what ends an arm."""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.reason import Hold
from forerun.simulate.entrant import MOST_FLOOR, Entrant
from forerun.simulate.policy import Foreseeing, Policy, View

Answer = Callable[[Sequence[ForecastRequest]], list[Forecast | Hold]]

# What an arm of somebody else's may raise without ending the others. An interrupt at the keyboard goes through.
_THEIRS = (Exception, SystemExit)


class Asking:
    """Numbers are those of the entrants; only policies are asked, not schedules. `verdicts`: who is asked no more."""

    def __init__(self, entrants: Sequence[Entrant], answer: Answer) -> None:
        self._ticks = [entrant.scenario.ticks for entrant in entrants]
        self._answer = answer
        self._policies: dict[int, Policy] = {}
        self._foreseeing: dict[int, Foreseeing] = {}
        for number, entrant in enumerate(entrants):
            policy = entrant.floors
            if isinstance(policy, Mapping):
                continue
            self._policies[number] = policy
            if isinstance(policy, Foreseeing):
                self._foreseeing[number] = policy
        self._due: dict[int, list[int]] = {0: list(self._policies)}
        self.verdicts: dict[int, str] = {}

    def due(self, tick: int) -> list[int]:
        """Whose turn it is."""
        numbers = self._due.pop(tick, ())
        return [number for number in numbers if number not in self.verdicts and tick < self._ticks[number]]

    def floors(self, views: Mapping[int, View]) -> dict[int, dict[str, int]]:
        """What each of those that are due wants: first all forecasts in one call, then the floors by tier."""
        self._foresee(views)
        found = {}
        for number, view in views.items():
            if number in self.verdicts:
                continue
            policy = self._policies[number]
            try:
                found[number] = _checked(policy.floors(view), view)
                again = view.tick + _wait_ticks(policy, view.tick_seconds)
            except _THEIRS as error:
                found.pop(number, None)
                self._end(number, error)
            else:
                self._due.setdefault(again, []).append(number)
        return found

    def _foresee(self, views: Mapping[int, View]) -> None:
        """Entrants that ask the same at one moment share the answer."""
        waiting: dict[tuple[object, ...], list[int]] = {}
        requests: dict[tuple[object, ...], ForecastRequest] = {}
        for number, view in views.items():
            if number not in self._foreseeing:
                continue
            try:
                request = self._foreseeing[number].ask(view)
                if request is not None:
                    key = _key(request)
                    requests.setdefault(key, request)
                    waiting.setdefault(key, []).append(number)
            except _THEIRS as error:
                self._end(number, error)
        if not requests:
            return
        for key, found in zip(requests, self._answer(list(requests.values())), strict=True):
            for number in waiting[key]:
                try:
                    self._foreseeing[number].take(found)
                except _THEIRS as error:
                    self._end(number, error)

    def _end(self, number: int, error: BaseException) -> None:
        self.verdicts[number] = str(error) if isinstance(error, _NoFloorError) else _raised(error)


class _NoFloorError(Exception):
    """What a policy gave is no floor; the message is the verdict."""


def _raised(error: BaseException) -> str:
    return f"raised {type(error).__name__}: {error}"


def _key(request: ForecastRequest) -> tuple[object, ...]:
    """What two requests share if their answer is the same. What is long is compared by identity: the first request of
    each key is kept while keys are compared, so that none of these identities is given away.
    """
    recent = request.recent
    return (
        request.storefront,
        request.now,
        request.upcoming,
        id(request.history),
        id(request.past) if request.past else 0,
        id(request.experience) if request.experience else 0,
        None if recent is None else (recent.start, recent.step_seconds, array("d", recent.values).tobytes()),
    )


def _checked(given: Mapping[str, float], view: View) -> dict[str, int]:
    """All or nothing: one floor that is none, and none is taken."""
    names = [tier.name for tier in view.tiers]
    floors = {}
    for name, floor in dict(given).items():
        if name not in names:
            raise _NoFloorError(f"gave a floor for {name!r}, which is no tier")
        real = isinstance(floor, int | float | np.integer | np.floating)
        if not (real and 0 <= floor <= MOST_FLOOR):
            raise _NoFloorError(f"gave {floor!r} as the floor of {name}, at {view.now:%Y-%m-%dT%H:%M:%SZ}")
        floors[name] = math.ceil(floor)
    return floors


def _wait_ticks(policy: Policy, tick_seconds: float) -> int:
    """At least one; policies may change it."""
    every = float(policy.every_seconds)
    if not every > 0.0:
        raise _NoFloorError(f"is to be asked every {every} s")
    return max(1, round(min(every / tick_seconds, 1e9)))
