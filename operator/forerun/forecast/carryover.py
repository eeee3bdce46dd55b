"""How far a deviation from the baseline carries over: an hour high, a day high, and what comes after.

Regression of later residuals on the present ones, at a few horizons, shrunk towards a prior, for many series at once.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_HORIZON_DAYS = (1 / 96, 1 / 24, 1 / 6, 0.5, 1.0, 3.0, 7.0)
_FEATURES = 3
_PRIOR_SD = 0.3  # of a coefficient; judgement
_INDEPENDENT = 0.25  # hours in a row err together: so much of an origin counts
_LEAST_VARIANCE = 1e-4
_HOUR_FADES_DAYS, _DAY_FADES_DAYS = 0.25, 5.0  # of the prior coefficients; judgement
_SHIFTED = 0.8  # of a level beyond the usual swings; judgement
_LARGEST = 4.0  # robust standard deviations: beyond, a deviation is an event that nobody declared


@dataclass(frozen=True, slots=True)
class Carryover:
    """`coefficients` [horizons, 3] at `horizons` bins ahead, for (daily profile against usual, last hour, last day).

    Running sums over the bins of the series, [bins + 1], for means over any stretch: `raw_sums` of the residual,
    `sums` of the residual within `limit`, `counts` of what was measured.
    """

    horizons: Array
    coefficients: Array
    sums: Array
    raw_sums: Array
    counts: Array
    hour: int
    day: int
    limit: float

    @property
    def log_sd(self) -> float:
        """Spread of the residual, robustly."""
        return self.limit / _LARGEST

    def features(self, origins: Indices, against: Array) -> Array:
        """Features at `origins` (bins since day 0, exclusive) for points where the daily profile differs by `against`.

        Shapes [n], [n, points] -> [n, points, 3].
        """
        found = np.empty((*against.shape, _FEATURES))
        found[..., 0] = against
        for column, width in ((1, self.hour), (2, self.day)):
            found[..., column] = _level(self.sums, self.counts, origins, width)[:, None]
        return found

    def carried(self, against: Array, levels: tuple[float, float], ahead: Array) -> Array:
        """Expected residual of points `ahead` bins after the origin; [points].

        What the last hour was higher than this shop's own swings explain is a shift of the level: it is carried over
        as such, for about a day. What it was lower is not: an outage must not lower a forecast.
        """
        hour, day = (min(max(level, -self.limit), self.limit) for level in levels)
        coefficients = self.at(ahead)
        found = coefficients[:, 0] * against + coefficients[:, 1] * hour + coefficients[:, 2] * day
        days = np.maximum(ahead, 0.0) / (self.day if self.hour < self.day else 1.0)
        return np.asarray(found + max(0.0, levels[0] - self.limit) * _SHIFTED * np.exp(-days))

    def at(self, ahead: Array) -> Array:
        """Coefficients for points `ahead` bins after the origin; [points] -> [points, 3]."""
        place = np.log(np.maximum(ahead, 0.5))
        return np.stack(
            [np.interp(place, np.log(self.horizons), self.coefficients[:, i]) for i in range(_FEATURES)], axis=-1
        )


def _level(sums: Array, counts: Array, origins: Indices, width: int) -> Array:
    """Mean of the last `width` bins before each origin, shrunk to 0 where few were measured; [..., n]."""
    end = np.clip(origins, 0, sums.shape[-1] - 1)
    start = np.clip(origins - width, 0, sums.shape[-1] - 1)
    count = counts[..., end] - counts[..., start]
    return np.asarray((sums[..., end] - sums[..., start]) / (count + 0.5 * min(width, 6)))


def fit_carryover(residual: Single, against: Single) -> list[Carryover]:
    """Fit series of one shape: `residual` [series, days, bins], `against` [series, days + 7, bins]."""
    series, days, bins = residual.shape
    flat = residual.reshape(series, -1)
    present = np.isfinite(flat)
    size = flat.shape[1]
    variance = _robust_variance(flat, present)
    limit = _LARGEST * np.sqrt(variance)
    filled = np.clip(np.where(present, flat, 0.0), -limit[:, None], limit[:, None])
    sums, raw_sums, counts = (np.zeros((series, size + 1)) for _ in range(3))
    np.cumsum(filled, axis=1, out=sums[:, 1:])
    np.cumsum(np.where(present, flat, 0.0), axis=1, out=raw_sums[:, 1:])
    np.cumsum(present, axis=1, out=counts[:, 1:])
    hour, day = max(1, bins // 24), bins if bins > 1 else 7
    horizons = np.unique(np.maximum(1, np.round(np.array(_HORIZON_DAYS) * bins)))
    gaps = np.zeros((series, size + 1))
    np.cumsum(against[:, :days].reshape(series, -1), axis=1, out=gaps[:, 1:])
    found = np.empty((series, horizons.size, _FEATURES))
    for index, horizon in enumerate(horizons.astype(np.int64)):
        found[:, index] = _fit(_Sums(sums, counts, gaps, hour, day, bins), int(horizon), variance)
    return [
        Carryover(horizons, found[index], sums[index], raw_sums[index], counts[index], hour, day, float(limit[index]))
        for index in range(series)
    ]


def _robust_variance(flat: Single, present: npt.NDArray[np.bool_]) -> Array:
    """From mean absolute deviations, which one wild day moves little."""
    count = np.maximum(present.sum(axis=1), 1)
    spread = np.abs(np.where(present, flat, 0.0)).sum(axis=1) / count
    return np.asarray(np.maximum(np.pi / 2.0 * spread.astype(np.float64) ** 2, _LEAST_VARIANCE))


@dataclass(frozen=True, slots=True)
class _Sums:
    """Running sums, [series, bins + 1]: of the residual, of what was measured, of the difference of the profiles."""

    residual: Array
    measured: Array
    gap: Array
    hour: int
    day: int
    bins: int

    def over(self, sums: Array, horizon: int, start: int, width: int) -> Array:
        """Sums over `width` bins from `start` after each origin; origins are an hour apart, from the first full day."""
        first, last = self.day + start, sums.shape[1] - horizon - self.hour + start
        stride = max(1, self.bins // 24)
        return np.asarray(sums[:, first + width : last + width : stride] - sums[:, first:last:stride])

    def level(self, horizon: int, width: int) -> Array:
        """As `_level`, at all origins."""
        count = self.over(self.measured, horizon, -width, width)
        return np.asarray(self.over(self.residual, horizon, -width, width) / (count + 0.5 * min(width, 6)))


def _fit(of: _Sums, horizon: int, variance: Array) -> Array:
    """Ridge regression towards the prior at one horizon; [series, 3]."""
    ahead = horizon / of.bins
    prior = np.array([0.2, 0.3 * np.exp(-ahead / _HOUR_FADES_DAYS), 0.3 * np.exp(-ahead / _DAY_FADES_DAYS)])
    precision = np.eye(_FEATURES) / _PRIOR_SD**2
    if of.day + horizon + of.hour >= of.residual.shape[1]:
        return np.tile(prior, (of.residual.shape[0], 1))
    measured = of.over(of.measured, horizon, horizon, of.hour)
    seen = measured > 0
    target = np.where(seen, of.over(of.residual, horizon, horizon, of.hour) / np.maximum(measured, 1.0), 0.0)
    columns = [
        of.over(of.gap, horizon, horizon, of.hour) / of.hour,
        of.level(horizon, of.hour),
        of.level(horizon, of.day),
    ]
    features = np.stack(columns, axis=-1) * seen[:, :, None]
    weight = (_INDEPENDENT if of.bins > 1 else 1.0) / variance[:, None, None]
    turned = features.transpose(0, 2, 1)
    square = turned @ features * weight + precision
    against = (turned @ target[:, :, None])[:, :, 0] * weight[:, :, 0] + precision @ prior
    return np.asarray(np.linalg.solve(square, against[:, :, None])[:, :, 0])
