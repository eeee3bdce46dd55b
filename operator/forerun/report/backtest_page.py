"""The page of a backtest: figures of every model, then one plot per event. One file, fetches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from forerun.report.event_plot import Band, EventPlot, event_svg, number

__all__ = ["Band", "EventPlot", "Figures", "Page", "backtest_page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #0f172a; --soft: #475569; --rule: #cbd5e1; --faint: #e8edf3; --paper: #fff;
 --win: #f5f7fa; --band: #a21caf; --real: #0e7490; --bad: #b91c1c; --good: #15803d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9f0; --soft: #9aa7b8; --rule: #3b4656; --faint: #252d39;
 --paper: #10151d; --win: #171e28; --band: #e879f9; --real: #22d3ee; --bad: #f87171; --good: #4ade80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem;
 margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2.2rem 0 .4rem; font-size: 1.15rem; }
.sub { color: var(--soft); margin: .2rem 0; }
.wide { overflow-x: auto; } .wide td { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .93em; }
th, td { text-align: left; padding: .25rem .55rem; vertical-align: top; }
th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--rule); vertical-align: bottom; }
td { border-bottom: 1px solid var(--faint); } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.best { font-weight: 700; }
a { color: inherit; } .bad { color: var(--bad); } .good { color: var(--good); }
figure { margin: 1.6rem 0 2.2rem; } figcaption { margin-bottom: .3rem; } figcaption span { color: var(--soft); }
svg { width: 100%; height: auto; display: block; } text { font: 11px system-ui, sans-serif; fill: var(--soft); }
text.n { text-anchor: end; } text.t { text-anchor: middle; } .win { fill: var(--win); }
path { fill: none; stroke-linejoin: round; } .grid { stroke: var(--faint); }
path.b90 { fill: var(--band); opacity: .14; } path.b67 { fill: var(--band); opacity: .2; }
.median { stroke: var(--band); stroke-width: 1.6; } .actual { stroke: var(--real); stroke-width: 2; }
.known { stroke: var(--real); stroke-width: 1.2; opacity: .75; }
.usual { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; } .start { stroke: var(--ink); stroke-width: 1; }
.decided { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 5 4; }
.whisker { stroke: var(--band); stroke-width: 1.4; }
.expected { fill: var(--paper); stroke: var(--band); stroke-width: 1.6; }
.top { fill: var(--real); stroke: var(--paper); stroke-width: 1; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; color: var(--soft); font-size: .9em; margin: .8rem 0; }
.key svg { width: 2.2rem; height: .9rem; display: inline-block; vertical-align: -.1rem; margin-right: .35rem; }
"""

_KEY = (
    ("<path class=actual d='M0 7H36'/>", "what happened"),
    ("<path class=known d='M0 7H36'/>", "known when it was decided"),
    ("<path class=usual d='M0 7H36'/>", "usual: median of four weeks, earlier events left out"),
    ("<path class=median d='M0 7H36'/>", "median"),
    ("<path class=b67 d='M0 1H36V13H0Z'/><path class=b90 d='M0 1H36V13H0Z'/>", "16.5 to 83.5 %"),
    ("<path class=b90 d='M0 1H36V13H0Z'/>", "5 to 95 %"),
    ("<path class=whisker d='M18 0V14'/><circle class=expected cx=18 cy=7 r=3.5 />", "peak, 5 to 95 %, where expected"),
    ("<circle class=top cx=18 cy=7 r=4 />", "the real peak"),
    ("<path class=decided d='M18 0V14'/>", "decided"),
    ("<path class=start d='M18 0V14'/>", "start"),
)

