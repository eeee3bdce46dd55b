"""What passes between the parts of a backtest: a decision to make, and what a model says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from forerun.domain.forecast import ForecastRequest
from forerun.domain.reason import Hold


@dataclass(frozen=True, slots=True)
class Decision:
    """One event, and everything that is known of it at `decided_at`.

    `request` holds the demand measured before `decided_at`, the earlier events, and of this one its kind and start.
    `actual` is the demand in requests/s of the `bins` of `step_seconds` from `start`, NaN where nothing was measured:
    for the judge alone. `live` is True where `decided_at` lies inside the window.
    """

    trace: str
    kind: str
    name: str
    decided_at: datetime
    start: datetime
    step_seconds: float
    request: ForecastRequest
    actual: tuple[float, ...]

    @property
    def bins(self) -> int:
        return len(self.actual)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.bins * self.step_seconds)

    @property
    def live(self) -> bool:
        return self.decided_at > self.start


@dataclass(frozen=True, slots=True)
class Prediction:
    """Quantiles at `domain.forecast.LEVELS`, in requests/s; all non-negative and non-decreasing in the level.

    `window[i][j]` is bin i of the decision at level j; `peak[j]` the highest bin of the window; `peak_at` the middle
    of the bin where the peak is expected (median over paths).
    """

    window: tuple[tuple[float, ...], ...]
    peak: tuple[float, ...]
    peak_at: datetime


class Model(Protocol):
    """Something that predicts: ours, or a library's."""

    name: str

    def predict(self, decisions: Sequence[Decision]) -> Sequence[Prediction | Hold]:
        """One prediction per decision of one trace, in order; a decision is answered from its `request` alone.

        A Hold where the model says nothing, with its reason.
        """
