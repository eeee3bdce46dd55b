"""How demand answers a campaign, for the arena's generated shops: the usual shapes of the literature, and unusual ones.

Nothing here knows the forecast: no code, shape or prior is shared with it. A shape says which part of a campaign's
addition is there, by seconds since the onset. Those of drops, and all unusual ones, stand at 1 when their rise is
over and may pass 1 later; the others have their peak near 1. What is left at the end dies away after it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# (seconds since the rise was over >= 0, seconds from there to the end, number of the occurrence) -> part of the addition
Curve = Callable[[Array, float, int], Array]
RISES = ("line", "smooth", "saturating", "late")


@dataclass(frozen=True, slots=True)
class Shape:
    """How one shop's customers answer one kind of campaign, at every occurrence."""

    name: str
    in_family: bool  # False: outside of what the literature knows
    curve: Curve
    rise: str = "line"
    rise_seconds: float = 0.0  # 0: the curve brings its own rise
    fade_seconds: float = 600.0  # time constant of what is left past the end
    herd: float = 0.0  # part that is there at the onset already: people who reload before the doors open
    herd_seconds: float = 120.0

    def at(self, seconds: Array, duration_seconds: float, occurrence: int) -> Array:
        """Part of the addition [same shape as `seconds`] by seconds since the onset; >= 0."""
        after = np.maximum(seconds - self.rise_seconds, 0.0)
        part = self.curve(after, duration_seconds - self.rise_seconds, occurrence)
        if self.rise_seconds > 0.0:
            rising = self.herd + (1.0 - self.herd) * _rise(self.rise, np.clip(seconds / self.rise_seconds, 0.0, 1.0))
            part = np.where(seconds < self.rise_seconds, rising, part)
        before = self.herd * np.exp(np.minimum(seconds, 0.0) / self.herd_seconds)
        fade = np.exp(-np.maximum(seconds - duration_seconds, 0.0) / self.fade_seconds)
        return np.where(seconds < 0.0, before, part * fade)

    def peak(self, duration_seconds: float, occurrence: int) -> float:
        """The greatest part between onset and end."""
        grid = np.linspace(0.0, duration_seconds, 4001)
        return float(np.append(self.at(grid, duration_seconds, occurrence), self.rise_seconds > 0.0).max())


def draw_drop(rng: np.random.Generator) -> Shape:
    """Doors open, and within one to three minutes everybody is there; a third of the shops do not drop it at the end."""
    herd = float(rng.uniform(0.01, 0.08)) if rng.random() < 0.25 else 0.0
    rise, rise_seconds = str(rng.choice(RISES)), float(rng.uniform(60.0, 180.0))
    fade = _between(rng, 30.0, 600.0) if rng.random() < 0.7 else _between(rng, 1200.0, 5400.0)
    draw = (_power_law, _exponential, _hyperbolic, _stock_out, _two_speeds)[rng.integers(5)]
    name, curve = draw(rng)
    return Shape(name, True, curve, rise, rise_seconds, fade, herd, float(rng.uniform(40.0, 200.0)))


def draw_outside(rng: np.random.Generator, rise_between: tuple[float, float]) -> Shape:
    """A shape of another family, with a rise of so many seconds (from, to)."""
    draw = (_two_hump, _restocks, _growing_steps, _random_walk, _ramp_and_cliff, _bigger_second)[rng.integers(6)]
    name, curve = draw(rng)
    fade = _between(rng, 30.0, 600.0) if rng.random() < 0.7 else _between(rng, 1200.0, 5400.0)
    return Shape(name, False, curve, str(rng.choice(RISES)), _between(rng, *rise_between), fade)


