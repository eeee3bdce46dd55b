"""One thread for every library: a race between thread pools would decide the comparison. Import before numpy."""

import os

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def pin_threads() -> None:
    """For this process, as far as numpy is not imported yet, and for every process it starts."""
    os.environ.update(dict.fromkeys(_VARIABLES, "1"))
