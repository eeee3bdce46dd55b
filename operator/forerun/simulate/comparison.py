"""Runs arms side by side on scenarios, every setting of each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from forerun.simulate.arena import Answer, Entrant, Result, Schedule, Told, compete
from forerun.simulate.figures import Comparison, Run, Sums
from forerun.simulate.policy import Policy, known_of
from forerun.simulate.registry import Arm, Broken, Planned
from forerun.simulate.scenario import Scenario, World
from forerun.simulate.score import COST_RATIO
from forerun.simulate.yardstick import oracle_sums

BATCH = 8  # scenarios between two moments at which an interrupt loses nothing


def compare(
    arms: Sequence[Arm],
    scenarios: Sequence[Scenario],
    world: World,
    answer: Answer,
    *,
    cost_ratio: float = COST_RATIO,
    repeats: int = 1,
    keep_floors: bool = False,
    told: Told = lambda _: None,
) -> Comparison:
    """Run every setting of every arm on every scenario; repeats differ in the seed. An interrupt ends it early."""
    comparison = Comparison(scenarios, arms, world, cost_ratio)
    total = len(scenarios) * repeats
    try:
        for repeat in range(repeats):
            luck = replace(world, seed=world.seed + repeat)
            for numbers in _batches(len(scenarios)):
                for number in numbers:
                    comparison.oracle.setdefault(number, oracle_sums(scenarios[number], world, cost_ratio))
                _run_batch(comparison, numbers, repeat, luck, answer, keep_floors and repeat == 0, told)
                told(f"{repeat * len(scenarios) + numbers[-1] + 1} of {total} scenarios")
    except KeyboardInterrupt:
        comparison.interrupted = True
    return comparison


def _run_batch(
    comparison: Comparison,
    numbers: Sequence[int],
    repeat: int,
    world: World,
    answer: Answer,
    keep_floors: bool,
    told: Told,
) -> None:
    for arms in _passes(comparison.arms):
        told(f"{', '.join(arm.name for arm in arms)}: scenarios {numbers[0] + 1} to {numbers[-1] + 1}")
        rows = [(number, entrant) for number in numbers for entrant in _entrants(arms, comparison, number, world)]
        decides = not isinstance(arms[0], Planned)
        results = compete([entrant for _, entrant in rows], world, answer, record=keep_floors and decides)
        for (number, _), result in zip(rows, results, strict=True):
            _note(comparison, (number, repeat), result, keep_floors)


def _passes(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms that decide run one after another: what one of them asks or breaks is not another one's business."""
    planned: list[Arm] = [arm for arm in arms if isinstance(arm, Planned)]
    deciding: list[list[Arm]] = [[arm] for arm in arms if not isinstance(arm, Planned)]
    return [planned, *deciding] if planned else deciding


def _note(comparison: Comparison, run: Run, result: Result, keep_floors: bool) -> None:
    """What came of one entrant; one that was refused has no scores."""
    entrant = result.entrant
    if not result.scores:
        comparison.refused.setdefault(entrant.policy, result.verdict or "")
        return
    comparison.note(entrant.policy, entrant.setting, run, _sums(result, comparison.cost_ratio))
    if keep_floors:
        comparison.floors[entrant.policy, entrant.setting, run[0]] = _floors(result)


def _entrants(arms: Iterable[Arm], comparison: Comparison, number: int, world: World) -> Iterator[Entrant]:
    scenario = comparison.scenarios[number]
    for arm in arms:
        floors = _planned(arm, scenario, world) if isinstance(arm, Planned) else {}
        for setting in arm.settings:
            if isinstance(arm, Planned):
                yield Entrant(scenario, arm.name, setting, floors[setting.factor])
            else:
                made = _whole(partial(arm.make, known_of(scenario, world, setting.hpa_target)))
                yield Entrant(scenario, arm.name, setting, made)


def _planned(arm: Planned, scenario: Scenario, world: World) -> dict[float, Schedule | Policy]:
    """By factor. They are the same at every target of the autoscaler."""
    factors = dict.fromkeys(setting.factor for setting in arm.settings)
    try:
        sized = arm.plan(known_of(scenario, world, None))
    except Exception as error:  # noqa: BLE001  # one arm must not end the others
        return {factor: Broken(error) for factor in factors}
    return {factor: _whole(partial(sized, factor)) for factor in factors}


def _whole(make: Callable[[], Schedule | Policy]) -> Schedule | Policy:
    """What is made, or what says why there is nothing."""
    try:
        return make()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an arm of somebody else's must not end the others
        return Broken(error)


def _sums(result: Result, cost_ratio: float) -> Sums:
    scores = list(result.scores.values())
    return Sums(
        cost=sum(score.cost(cost_ratio) for score in scores),
        replica_seconds=sum(score.replica_seconds for score in scores),
        unserved=sum(score.unserved for score in scores),
        demand=sum(score.demand for score in scores),
        violation_seconds=sum(score.violation_seconds for score in scores),
        churn=sum(score.churn for score in scores),
        verdict=result.verdict,
    )


def _floors(result: Result) -> Schedule:
    if isinstance(result.entrant.floors, Mapping):
        return result.entrant.floors
    return {tier: recorded.floor for tier, recorded in result.recorded.items()}


def _batches(count: int) -> Iterator[range]:
    for first in range(0, count, BATCH):
        yield range(first, min(count, first + BATCH))
