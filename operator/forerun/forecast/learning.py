"""What past occurrences of a type did to this shop: each one's size, read off the history."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from forerun.domain.campaign import CampaignType
from forerun.domain.forecast import EventWindow, ForecastRequest
from forerun.forecast import draws
from forerun.forecast.baseline import Baseline
from forerun.forecast.correction import corrected
from forerun.forecast.evidence import Belief
from forerun.forecast.observed import Shop, seen_in_past
from forerun.forecast.priors import PRIORS
from forerun.forecast.slots import column, make_slots
from forerun.forecast.units import Term, Unit

_OCCURRENCES = 12  # the latest of each type; older ones say little about the next
_PATHS = 64
_CHUNK = 256
_OPEN_LOG_SD = 2.0  # what was measured is read with hardly any prior
_CACHED = 16384

_Key = tuple[int, EventWindow]
_read: OrderedDict[_Key, tuple[Baseline, Belief]] = OrderedDict()

Experience = dict[CampaignType, list[Belief]]


def experience(requests: Sequence[ForecastRequest], shops: Sequence[Shop | None]) -> list[Experience]:
    """For each request the sizes `log(1 + A)` of its latest past occurrences by type; can be nil or negative."""
    wanted: list[list[tuple[_Key, EventWindow]]] = []
    unread: dict[_Key, tuple[Shop, Unit]] = {}
    for request, shop in zip(requests, shops, strict=True):
        rows: list[tuple[_Key, EventWindow]] = []
        if shop is not None and request.history is not None:
            for window in _latest(request):
                key = (id(shop.baseline), window)
                rows.append((key, window))
                if key not in _read and key not in unread:
                    unit = _unit(shop, request, window)
                    if unit:
                        unread[key] = (shop, unit)
        wanted.append(rows)
    _read_all(unread)
    return [_by_type(rows) for rows in wanted]


def _latest(request: ForecastRequest) -> list[EventWindow]:
    types = {window.type for window in request.upcoming}
    over = [window for window in request.past if window.type in types and window.occurrence.end <= request.now]
    over.sort(key=lambda window: (window.occurrence.start, window.campaign), reverse=True)
    return [w for kind in types for w in islice((w for w in over if w.type is kind), _OCCURRENCES)]


def _unit(shop: Shop, request: ForecastRequest, window: EventWindow) -> Unit | None:
    if request.history is None or window.occurrence.end <= window.occurrence.start:
        return None
    seen = seen_in_past(shop, request.history, window)
    if seen is None:
        return None
    length = (window.occurrence.end - window.occurrence.start).total_seconds() * shop.time_compression
    belief = Belief(PRIORS[window.type].log_multiplier_mean, _OPEN_LOG_SD)
    seed = draws.seed_of(f"{window.type}|past")
    term = Term(window.type, 0.0, length, belief, window.overlap, window.priority, seed)
    nothing = np.empty(0)
    return Unit(
        low=nothing,
        high=nothing,
        usual=nothing,
        floor_rps=shop.baseline.floor_rps,
        level_log_sd=shop.baseline.level_log_sd,
        residual=nothing,
        residual_log_sd=shop.baseline.residual_log_sd,
        terms=(term,),
        seen=seen,
    )


def _read_all(unread: dict[_Key, tuple[Shop, Unit]]) -> None:
    keys = list(unread)
    for first in range(0, len(keys), _CHUNK):
        chunk = keys[first : first + _CHUNK]
        units = [unread[key][1] for key in chunk]
        with torch.inference_mode():
            level = draws.level_order(_PATHS) * column([unit.level_log_sd for unit in units])
            slot = corrected(units, make_slots(units, level), level).slots[0]
            means = slot.mean.mean(dim=1).tolist()
            deviations = (slot.sd.square().mean(dim=1) + slot.mean.var(dim=1)).sqrt().tolist()
        for key, mean, sd in zip(chunk, means, deviations, strict=True):
            _read[key] = (unread[key][0].baseline, Belief(mean, max(sd, 0.05)))
    while len(_read) > _CACHED:
        _read.popitem(last=False)


def _by_type(rows: Sequence[tuple[_Key, EventWindow]]) -> Experience:
    found: Experience = {}
    for key, window in rows:
        kept = _read.get(key)
        if kept is not None:
            found.setdefault(window.type, []).append(kept[1])
    return found
