"""A comparison as people read it, and as one JSON document. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from forerun.simulate.arena import Setting
from forerun.simulate.figures import Comparison, Figures
from forerun.simulate.registry import ORACLE
from forerun.simulate.scenario import Scenario

WIDTH = 130  # columns of the table: a narrower one would lose figures
_OURS = "forerun"
_MOST_LOST = 5


def screen(trace: str, found: Comparison, oracle: bool) -> list[RenderableType]:
    """What was compared, a line per arm, and where ours is not the best."""
    if not found.oracle:
        return [Text(f"{trace}: interrupted before anything was compared")]
    figures = _shown(found, oracle)
    runs = max(row.scenarios for row in figures)
    leads = _leads(found.scenarios)
    all_of_them = f"{runs} scenario" if runs == 1 else f"{runs} scenarios"
    count = f"{runs} of {len(found.scenarios)} scenarios" if found.interrupted else all_of_them
    ahead = Text(
        f"{trace}: {count}, lead time {leads}, cost ratio {found.cost_ratio:g}; each policy at its best setting"
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("Policy", no_wrap=True)
    table.add_column("Setting", no_wrap=True)
    for name in ("J/J*", "Best\nin", "Unserved", "Violated", "Replica\nhours", "/oracle", "Churn\n/oracle"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Verdict", overflow="fold", max_width=60)
    for row in sorted(figures, key=_by_cost):
        table.add_row(*_cells(row, runs))
    return [ahead, table, *_lost(found)]


def document(trace: str, found: Comparison, seed: int, repeats: int, oracle: bool) -> dict[str, Any]:
    """One JSON document; a figure that nothing gives is null."""
    ratios = found.j_ratios()
    return {
        "trace": trace,
        "lead_time_seconds": max((tier.lead_time_seconds for tier in _tiers(found.scenarios)), default=None),
        "seed": seed,
        "repeats": repeats,
        "cost_ratio": found.cost_ratio,
        "retry_share": found.world.retry_share,
        "interrupted": found.interrupted,
        "arms": [_arm_document(row) for row in _shown(found, oracle)],
        "scenarios": [
            _scenario_document(scenario, ratios.get(number, {})) for number, scenario in enumerate(found.scenarios)
        ],
    }


def _shown(found: Comparison, oracle: bool) -> list[Figures]:
    return [row for row in found.figures() if oracle or row.policy != ORACLE]


def _by_cost(row: Figures) -> tuple[bool, float]:
    return row.j_ratio is None, row.j_ratio or 0.0


def _cells(row: Figures, runs: int) -> list[str]:
    fewer = f"only {row.scenarios} of {runs} scenarios" if row.scenarios < runs else ""
    return [
        row.policy,
        _setting(row.settings),
        _times(row.j_ratio),
        "" if row.policy == ORACLE else str(row.best_in),
        "-" if row.unserved_percent is None else f"{row.unserved_percent:.3f} %",
        "-" if row.violation_seconds is None else f"{row.violation_seconds:,.0f} s",
        "-" if row.replica_hours is None else f"{row.replica_hours:,.1f}",
        _times(row.replica_hours_ratio),
        _times(row.churn_ratio),
        "; ".join(part for part in (row.verdict, fewer) if part),
    ]


def _setting(settings: Mapping[str, Setting]) -> str:
    words = dict.fromkeys(_words(setting) for setting in settings.values())
    return next(iter(words), "") if len(words) <= 1 else "by group"


def _words(setting: Setting) -> str:
    scaled = "no HPA" if setting.hpa_target is None else f"HPA {100 * setting.hpa_target:.0f} %"
    return scaled if setting.factor == 1.0 else f"{scaled}, floor x{setting.factor:g}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _lost(found: Comparison) -> list[Text]:
    """The scenarios in which another arm costs less than ours, the worst first."""
    rows = sorted(_losses(found), reverse=True)
    if not rows:
        return []
    lines = [
        Text(f"  {name}: {winner} {best:.3f}, {_OURS} {ours:.3f}") for _, name, winner, best, ours in rows[:_MOST_LOST]
    ]
    more = f", {_MOST_LOST} of them" if len(rows) > _MOST_LOST else ""
    return [Text(f"another policy costs less than {_OURS} in {len(rows)} (J/J*{more}):"), *lines]


def _losses(found: Comparison) -> Iterator[tuple[float, str, str, float, float]]:
    """How many times dearer ours is, the scenario, the cheapest other arm, its J/J* and ours."""
    for number, ratios in found.j_ratios().items():
        ours = ratios.get(_OURS)
        others = {arm: value for arm, value in ratios.items() if arm != _OURS and value is not None}
        if ours is None or not others:
            continue
        winner = min(others, key=lambda arm: others[arm])
        if others[winner] < ours * (1.0 - 1e-9):
            yield ours / max(others[winner], 1e-9), found.scenarios[number].name, winner, others[winner], ours


def _leads(scenarios: Sequence[Scenario]) -> str:
    leads = sorted({tier.lead_time_seconds for tier in _tiers(scenarios)})
    return f"{leads[0]:g} s" if len(leads) == 1 else f"{leads[0]:g} to {leads[-1]:g} s"


def _tiers(scenarios: Sequence[Scenario]) -> list[Any]:
    return [tier for scenario in scenarios for tier in scenario.storefront.tiers]


def _arm_document(row: Figures) -> dict[str, Any]:
    return {
        "policy": row.policy,
        "unserved_percent": row.unserved_percent,
        "violation_seconds": row.violation_seconds,
        "replica_hours": row.replica_hours,
        "replica_hours_ratio": row.replica_hours_ratio,
        "j_ratio": row.j_ratio,
        "churn_ratio": row.churn_ratio,
        "settings": {
            group: {"hpa_target": setting.hpa_target, "on_cpu": setting.on_cpu, "factor": setting.factor}
            for group, setting in row.settings.items()
        },
        "scenarios": row.scenarios,
        "best_in": row.best_in,
        "verdict": row.verdict,
    }


def _scenario_document(scenario: Scenario, ratios: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "group": scenario.group,
        "start": _utc(scenario, scenario.judged_from),
        "end": _utc(scenario, scenario.ticks),
        "tick_seconds": scenario.tick_seconds,
        "tiers": [
            {
                "name": tier.name,
                "capacity_per_replica": tier.capacity_per_replica_rps,
                "lead_time_seconds": tier.lead_time_seconds,
                "min_replicas": 1 if tier.min_replicas is None else tier.min_replicas,
                "max_replicas": tier.max_replicas,
            }
            for tier in scenario.storefront.tiers
        ],
        "j_ratios": dict(ratios),
    }


def _utc(scenario: Scenario, tick: int) -> str:
    return scenario.at(tick).isoformat(timespec="milliseconds").replace("+00:00", "Z")
