"""What dividing an accelerator pool must never do, whoever asks for how much and when."""

from dataclasses import replace

from hypothesis import strategies as st
from tests.properties.plan_world import given

from forerun.domain.campaign import Key
from forerun.domain.stock import Ask, Piece
from forerun.plan.arbitration import Ceiling, ceiling_at, divided, eased, joined, piece_at
from forerun.plan.sharing import Want, shared

wants = st.lists(
    st.builds(
        Want,
        name=st.tuples(st.text("abcdef", max_size=2)),
        priority=st.integers(0, 2),
        each=st.integers(1, 4),
        count=st.integers(0, 30),
    ),
    max_size=6,
    unique_by=lambda want: want.name,
)


def used(granted, asked) -> int:
    return sum(want.each * granted[want.name] for want in asked)


@given(st.integers(0, 100), wants)
def test_all_that_is_there_and_no_more(free, asked):
    granted = shared(free, asked)
    left = free - used(granted, asked)
    assert left >= 0
    for want in asked:
        assert 0 <= granted[want.name] <= want.count
        assert granted[want.name] == want.count or want.each > left  # nobody goes without what nobody has


@given(st.integers(0, 100), wants, st.data())
def test_a_higher_priority_never_gets_less_because_a_lower_one_asks(free, asked, data):
    lower = data.draw(wants)
    names = {want.name for want in asked}
    below = [replace(want, priority=-1 - want.priority) for want in lower if want.name not in names]
    alone, together = shared(free, asked), shared(free, [*asked, *below])
    assert {name: together[name] for name in alone} == alone


@given(st.integers(0, 100), wants, st.data())
def test_who_asks_for_more_never_gets_less(free, asked, data):
    if not asked:
        return
    place = data.draw(st.integers(0, len(asked) - 1))
    more = replace(asked[place], count=asked[place].count + data.draw(st.integers(1, 20)))
    assert shared(free, [*asked[:place], more, *asked[place + 1 :]])[more.name] >= shared(free, asked)[more.name]


@given(st.integers(0, 100), st.integers(0, 20), wants)
def test_a_larger_pool_gives_nobody_less_of_equal_replicas(free, more, asked):
    """With replicas of different sizes that is not to be had: a large one may take the place of a small one."""
    equal = [replace(want, each=2) for want in asked]
    small, large = shared(free, equal), shared(free + more, equal)
    assert all(large[name] >= count for name, count in small.items())


@given(st.integers(0, 100), wants, st.randoms())
def test_the_order_of_asking_does_not_matter(free, asked, random):
    shuffled = list(asked)
    random.shuffle(shuffled)
    assert shared(free, shuffled) == shared(free, asked)


@given(st.integers(0, 60), wants)
def test_among_equals_nobody_has_less_only_because_another_has_more(free, asked):
    equal = [replace(want, each=1, priority=0) for want in asked]
    granted = shared(free, equal)
    for want in equal:
        if granted[want.name] < want.count:
            assert all(granted[other.name] <= granted[want.name] + 1 for other in equal)


@st.composite
def asks(draw) -> list[Ask]:
    found = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        edges = sorted(draw(st.sets(st.integers(0, 20), min_size=2, max_size=6)))
        priority, baseline = draw(st.integers(0, 2)), draw(st.integers(0, 4))
        pieces = tuple(
            Piece(60 * at, 60 * until, baseline + draw(st.integers(0, 12)), priority)
            for at, until in zip(edges, edges[1:], strict=False)
        )
        found.append(Ask(Key("shop", name), "reco", "a10", "gpu", draw(st.integers(1, 3)), baseline, pieces))
    return found


def has(ask: Ask, ceilings, at: int) -> int:
    piece = piece_at(ask.pieces, at)
    return max(ask.baseline, min(piece.replicas, ceiling_at(ceilings[ask.claimant], at))) if piece else ask.baseline


@given(asks(), st.integers(0, 40))
def test_at_no_time_is_more_promised_than_there_is(found, limit):
    """And nobody gets less than the baseline, which the pool may be too small for by itself."""
    ceilings = divided(found, limit, {ask.claimant for ask in found})
    standing = sum(ask.per_replica * ask.baseline for ask in found)
    for at in range(0, 21 * 60, 30):
        assert sum(ask.per_replica * has(ask, ceilings, at) for ask in found) <= max(limit, standing)


@given(asks(), st.integers(0, 40))
def test_everybody_computes_the_same_division(found, limit):
    together = divided(found, limit, {ask.claimant for ask in found})
    for ask in found:
        alone = divided(found, limit, {ask.claimant})
        assert [has(ask, alone, 60 * m) for m in range(21)] == [has(ask, together, 60 * m) for m in range(21)]


@given(asks(), st.integers(0, 40), st.integers(1, 5))
def test_a_donor_is_down_in_steps_before_the_receiver_comes(found, limit, worth):
    ask = found[0]
    ceilings = divided(found, limit, {ask.claimant})[ask.claimant]
    if not ceilings:
        return
    top = max(piece.replicas for piece in ask.pieces)
    easy = eased(ceilings, top, worth)
    end = ceilings[-1].at
    for at in range(ceilings[0].at, end + 60, 30):
        assert ceiling_at(easy, at) <= min(top, ceiling_at(ceilings, at))
        later = ceiling_at(easy, at + 60)
        assert ceiling_at(easy, at) - later <= worth or at < ceilings[0].at + 60
        if at > ceilings[0].at + 60:
            assert ceiling_at(easy, at) <= max(ceiling_at(ceilings, at + 60), ceiling_at(easy, at + 60))


def test_a_fall_is_over_a_minute_before_it_is_needed():
    assert eased((Ceiling(0, 12), Ceiling(600, 4)), top=12, worth=3) == (
        (0, 12),
        (420, 10),
        (480, 7),
        (540, 4),
    )


@given(asks(), asks())
def test_joined_asks_ask_for_no_less(one, two):
    merged = {ask.claimant: ask for ask in joined([*one, *two])}
    for ask in (*one, *two):
        for piece in ask.pieces:
            for at in (piece.at, piece.until - 1):
                there = piece_at(merged[ask.claimant].pieces, at)
                assert there is not None and there.replicas >= piece.replicas
