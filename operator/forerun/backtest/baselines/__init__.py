"""What our forecast is measured against, each set up as a competent engineer would, on one thread.

The two in plain numpy are always there; the others where the extra `backtest` is installed: nothing here imports a
library before it predicts. Does not belong here: how predictions are judged.
"""

from importlib.util import find_spec

from forerun.backtest.baselines.kind_profile import KindProfile
from forerun.backtest.baselines.lightgbm_quantiles import LightgbmQuantiles
from forerun.backtest.baselines.mstl import Mstl
from forerun.backtest.baselines.prophet_events import ProphetEvents
from forerun.backtest.baselines.seasonal_naive import SeasonalNaive
from forerun.backtest.decision import Model

_LIBRARIES = {"mstl": "statsforecast", "prophet": "prophet", "lightgbm": "lightgbm"}


def available() -> list[Model]:
    """The baselines that can run here."""
    return [model for model in _all() if model.name not in missing()]


def missing() -> list[str]:
    """Names of the baselines whose library is not installed: `pip install 'forerun[backtest]'` brings them."""
    return [name for name, library in _LIBRARIES.items() if find_spec(library) is None]


def _all() -> list[Model]:
    return [SeasonalNaive(), KindProfile(), Mstl(), ProphetEvents(), LightgbmQuantiles()]