def draw_newsletter(rng: np.random.Generator) -> Shape:
    """Mails leave at the rate of the mail service; each is opened after a heavy-tailed delay."""
    step, n = 20.0, 2160  # 12 h
    t = (np.arange(n) + 0.5) * step
    sending = _between(rng, 300.0, 5400.0)
    way = str(rng.choice(("even", "batches", "front-loaded")))
    sent = (t < sending).astype(float)
    if way == "batches":
        batches = rng.integers(2, 6)
        sent *= (t / sending * batches) % 1.0 < 0.3
    elif way == "front-loaded":
        sent = np.exp(-t / (0.4 * sending))
    if rng.random() < 0.5:
        delay = np.exp(-0.5 * (np.log(t / _between(rng, 300.0, 2400.0)) / rng.uniform(0.8, 1.4)) ** 2) / t
    else:
        delay = (1.0 + t / _between(rng, 300.0, 1800.0)) ** -rng.uniform(1.5, 3.0)
    opened = np.fft.irfft(np.fft.rfft(sent, 2 * n) * np.fft.rfft(delay, 2 * n), 2 * n)[:n]
    return Shape(f"opened-{way}", True, _sampled(opened, step), fade_seconds=_between(rng, 3600.0, 10800.0))


def draw_influencer(rng: np.random.Generator) -> Shape:
    """Self-exciting attention: views that a post brings bring views (Hawkes; Crane and Sornette, arXiv 0803.2189)."""
    step, n = 20.0, 2160
    t = (np.arange(n) + 0.5) * step
    memory = (1.0 + t / _between(rng, 60.0, 900.0)) ** -(1.0 + rng.uniform(0.2, 0.8))
    memory /= memory.sum()
    branching = float(rng.choice((rng.uniform(0.2, 0.7), rng.uniform(0.8, 0.97))))
    post = (1.0 - np.exp(-t / _between(rng, 30.0, 400.0))) * (1.0 + t / _between(rng, 200.0, 2000.0)) ** -1.4
    # the sum over all generations of views, as a geometric series in frequency; damped, so that the circle may close
    size, damp = 4 * n, np.exp(-t / (2.0 * n * step))
    views = np.fft.rfft(post * damp, size) / (1.0 - branching * np.fft.rfft(memory * damp, size))
    values = np.maximum(np.fft.irfft(views, size)[:n] / damp, 0.0)
    name = "viral" if branching > 0.75 else "shared"
    return Shape(name, True, _sampled(values, step), fade_seconds=_between(rng, 3600.0, 10800.0))


def draw_tv_spot(rng: np.random.Generator) -> Shape:
    """One to six spots an hour; each a burst of seconds that is mostly over after two minutes, with a small tail."""
    spots = int(rng.integers(1, 7))
    up, down = float(rng.uniform(5.0, 20.0)), _between(rng, 40.0, 150.0)
    tail, tail_seconds = float(rng.uniform(0.02, 0.15)), _between(rng, 600.0, 2400.0)
    seconds = np.arange(0.0, 1200.0, 0.5)
    top = float(((1.0 - np.exp(-seconds / up)) * np.exp(-seconds / down)).max())

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        own = np.random.default_rng(occurrence)  # each evening has its own breaks
        count = max(1, round(spots * duration_seconds / 3600.0))
        at = (np.arange(count) + np.append(0.0, own.uniform(-0.3, 0.3, count - 1))) * duration_seconds / count
        sizes = np.append(1.0, own.uniform(0.3, 1.0, count - 1))
        part = np.zeros_like(after)
        for start, size in zip(at, sizes, strict=True):
            since = np.maximum(after - start, 0.0)
            burst = np.exp(-since / down) * (1.0 - tail) / top + tail * np.exp(-since / tail_seconds)
            part += size * (1.0 - np.exp(-since / up)) * burst
        return part

    return Shape(f"spots-{spots}", True, curve, fade_seconds=_between(rng, 600.0, 2400.0))


def draw_sale_day(rng: np.random.Generator) -> Shape:
    """A plateau (the season of the day runs on below it), slack in the middle, and for some a rush before the end."""
    opening = _between(rng, 120.0, 3600.0)
    slack, rush = float(rng.uniform(0.0, 0.4)), float(rng.uniform(0.0, 0.3)) if rng.random() < 0.4 else 0.0

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        phase = np.clip(after / duration_seconds, 0.0, 1.0)
        left = np.maximum(duration_seconds - after, 0.0)
        wave = 1.0 - slack * np.sin(np.pi * phase) ** 2 + rush * np.exp(-left / 2700.0)
        return wave / (1.0 + rush)

    return Shape("plateau", True, curve, "smooth", opening, _between(rng, 120.0, 2400.0))


