"""The forecast worker, `python -m forerun.forecast.worker`: reads frames from stdin, writes frames to stdout.

It says it is ready once torch is imported, answers one frame after another, and ends when its stdin does: so it
never outlives the operator.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import BinaryIO

from forerun.domain.forecast import Forecast, ForecastRequest
from forerun.domain.observation import DemandSeries
from forerun.domain.reason import Hold, Reason
from forerun.forecast import wire


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(prog="forerun.forecast.worker")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--time-compression", type=float, default=1.0)
    arguments = parser.parse_args()
    # an interrupt at the terminal goes to the whole group; the operator ends this process by closing stdin
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not run into the frames

    import torch  # noqa: PLC0415  (takes seconds; until here the operator has waited for nothing)

    import forerun.forecast.model  # noqa: PLC0415, F401  (what cannot be imported must fail before "ready")

    torch.set_num_threads(max(1, arguments.threads))
    pick_device()
    _send(answers, {"ready": True})
    serve(sys.stdin.buffer, answers, arguments.time_compression)


def pick_device() -> str:
    """Compute on a GPU where this process may use one that works, else on the CPU; the device's type."""
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        return "cpu"
    try:
        torch.ones(8, device="cuda").sum().item()
    except RuntimeError as error:  # no memory left on it, or a driver that does not fit
        sys.stderr.write(f"the GPU cannot be used, the CPU computes: {str(error).splitlines()[0]}\n")
        return "cpu"
    torch.set_default_device("cuda")
    return "cuda"


def serve(questions: BinaryIO, answers: BinaryIO, time_compression: float) -> None:
    """Answer every frame of `questions` until it ends."""
    series: dict[str, DemandSeries] = {}
    while True:
        prefix = questions.read(wire.LENGTH_BYTES)
        if len(prefix) < wire.LENGTH_BYTES:
            return
        frame = wire.unpack(questions.read(wire.length_of(prefix)))
        if "keep" in frame:
            series[frame["keep"]] = wire.series_from(frame["series"])
        elif "forget" in frame:
            for name in frame["forget"]:
                series.pop(name, None)
        else:
            requests = [wire.request_from(request, series) for request in frame["requests"]]
            found = answer(requests, time_compression)
            _send(answers, {"id": frame["id"], "answers": [wire.answer_to(one) for one in found]})


def answer(requests: Sequence[ForecastRequest], time_compression: float) -> list[Forecast | Hold]:
    """All at once; where that fails, one by one, so that a single bad request harms nobody else."""
    from forerun.forecast.model import forecast_all  # noqa: PLC0415  (imports torch)

    try:
        return forecast_all(requests, time_compression)
    except Exception as error:  # noqa: BLE001  (the worker's outermost boundary: any object a user can write gets here)
        if len(requests) > 1:
            return [one for request in requests for one in answer([request], time_compression)]
        detail = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return [Hold(Reason.FORECAST_UNAVAILABLE, request.storefront, {}, detail) for request in requests]


def _send(answers: BinaryIO, frame: wire.Frame) -> None:
    answers.write(wire.pack(frame))
    answers.flush()


if __name__ == "__main__":
    main()
