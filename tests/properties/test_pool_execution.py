"""Two Storefronts carry out their plans over one pool: whatever is asked when, it is never overfull."""

from dataclasses import replace

from hypothesis import strategies as st
from tests.properties.plan_world import World, at, given, make_campaign, make_forecast, make_storefront, make_tier

from forerun.domain.campaign import Key
from forerun.domain.observation import Sample
from forerun.domain.policy import Policy, Pool
from forerun.domain.stock import Supply
from forerun.domain.storefront import Accelerator
from forerun.plan.arbitration import ask_of
from forerun.plan.due import decide
from forerun.plan.inputs import DueInput, PlanInput
from forerun.plan.planner import make_plan
from forerun.plan.standing import owed_step

GPU = "nvidia.com/gpu"
TIER = make_tier("reco", accelerator=Accelerator(GPU, 1, "a10"), max_replicas=40)
TICK_SECONDS = 30


class Shop:
    """One Storefront of one tier, its world, and the demand that its campaign really brings."""

    def __init__(self, name, scheduled, forecast_rps, live_rps, baseline):
        self.front = replace(make_storefront(TIER), key=Key("shop", name))
        self.scheduled, self.live_rps = scheduled, live_rps
        start, end = scheduled.occurrence.start, scheduled.occurrence.end
        self.forecast = make_forecast(((start - at(0)).total_seconds(), 60, [forecast_rps] * 400))
        self.world = World(self.front, {"reco": baseline})
        self.is_open = lambda now: start <= at(now) < end
        self.plan = None
        self.asks = ()

    def make_plan(self, now, policy, rivals):
        given_now = PlanInput(
            at(now),
            self.front,
            (self.scheduled,),
            self.forecast,
            None,
            self.world.states(),
            policy,
            self.plan,
            supply=Supply(rivals=rivals),
        )
        self.plan = make_plan(given_now)
        self.asks = self.plan.asks

    def act(self, now, policy, room):
        self.world.now = now
        rps = self.live_rps if self.is_open(now) else 50.0
        samples = tuple(Sample(at(now - 10 * k), rps) for k in reversed(range(5)))
        due = DueInput(
            at(now),
            self.front,
            self.plan,
            (self.scheduled,),
            self.world.states(),
            samples,
            policy,
            tuple(self.world.entries.values()),
            room={"reco": room},
        )
        self.world.apply(decide(due))

    def has(self):
        return self.world.floors["reco"]

    def owed(self, now):
        step = owed_step(self.plan, "reco", at(now))
        return step.floor if step else 0


@st.composite
def shops(draw):
    found = []
    for name in ("one", "two"):
        start = draw(st.integers(600, 4000))
        length = draw(st.integers(300, 4000))
        scheduled = make_campaign(
            name, start, start + length, priority=draw(st.integers(0, 2)), rate=draw(st.sampled_from([10.0, 100.0]))
        )
        rps = st.floats(100, 3000)
        found.append(Shop(name, scheduled, draw(rps), draw(rps), draw(st.integers(1, 4))))
    return found


@given(shops(), st.integers(2, 40), st.integers(0, 5000), examples=40)
def test_the_pool_is_never_overfull(found, capacity, second_known):
    """The second campaign may be declared at any time, also while the first one is open."""
    policy = Policy(pools=(Pool("a10", GPU, capacity),), max_step_down_percent_per_minute=100.0)
    one, two = found
    for now in range(0, 10_000, TICK_SECONDS):
        known = [one, two] if now >= second_known else [one]
        if now in (0, second_known // TICK_SECONDS * TICK_SECONDS + TICK_SECONDS):
            for shop in (*known, *known):
                others = tuple(ask for other in found if other is not shop for ask in _asks(other))
                shop.make_plan(now, policy, others)
        for shop in known:
            other = two if shop is one else one
            taken = max(other.has(), other.owed(now) if other.plan else 0)
            shop.act(now, policy, max(0, capacity - taken))
        standing = sum(shop.world.baselines["reco"] for shop in found)
        assert one.has() + two.has() <= max(capacity, standing)
        assert min(shop.has() - shop.world.baselines["reco"] for shop in found) >= 0


def _asks(shop):
    return shop.asks or (ask_of(shop.front.key, TIER, shop.world.baselines["reco"]),)
