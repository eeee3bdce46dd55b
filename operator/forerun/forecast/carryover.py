"""How far a deviation from the baseline carries over: an hour high, a day high, and what comes after.

Regression of later residuals on the present ones, at a few horizons, shrunk towards a prior, for many series at once.
Hours are the grain: finer than that a deviation is noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_HORIZON_DAYS = (1 / 96, 1 / 24, 1 / 6, 0.5, 1.0, 3.0, 7.0)
_FEATURES = 3
_PRIOR_SD = 0.5  # of a coefficient; judgement
_INDEPENDENT = 0.5  # hours in a row err together: so much of an origin counts
_LEAST_VARIANCE = 1e-4
_HOUR_FADES_DAYS, _DAY_FADES_DAYS = 0.25, 5.0  # of the prior coefficients; judgement
_SHIFTED = 0.8  # of a level beyond the usual swings; judgement
_LARGEST = 4.0  # robust standard deviations: beyond, a deviation is an event that nobody declared
_MOST_SHRINK = 6  # bins
_BOUNDS = (-0.3, 1.0)  # of a coefficient: no deviation grows by itself


@dataclass(frozen=True, slots=True)
class Carryover:
    """`coefficients` [horizons, 3] at `horizons` bins ahead, for (daily profile against usual, last hour, last day).

    An hour has `hour` bins, a day `bins`, and what is called the last day `day`: a week, where a bin is a day.
    `residual` is the series' own, [bins of the series]. Running sums over its hours: `sums` of it within `limit`,
    `counts` of the bins measured, both [hours + 1].
    """

    horizons: Array
    coefficients: Array
    residual: Single
    sums: Array
    counts: Array
    hour: int
    day: int
    bins: int
    limit: float

    @property
    def log_sd(self) -> float:
        """Spread of the residual, robustly."""
        return self.limit / _LARGEST

    def levels(self, origins: Indices) -> Array:
        """Deviation of the last hour and the last day before `origins` (bins since day 0, exclusive); [n, 2].

        The day counts to the last full hour.
        """
        bins = origins[:, None] - 1 - np.arange(self.hour)
        last = self.residual[bins.clip(0, self.residual.size - 1)]
        seen = np.isfinite(last) & (bins >= 0)
        hour = np.where(seen, last, np.float32(0.0)).sum(axis=1, dtype=np.float64)
        end = np.clip(origins // self.hour, 0, self.sums.size - 1)
        start = np.clip(end - self.day // self.hour, 0, None)
        count = self.counts[end] - self.counts[start]
        day = (self.sums[end] - self.sums[start]) / (count + 0.5 * min(self.day, _MOST_SHRINK))
        return np.stack([hour / (seen.sum(axis=1) + 0.5 * min(self.hour, _MOST_SHRINK)), day], axis=-1)

    def carried(self, against: Array, levels: Array, ahead: Array) -> Array:
        """Expected residual of points `ahead` bins after the origin; [points], or [n, points] for `levels` [n, 2].

        What the last hour or the last day was higher than this shop's own swings explain is a shift of the level: it is
        carried over as such, for about a day or a week. What it was lower is not: an outage must not lower a forecast.
        """
        coefficients = self.at(ahead)
        hour, day = (np.clip(levels[..., i, None], -self.limit, self.limit) for i in (0, 1))
        found = coefficients[:, 0] * against + coefficients[:, 1] * hour + coefficients[:, 2] * day
        days = np.maximum(ahead, 0.0) / self.bins
        beyond = np.maximum(levels - self.limit, 0.0)
        shift = np.maximum(beyond[..., 0, None] * np.exp(-days), beyond[..., 1, None] * np.exp(-days / 7.0))
        return np.asarray(found + _SHIFTED * shift)

    def at(self, ahead: Array) -> Array:
        """Coefficients for points `ahead` bins after the origin; [points] -> [points, 3]."""
        place = np.log(np.maximum(ahead, 0.5))
        return np.stack(
            [np.interp(place, np.log(self.horizons), self.coefficients[:, i]) for i in range(_FEATURES)], axis=-1
        )


def fit_carryover(residual: Single, against: Single) -> list[Carryover]:
    """Fit series of one shape: `residual` [series, days, bins], `against` [series, days + 7, bins]."""
    series, days, bins = residual.shape
    flat = residual.reshape(series, -1)
    present = np.isfinite(flat)
    whole = np.where(present, flat, np.float32(0.0))
    variance = _robust_variance(whole, present)
    limit = _LARGEST * np.sqrt(variance)
    whole = np.clip(whole, -limit[:, None], limit[:, None])
    hour = max(width for width in range(1, max(1, bins // 24) + 1) if bins % width == 0)
    summed, measured = _by_hour(whole, hour), _by_hour(present, hour)
    sums, counts = _running(summed), _running(measured)
    of = _Hours(
        residual=summed,
        measured=measured,
        sums=sums,
        counts=counts,
        gap=_by_hour(against[:, :days].reshape(series, -1), hour) / hour,
        hour=hour,
        day=bins if bins > 1 else 7,
        bins=bins,
    )
    horizons = np.unique(np.maximum(1, np.round(np.array(_HORIZON_DAYS) * bins)))
    found = np.stack([_fit(of, float(horizon), variance) for horizon in horizons], axis=1).clip(*_BOUNDS)
    return [
        Carryover(
            horizons, found[index], flat[index], sums[index], counts[index], hour, of.day, bins, float(limit[index])
        )
        for index in range(series)
    ]


@dataclass(frozen=True, slots=True)
class _Hours:
    """Sums over hours [series, hours] of the residual and of what was measured; means of the profiles' difference.

    `sums` and `counts` run over the first two, [series, hours + 1].
    """

    residual: Array
    measured: Array
    sums: Array
    counts: Array
    gap: Array
    hour: int
    day: int
    bins: int


def _by_hour(values: npt.NDArray[np.generic], hour: int) -> Array:
    return np.asarray(values.reshape(values.shape[0], -1, hour).sum(axis=2, dtype=np.float64))


def _running(values: Array) -> Array:
    """Running sums from 0, [series, hours + 1]."""
    return np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(values, axis=1)], axis=1)


def _robust_variance(whole: Single, present: npt.NDArray[np.bool_]) -> Array:
    """From mean absolute deviations, which one wild day moves little."""
    spread = np.abs(whole).sum(axis=1, dtype=np.float64) / np.maximum(present.sum(axis=1), 1)
    return np.asarray(np.maximum(np.pi / 2.0 * spread**2, _LEAST_VARIANCE))


def _fit(of: _Hours, horizon: float, variance: Array) -> Array:
    """Ridge regression towards the prior at one horizon, origins at every full hour; [series, 3]."""
    ahead = horizon / of.bins
    prior = np.array([0.2, 0.3 * np.exp(-ahead / _HOUR_FADES_DAYS), 0.3 * np.exp(-ahead / _DAY_FADES_DAYS)])
    precision = np.eye(_FEATURES) / _PRIOR_SD**2
    series, hours = of.residual.shape
    day, later = max(1, of.day // of.hour), int(horizon) // of.hour
    if day + later >= hours:
        return np.tile(prior, (series, 1))
    first = slice(day + later, hours)  # the hour that is foretold, from each origin
    measured = of.measured[:, first]
    target = of.residual[:, first] / np.maximum(measured, 1.0)
    origins = slice(day - 1, hours - later - 1)  # the last hour before each origin
    last = slice(day, hours - later)
    levels = [of.residual[:, origins] / (of.measured[:, origins] + 0.5 * min(of.hour, _MOST_SHRINK))]
    before = slice(0, hours - later - day)
    over = of.counts[:, last] - of.counts[:, before]
    levels.append((of.sums[:, last] - of.sums[:, before]) / (over + 0.5 * min(of.day, _MOST_SHRINK)))
    features = np.stack([of.gap[:, first], *levels], axis=-1) * (measured > 0)[:, :, None]
    weight = (_INDEPENDENT if of.bins > 1 else 1.0) / variance[:, None, None]
    turned = features.transpose(0, 2, 1)
    square = turned @ features * weight + precision
    against = (turned @ target[:, :, None])[:, :, 0] * weight[:, :, 0] + precision @ prior
    return np.asarray(np.linalg.solve(square, against[:, :, None])[:, :, 0])