_FIGURES = (
    "Losses in requests/s, less is better; pinball is the mean over nine quantiles. Below a quantile: the share "
    "of bins there, the nearer to 50, 90 and 99 % the better. The median of the peak is compared with the "
    "real peak, on average over the events."
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One model over the events of one kind; losses in requests/s, coverages as shares, None where nothing counts."""

    model: str
    kind: str
    events: int
    missing: int
    unmeasured: int
    peak_pinball: float | None
    window_pinball: float | None
    crps_peak: float | None
    coverage_50: float | None
    coverage_90: float | None
    coverage_99: float | None
    peak_time_error_seconds: float | None
    over_forecast: float | None


@dataclass(frozen=True, slots=True)
class Page:
    """`figures` over all events, best known to the reader first; `kinds` the same by kind, empty where there is one.

    The bands of `plots` are those of the first model. `outside` counts events that could not be asked about.
    """

    trace: str
    figures: tuple[Figures, ...]
    kinds: tuple[Figures, ...]
    plots: tuple[EventPlot, ...]
    outside: int


def backtest_page(page: Page) -> str:
    """The page as HTML text; every text from outside is escaped."""
    drawn = page.figures[0].model if page.figures else "nothing"
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(page.trace)} - Forerun backtest</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(page.trace)}</h1><p class=sub>{_subtitle(page)}</p>",
        "<h2>How near each model came</h2>",
        _table(page.figures, by_kind=False),
        f"<p class=sub>{_FIGURES}</p>",
        f"<h2>By kind of event</h2>{_table(page.kinds, by_kind=True)}" if page.kinds else "",
        f"<h2>Every event, as {escape(drawn)} saw it</h2>",
        _overview(page.plots),
        f"<div class=key>{''.join(_entry(*entry) for entry in _KEY)}</div>",
        *(_figure(index, plot) for index, plot in enumerate(page.plots)),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _subtitle(page: Page) -> str:
    parts = [f"{len(page.plots)} events, each decided on what was known before it"]
    if page.plots:
        parts.append(f"{page.plots[0].start:%Y-%m-%d} to {page.plots[-1].start:%Y-%m-%d}, all times UTC")
    if page.outside:
        parts.append(f"{page.outside} more lie outside the trace")
    unmeasured = max((row.unmeasured for row in page.figures), default=0)
    if unmeasured:
        parts.append(f"{unmeasured} not judged: less than half of the window measured")
    return "; ".join(parts)


def _table(rows: Sequence[Figures], *, by_kind: bool) -> str:
    """The best loss of each group stands out where there is something to compare."""
    names = (
        *("events", "peak pinball", "window pinball", "CRPS of the peak"),
        *("below p50", "below p90", "below p99", "peak's time off by", "median of the peak"),
    )
    head = "".join(f"<th class=n>{name}</th>" for name in names)
    body = "".join(_row(row, [other for other in rows if other.kind == row.kind], by_kind=by_kind) for row in rows)
    kind = "<th>kind</th>" if by_kind else ""
    return f"<div class=wide><table><tr>{kind}<th>model</th>{head}</tr>{body}</table></div>"


def _row(row: Figures, group: Sequence[Figures], *, by_kind: bool) -> str:
    missing = f" <span class=bad>({row.missing} unanswered)</span>" if row.missing else ""
    cells = [f"<td>{escape(row.kind)}</td>"] if by_kind else []
    cells += [f"<td>{escape(row.model)}</td>", f"<td class=n>{row.events}{missing}</td>"]
    cells += [
        _loss(row.peak_pinball, [other.peak_pinball for other in group]),
        _loss(row.window_pinball, [other.window_pinball for other in group]),
        _loss(row.crps_peak, [other.crps_peak for other in group]),
        *(_share(share) for share in (row.coverage_50, row.coverage_90, row.coverage_99)),
        f"<td class=n>{_lasting(row.peak_time_error_seconds)}</td>",
        f"<td class=n>{_over(row.over_forecast)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _loss(value: float | None, group: Sequence[float | None]) -> str:
    if value is None:
        return "<td class=n>-</td>"
    others = [other for other in group if other is not None]
    best = " best" if len(others) > 1 and value == min(others) else ""
    return f"<td class='n{best}'>{number(value)}</td>"


def _share(value: float | None) -> str:
    return f"<td class=n>{'-' if value is None else f'{100 * value:.1f} %'}</td>"


def _lasting(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} d"


def _over(share: float | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share:+.0f} %" if share < 10.0 else "&gt; +999 %"


def _overview(plots: Sequence[EventPlot]) -> str:
    rows = "".join(
        f"<tr><td><a href='#e{index}'>{escape(plot.name)}</a></td><td>{escape(plot.kind)}</td>"
        f"<td class=n>{plot.start:%Y-%m-%d %H:%M}</td>{_peak_cells(plot)}</tr>"
        for index, plot in enumerate(plots)
    )
    names = ("start", "peak", "p50", "p90", "p99", "the peak lay")
    head = "".join(f"<th{' class=n' if name != 'the peak lay' else ''}>{name}</th>" for name in names)
    return f"<div class=wide><table><tr><th>event</th><th>kind</th>{head}</tr>{rows}</table></div>"


def _peak_cells(plot: EventPlot) -> str:
    peak = "-" if plot.peak is None else number(plot.peak)
    if plot.band is None:
        return f"<td class=n>{peak}</td><td class=n>-</td><td class=n>-</td><td class=n>-</td><td>unanswered</td>"
    _, p50, p90, _, p99 = plot.band.peak
    said = "".join(f"<td class=n>{number(value)}</td>" for value in (p50, p90, p99))
    return f"<td class=n>{peak}</td>{said}<td>{_verdict(plot.peak, plot.band)}</td>"


def _verdict(peak: float | None, band: Band) -> str:
    p05, p50, _, p95, p99 = band.peak
    if peak is None:
        return "not measured"
    if peak > p99:
        return "<span class=bad>above p99</span>"
    if peak > p95:
        return "above p95"
    if peak < p05:
        return "below p5"
    return "<span class=good>in the band</span>" + (", upper half" if peak > p50 else ", lower half")


def _figure(index: int, plot: EventPlot) -> str:
    unknown = "<span class=bad>the model said nothing</span>"
    said = unknown
    if plot.band is not None:
        _, p50, p90, _, p99 = plot.band.peak
        said = f"said p50 {number(p50)}, p90 {number(p90)}, p99 {number(p99)}"
    peak = "too little measured" if plot.peak is None else f"peak {number(plot.peak)} requests/s"
    losses = ", ".join(f"{escape(name)} {number(loss)}" for name, loss in sorted(plot.losses, key=lambda one: one[1]))
    compared = f"<br><span>Loss on the peak: {losses}</span>" if len(plot.losses) > 1 else ""
    return (
        f"<figure id=e{index}><figcaption><b>{escape(plot.name)}</b> <span>{escape(plot.kind)}, start"
        f" {plot.start:%Y-%m-%d %H:%M}, decided {plot.decided_at:%Y-%m-%d %H:%M}</span><br>{peak}; {said}"
        f"{compared}</figcaption>{event_svg(plot, f'c{index}')}</figure>"
    )


def _entry(shape: str, words: str) -> str:
    return f"<span><svg viewBox='0 0 36 14'>{shape}</svg>{words}</span>"
