"""One thread for every library: a race between thread pools would decide the comparison. Import before numpy."""

import os

from forerun.forecast.process import THREAD_VARIABLES


def pin_threads() -> None:
    """For this process, as far as numpy is not imported yet, and for every process it starts."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
