"""What is computed at once: one grid segment of one request, as plain arrays in real-world seconds.

A rehearsal runs `time_compression` times faster; everything here is already multiplied back, so that kernels
and priors speak of real seconds.
"""

from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt

from forerun.domain.campaign import CampaignType, Overlap
from forerun.forecast.curves import Courses
from forerun.forecast.evidence import Belief
from forerun.forecast.priors import PRIORS, Prior

Array = npt.NDArray[np.float64]

_KNOWN = 0.5  # of the paths


@dataclass(frozen=True, slots=True)
class Term:
    """One campaign in one unit. Times count from the unit's origin; `seed` is the campaign's own.

    Windows of one unit with the same seed are of one campaign, and go alike.

    `absolute` is the share of the belief that rests on a declared peak, see `evidence.peak_share`. `courses` are those
    of past occurrences; the paths that follow none of them take the type's kernel.
    """

    type: CampaignType
    start: float
    window: float  # length
    belief: Belief  # of log(1 + A)
    overlap: Overlap
    priority: int
    seed: int
    absolute: float = 0.0
    courses: Courses | None = None

    @property
    def prior(self) -> Prior:
        return PRIORS[self.type]

    @property
    def is_known(self) -> bool:
        """Whether most paths follow a past occurrence."""
        return self.courses is not None and float(self.courses.share.sum()) > _KNOWN


@dataclass(frozen=True, slots=True)
class Course:
    """Where an event that has arrived stands: what is still to come lies below a line from here.

    It starts at `anchor_rps` now and rises with `slope` (requests/s per second) `until` the end of the window, of
    length `window`; `usual_rps` is the usual demand now.
    """

    anchor_rps: float
    slope: float
    usual_rps: float
    until: float
    window: float


@dataclass(frozen=True, slots=True)
class Lately:
    """Demand of the last minutes, [points] over the last `span` seconds; `noise_log_sd` is that of a point."""

    times: Array
    demand: Array
    span: float
    noise_log_sd: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Demand measured since the first start, in bins: `times` are their middles, `usual` the baseline there.

    A bin's weight fades with the time constant `memory` before `now`. `cells` is what was measured in each cell of
    the unit, NaN where nothing was; those before `covered` are known. `noise_log_sd` is that of one bin around its
    neighbours; `course` is None until an event has arrived.
    """

    times: Array
    demand: Array
    usual: Array
    now: float
    memory: float = inf
    cells: Array = field(default_factory=lambda: np.empty(0))
    covered: float = -inf
    noise_log_sd: float | None = None
    course: Course | None = None
    lately: Lately | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """`low`, `high` are the cells' edges, `usual` the baseline in each cell; all of length [cells].

    `residual` [rows, cells] are paths of ordinary demand as logs of its ratio to `usual`, ordered by their mean;
    `finer_log_sd` is the noise of a cell on top of them, where cells are finer than what was measured. `level_share` is
    how much of a row's level counts in paths that follow a past occurrence, which brings noise of its own.
    `residual_log_sd` is the noise of one bin of `seen`. `terms` stand in ascending priority, so that a later exclusive
    one replaces an earlier.
    """

    low: Array
    high: Array
    usual: Array
    floor_rps: float
    residual: Array
    finer_log_sd: float
    level_share: float
    residual_log_sd: float
    terms: tuple[Term, ...]
    seen: Seen | None
