"""The short form of hostile.py."""

from tests.faults.hostile import live


def test_no_object_makes_anybody_stumble():
    counts = live(range(1_000_000, 1_000_300))
    assert not counts.faults, "\n".join(ascii(fault) for fault in counts.faults[:5])
    assert counts.objects > 1000
    assert min(counts.accepted, counts.refused, counts.planned) > 50
