from datetime import timedelta
from itertools import pairwise

import pytest

from forerun.forecast.grid import MAX_CELLS, make_grid, tail_end


@pytest.mark.parametrize("seconds", [1, 10, 60, 600, 1800, 3600, 7200, 4 * 3600, 86400, 30 * 86400, 400 * 86400])
def test_one_window_is_covered_with_its_tail(scene, seconds):
    window = scene.window(hours=seconds / 3600)
    (segment,) = make_grid([window])
    assert segment.start == window.occurrence.start
    assert segment.end >= tail_end(window)
    assert 24 <= segment.cells <= MAX_CELLS
    assert segment.step_seconds == int(segment.step_seconds) or seconds < 24


def test_tail_is_a_quarter_and_an_hour_at_most(scene):
    assert tail_end(scene.window(hours=2)) - scene.window(hours=2).occurrence.end == timedelta(minutes=30)
    assert tail_end(scene.window(hours=20)) - scene.window(hours=20).occurrence.end == timedelta(hours=1)


def test_disjoint_windows_give_disjoint_segments(scene):
    a, b = scene.window("s/a"), scene.window("s/b", start=scene.start + timedelta(hours=5))
    assert [segment.windows for segment in make_grid([b, a])] == [(a,), (b,)]


def test_overlapping_windows_are_one_segment(scene):
    a, b = scene.window("s/a"), scene.window("s/b", start=scene.start + timedelta(hours=1))
    (segment,) = make_grid([a, b])
    assert segment.windows == (a, b)
    assert segment.end >= tail_end(b)


def test_a_push_inside_a_month_of_sale_keeps_fine_cells(scene):
    month = scene.window("s/month", hours=720)
    push = scene.window("s/push", start=scene.start + timedelta(days=9), hours=0.25)
    segments = make_grid([month, push])
    assert [len(segment.windows) for segment in segments] == [1, 2, 1]
    assert segments[1].step_seconds <= 30
    assert all(a.end <= b.start for a, b in pairwise(segments))
    assert segments[-1].end >= tail_end(month)


def test_a_window_without_length_is_left_out(scene):
    assert make_grid([scene.window(hours=0)]) == ()
