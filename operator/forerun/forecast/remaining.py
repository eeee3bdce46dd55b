"""What may still come once an event has arrived: a ceiling read off its own course. Pure, no torch.

The kernels say how an event of its type usually goes; they know nothing of a second, larger onset, and neither does
this shop. So from the onset on, the rest is bounded by where demand stands and by how it rose lately.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from forerun.domain.campaign import CampaignType
from forerun.forecast.baseline import Array
from forerun.forecast.units import Course, Seen, Term

LATE_PEAKS = frozenset({CampaignType.CUSTOM, CampaignType.SEASONAL_SALE})  # a dip is not yet the way down

_ARRIVED = 1.3  # times the usual: the event is there ...
_ARRIVED_NOISE = 3.0  # ... or so many standard deviations above it, where demand is noisier than that
_LEAST_BINS = 4  # since the onset, before anything is learnt from it
_PRIOR_BINS = 3.0  # so much does the history's noise weigh against that of the bins
_LEAST_NOISE = 0.03  # log-sd
_PRESENT_SHARE = 6  # the present is the median of a sixth of what was seen since the onset: no outage halves it
_DIP, _FALL = 0.9, 0.6  # of the peak: above the one it may come back whole, below the other it is on its way down


def noise(demand: Array, floor_rps: float, usual_log_sd: float) -> float:
    """Log-sd of one bin around a smooth course, from second differences; the history's where bins are few."""
    logs = np.log(demand + floor_rps + 1e-9)
    bends = np.abs(np.diff(logs, n=2))
    if not bends.size:
        return usual_log_sd
    # the median of |second difference| of white noise is 0.6745 * sqrt(6) of its sd
    own = float(np.median(bends)) / (0.6745 * 6.0**0.5)
    variance = (bends.size * own**2 + _PRIOR_BINS * usual_log_sd**2) / (bends.size + _PRIOR_BINS)
    return float(np.clip(variance**0.5, min(_LEAST_NOISE, usual_log_sd), usual_log_sd))


def despiked(demand: Array) -> Array:
    """Running medians of three: a single outlier is no peak."""
    if demand.size < 3:
        return demand
    wide = np.concatenate([demand[1:2], demand, demand[-2:-1]])
    return np.asarray(np.median(np.stack([wide[:-2], wide[1:-1], wide[2:]]), axis=0))


def followed(seen: Seen, terms: Sequence[Term], floor_rps: float, usual_log_sd: float) -> Seen:
    """`seen` with what it says of its own noise and, once an event has arrived, of its course."""
    log_sd = noise(seen.demand, floor_rps, usual_log_sd)
    return replace(seen, noise_log_sd=log_sd, course=_course(seen, terms, floor_rps, log_sd))


def _course(seen: Seen, terms: Sequence[Term], floor_rps: float, log_sd: float) -> Course | None:
    begun = [term for term in terms if term.start <= seen.now]
    if any(term.is_known for term in begun):
        return None  # earlier occurrences say what comes; they may well come back after a dip
    since = _since_onset(seen, begun, floor_rps, log_sd)
    if since is None:
        return None
    times, demand = since
    return Course(
        anchor_rps=_anchor(demand, begun),
        slope=_slope(times, demand),
        usual_rps=float(seen.usual[-1]) + floor_rps,
        until=max(term.start + term.window for term in begun),
        window=max(term.window for term in begun),
    )


def _since_onset(seen: Seen, begun: Sequence[Term], floor_rps: float, log_sd: float) -> tuple[Array, Array] | None:
    """Times and smooth demand (requests/s) from the onset on; None before it, and where it was only just."""
    latest = max((term.start for term in begun), default=np.inf)
    smooth = despiked(seen.demand)
    arrived = np.log((smooth + floor_rps) / (seen.usual + floor_rps)) > max(np.log(_ARRIVED), _ARRIVED_NOISE * log_sd)
    arrived &= seen.times >= latest  # a campaign that began last has to have arrived as well
    lasting = np.flatnonzero(arrived[:-1] & arrived[1:])
    if not lasting.size:
        return None
    times, demand = seen.times[lasting[0] :], smooth[lasting[0] :]
    return (times, demand) if demand.size >= _LEAST_BINS else None


def _anchor(demand: Array, begun: Sequence[Term]) -> float:
    """Where demand (requests/s) stands; after a dip that may be made up for, nearer to its peak."""
    peak = float(demand.max())
    present = float(np.median(demand[-max(3, demand.size // _PRESENT_SHARE) :]))
    back = (present / peak - _FALL) / (_DIP - _FALL) if any(term.type in LATE_PEAKS for term in begun) else 0.0
    return present + (peak - present) * float(np.clip(back, 0.0, 1.0))


def _slope(times: Array, demand: Array) -> float:
    """Requests/s per second over the last two thirds since the onset, not below 0."""
    last, before = (times >= edge for edge in times[0] + (times[-1] - times[0]) * np.array([2.0, 1.0]) / 3.0)
    before &= ~last
    if not before.any():
        return float(max(0.0, demand[-1] - demand[0]) / max(times[-1] - times[0], 1e-9))
    rise = float(np.median(demand[last]) - np.median(demand[before]))
    apart = float(np.median(times[last]) - np.median(times[before]))
    return max(0.0, rise) / max(apart, 1e-9)