def draw_launch(rng: np.random.Generator) -> Shape:
    """Word spreads in an S-curve; what it brought falls off slowly."""
    way = str(rng.choice(("logistic", "gompertz", "adoption")))
    steep, decay = rng.uniform(6.0, 25.0), rng.uniform(0.0, 1.2)
    middle = max(rng.uniform(0.1, 0.45), 2.5 / steep)  # not half grown when it starts

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        grid = np.linspace(0.0, 2.0, 801)
        if way == "logistic":
            grown = 1.0 / (1.0 + np.exp(-steep * (grid - middle)))
        elif way == "gompertz":
            grown = np.exp(-np.exp(-steep * 0.6 * (grid - 0.8 * middle)))
        else:  # new customers of each moment, who stay a while (Bass)
            rate = np.exp(-steep * (grid - middle))
            grown = rate / (1.0 + rate) ** 2 * 3.0 + 0.35 / (1.0 + rate)
        values = (grown - grown[0]) * np.exp(-decay * np.maximum(grid - middle, 0.0))
        part: Array = np.interp(after / duration_seconds, grid, values / values.max())
        return part

    return Shape(f"growth-{way}", True, curve, fade_seconds=_between(rng, 3600.0, 10800.0))


def _power_law(rng: np.random.Generator) -> tuple[str, Curve]:
    scale, power = _between(rng, 120.0, 1200.0), rng.uniform(0.6, 1.8)
    return "power-law", lambda after, duration, occurrence: (1.0 + after / scale) ** -power


def _hyperbolic(rng: np.random.Generator) -> tuple[str, Curve]:
    scale = _between(rng, 300.0, 2400.0)
    return "hyperbolic", lambda after, duration, occurrence: 1.0 / (1.0 + after / scale)


def _exponential(rng: np.random.Generator) -> tuple[str, Curve]:
    part, floor = _between(rng, 0.1, 0.6), rng.uniform(0.0, 0.15)
    return "exponential", lambda after, duration, occurrence: floor + (1 - floor) * np.exp(-after / (part * duration))


def _two_speeds(rng: np.random.Generator) -> tuple[str, Curve]:
    fast, slow, share = _between(rng, 60.0, 400.0), _between(rng, 0.3, 1.5), rng.uniform(0.3, 0.7)
    return (
        "two-speeds",
        lambda after, duration, occurrence: (
            share * np.exp(-after / fast) + (1.0 - share) * np.exp(-after / (slow * duration))
        ),
    )


def _stock_out(rng: np.random.Generator) -> tuple[str, Curve]:
    until, slope, sold_seconds = rng.uniform(0.2, 0.8), rng.uniform(0.0, 0.25), _between(rng, 60.0, 400.0)
    rest = rng.uniform(0.02, 0.2)

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        phase = np.minimum(after / (until * duration_seconds), 1.0)
        sold = np.maximum(after - until * duration_seconds, 0.0)
        return (1.0 - slope * phase) * (rest + (1.0 - rest) * np.exp(-sold / sold_seconds))

    return "stock-out", curve


def _two_hump(rng: np.random.Generator) -> tuple[str, Curve]:
    at, width, height, first = rng.uniform(0.5, 0.85), rng.uniform(0.05, 0.12), rng.uniform(0.4, 1.0), 0.12
    floor = rng.uniform(0.02, 0.15)
    return (
        "two-hump",
        lambda after, duration, occurrence: (
            floor
            + (1.0 - floor) * np.exp(-after / (first * duration))
            + height
            * np.exp(-0.5 * ((np.minimum(after / duration, 2.0) - at) / width) ** 2)
            * np.minimum(after / 600.0, 1)
        ),
    )


