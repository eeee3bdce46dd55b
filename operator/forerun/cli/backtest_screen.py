"""A backtest as people read it. Pure."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from forerun.backtest.run import ModelResult, Result
from forerun.backtest.scores import Scores
from forerun.domain.forecast import LEVELS
from forerun.domain.reason import Hold
from forerun.observe.words import hold_sentence

WIDTH = 120  # columns of the table: a narrower one would lose figures
_MOST_HOLDS = 3


def screen(result: Result) -> list[RenderableType]:
    """All events, each kind, what was left out, and what the models did not answer."""
    ahead = Text(f"{result.trace}: {len(result.decisions)} events; losses in requests/s, less is better")
    kinds = [kind for kind, _ in result.models[0].kinds] if result.models else []
    table = _table()
    _add(table, "all" if len(kinds) > 1 else "".join(kinds), [(model.model, model.scores) for model in result.models])
    for kind in kinds if len(kinds) > 1 else []:
        _add(table, kind, [(model.model, dict(model.kinds)[kind]) for model in result.models])
    return [ahead, table, *_live(result.models), *_remarks(result)]


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("", no_wrap=True, max_width=24)
    for name in ("Events", "Peak\npinball", "Window\npinball", "Peak\nCRPS", "Below\np50", "Below\np90", "Below\np99"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("Peak's\ntime", "Median\nof peak", "Peak vs\nbest other"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add(table: Table, kind: str, rows: Sequence[tuple[str, Scores]]) -> None:
    """The kind on a line of its own, then one line per model."""
    table.add_row(Text(kind, style="bold"))
    for model, scores in rows:
        others = [other.peak_pinball for name, other in rows if name != model and other.peak_pinball is not None]
        table.add_row(f"  {model}", *_figures(scores), _against(scores.peak_pinball, others))


def _figures(scores: Scores) -> list[str]:
    """What a model's line says of the model alone."""
    share = dict(zip(LEVELS, scores.coverage, strict=True)) if scores.coverage is not None else {}
    return [
        str(scores.events),
        *(_number(loss) for loss in (scores.peak_pinball, scores.window_pinball, scores.crps_peak)),
        *(_percent(share.get(level)) for level in (0.5, 0.9, 0.99)),
        _lasting(scores.peak_time_error_seconds),
        _over(scores.over_forecast),
    ]


def _against(loss: float | None, others: Sequence[float]) -> str:
    """A loss as a multiple of the best other model's."""
    return f"x{loss / min(others):.2f}" if loss and others and min(others) else "-"


def _live(models: Sequence[ModelResult]) -> list[Text]:
    found = []
    for model in models:
        live = model.live
        if live is not None and live.before is not None and live.after is not None:
            found.append(
                Text(
                    f"{model.model}: 5 min after the onset the peak is off by {_percent(live.after)}, "
                    f"before the start by {_percent(live.before)} ({live.events} events that rose)"
                )
            )
    return found


def _remarks(result: Result) -> list[Text]:
    found = []
    if result.outside:
        found.append(
            Text(f"left out: {result.outside}, outside the trace or with nothing measured before the decision")
        )
    unmeasured = max((model.scores.unmeasured for model in result.models), default=0)
    if unmeasured:
        found.append(Text(f"not judged: {unmeasured}, less than half of the window was measured"))
    for model in result.models:
        holds = [said for said in model.predictions if isinstance(said, Hold)]
        if holds:
            words = f"{model.model} left {len(holds)} without an answer, so its figures rest on fewer events:"
            found.append(Text(words, style="yellow"))
            sentences = dict.fromkeys(f"  {hold_sentence(hold)}" for hold in holds)
            found.extend(Text(sentence, style="yellow") for sentence in list(sentences)[:_MOST_HOLDS])
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _over(share: float | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share:+.0f}%" if share < 10.0 else ">+999%"


def _lasting(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