def _restocks(rng: np.random.Generator) -> tuple[str, Curve]:
    count, pace, rest = int(rng.integers(2, 7)), rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.3)
    heights = np.append(1.0, rng.uniform(0.5, 1.3, count - 1))

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        turns = np.minimum(after / duration_seconds, 0.9999) * count
        phase = turns % 1.0
        ramp = np.where(turns < 1.0, 1.0, np.clip(phase * duration_seconds / count / 45.0, 0.0, 1.0))
        height = heights[turns.astype(int)]
        part: Array = rest + (height - rest) * np.exp(-phase / pace) * ramp
        return part

    return "restocks", curve


def _growing_steps(rng: np.random.Generator) -> tuple[str, Curve]:
    count, top, sag = int(rng.integers(2, 5)), rng.uniform(1.2, 1.6), rng.uniform(0.0, 0.35)
    levels = np.linspace(1.0, top, count)

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        turns = np.minimum(after / duration_seconds, 0.9999) * count
        step = turns.astype(int)
        phase = turns - step
        grown = np.clip(phase * duration_seconds / count / 90.0, 0.0, 1.0)
        left = levels[np.maximum(step - 1, 0)] * np.where(step > 0, 1.0 - sag, 1.0)
        part: Array = (left + (levels[step] - left) * grown) * (1.0 - sag * phase)
        return part

    return "growing-steps", curve


def _random_walk(rng: np.random.Generator) -> tuple[str, Curve]:
    wander, part = rng.uniform(0.25, 0.7), _between(rng, 0.4, 3.0)

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        steps = np.random.default_rng(occurrence).normal(0.0, wander / np.sqrt(60.0), 241)  # over twice the duration
        steps[0] = 0.0
        place = (2.0 * np.cumsum(steps) + 1.6) / 2.1 % 2.0
        walk = 2.1 * np.minimum(place, 2.0 - place) - 1.6  # mirrored at -1.6 and 0.5, from 0
        phase = np.minimum(after / duration_seconds, 2.0)
        return np.exp(np.interp(phase * 120.0, np.arange(241.0), walk) - phase / part)

    return "random-walk", curve


def _ramp_and_cliff(rng: np.random.Generator) -> tuple[str, Curve]:
    top, cliff, rest = rng.uniform(1.1, 1.6), rng.uniform(0.6, 0.95), rng.uniform(0.03, 0.3)

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        ramp = 1.0 + (top - 1.0) * np.minimum(after / (cliff * duration_seconds), 1.0)
        fallen = np.clip((after - cliff * duration_seconds) / 30.0, 0.0, 1.0)
        return ramp * (1.0 - fallen) + rest * fallen

    return "ramp-and-cliff", curve


def _bigger_second(rng: np.random.Generator) -> tuple[str, Curve]:
    at, height, up_seconds = rng.uniform(0.35, 0.75), rng.uniform(1.1, 1.6), _between(rng, 60.0, 300.0)
    first, second = rng.uniform(0.06, 0.15), rng.uniform(0.08, 0.25)

    def curve(after: Array, duration_seconds: float, occurrence: int) -> Array:
        since = np.maximum(after - at * duration_seconds, 0.0)
        wave = np.clip(since / up_seconds, 0.0, 1.0)
        fall = np.exp(-np.maximum(since - up_seconds, 0.0) / (second * duration_seconds))
        return np.exp(-after / (first * duration_seconds)) + height * wave * fall

    return "bigger-second", curve


def _rise(name: str, phase: Array) -> Array:
    """From 0 to 1 as phase goes from 0 to 1."""
    if name == "smooth":
        return phase * phase * (3.0 - 2.0 * phase)
    if name == "saturating":
        return np.asarray((1.0 - np.exp(-3.0 * phase)) / (1.0 - np.exp(-3.0)), dtype=np.float64)
    return phase * phase if name == "late" else phase


def _sampled(values: Array, step_seconds: float) -> Curve:
    """A curve through values at k * step_seconds, k >= 1, from 0; its peak is 1."""
    values = np.append(0.0, np.maximum(values, 0.0) / values.max())
    at = np.arange(values.size) * step_seconds
    return lambda after, duration, occurrence: np.interp(after, at, values)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
