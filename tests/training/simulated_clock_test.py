"""Simulated clocks: a schedule made by hand, outages, and what always holds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.training.outages import Outage, Outages, random_outages
from tff_finance.training.simulated_clock import (
    AsynchronousClock,
    Site,
    SynchronousClock,
)


def sites(*seconds, outages=None):
    down = outages or {}
    return [
        Site(
            name=f"bank_{number}",
            round_seconds=each,
            outages=lambda number=number: [Outage(*o) for o in down.get(number, ())],
        )
        for number, each in enumerate(seconds)
    ]


def flushes(clock, number):
    return [clock.next_flush() for _ in range(number)]


def shown(flush):
    """Seconds; site, version, local round and staleness of each arrival."""
    return flush.seconds, [
        (a.site, a.version, a.local_round, a.staleness) for a in flush.arrivals
    ]


def test_the_order_of_events_is_that_of_a_schedule_by_hand():
    """Rounds of 2, 3 and 5 seconds, a buffer of 2.

    seconds  2    3    4    5       6          8    9    10
    who      0    1    0    2       0, 1       0    1    0, 2
    flush         0         1          2            3       4
    """
    clock = AsynchronousClock(sites(2.0, 3.0, 5.0), buffer_size=2)
    assert [shown(flush) for flush in flushes(clock, 5)] == [
        (3.0, [(0, 0, 0, 0), (1, 0, 0, 0)]),
        (5.0, [(0, 0, 1, 1), (2, 0, 0, 1)]),
        # The third of bank 0 began at 4, before the flush at 5; so did bank 1, at 3.
        (6.0, [(0, 1, 2, 1), (1, 1, 1, 1)]),
        (9.0, [(0, 3, 3, 0), (1, 3, 2, 0)]),
        # Bank 0 began at 8, before the flush at 9; bank 2 at 5, after that at 5.
        (10.0, [(0, 3, 4, 1), (2, 2, 1, 2)]),
    ]
    # Two at 0, 2 at work, and bank 1 since 9; those at 10 have not begun anew.
    assert clock.downloads == 5 + 4 + 2
    assert clock.versions_in_use == [4]


def test_equal_speeds_and_a_buffer_of_all_are_rounds():
    clock = AsynchronousClock(sites(0.1, 0.1, 0.1), buffer_size=3)
    for number, flush in enumerate(flushes(clock, 30)):
        _, arrivals = shown(flush)
        assert arrivals == [(site, number, number, 0) for site in range(3)]
        assert flush.lost == len(flush.late) == 0


def test_a_buffer_of_one_takes_updates_of_the_same_time_one_by_one():
    clock = AsynchronousClock(sites(2.0, 2.0), buffer_size=1)
    assert [shown(flush) for flush in flushes(clock, 4)] == [
        (2.0, [(0, 0, 0, 0)]),
        (2.0, [(1, 0, 0, 1)]),
        (4.0, [(0, 2, 1, 0)]),
        (4.0, [(1, 2, 1, 1)]),
    ]


def test_counted_by_the_flushes_they_took_all_institutions_count_the_same():
    """What an exponent of -1 rests on; exact if none come at the same time."""
    clock = AsynchronousClock(sites(1.0, 3.4567, 10.0123), buffer_size=1)
    total = [0, 0, 0]
    for flush in flushes(clock, 1000):
        for arrival in flush.arrivals:
            total[arrival.site] += 1 + arrival.staleness
    assert all(1000 - 14 <= flushes_taken <= 1000 for flushes_taken in total)


def test_updates_that_are_too_stale_are_dropped_and_counted():
    clock = AsynchronousClock(sites(1.0, 3.5), buffer_size=1, max_staleness=2)
    found = flushes(clock, 8)
    assert all(a.site == 0 for flush in found for a in flush.arrivals)
    assert [shown(flush)[0] for flush in found] == [1, 2, 3, 4, 5, 6, 7, 8]
    # After 3.5 seconds, and after 7: the one at 7 comes behind bank 0's of then.
    assert [len(flush.late) for flush in found] == [0, 0, 0, 1, 0, 0, 0, 1]
    assert [(a.site, a.staleness, a.seconds) for a in found[3].late] == [(1, 3, 3.5)]
    assert [(a.site, a.staleness, a.seconds) for a in found[7].late] == [(1, 4, 7.0)]
    kept = AsynchronousClock(sites(1.0, 3.5), buffer_size=1, max_staleness=3)
    assert sum(a.site for flush in flushes(kept, 5) for a in flush.arrivals) == 1


def test_an_outage_loses_the_institutions_work_and_nothing_else():
    """Bank 1 is down from 3 to 7: its second round is lost, its third begins at 7."""
    undisturbed = AsynchronousClock(sites(2.0, 2.0), buffer_size=1)
    clock = AsynchronousClock(sites(2.0, 2.0, outages={1: [(3, 7)]}), buffer_size=1)
    expected = [f for f in flushes(undisturbed, 12) if f.arrivals[0].site == 0]
    found = flushes(clock, 9)
    of_bank = {0: [], 1: []}
    for flush in found:
        arrival = flush.arrivals[0]
        of_bank[arrival.site].append((flush.seconds, arrival.local_round))
    assert of_bank[0] == [(f.seconds, f.arrivals[0].local_round) for f in expected[:6]]
    assert of_bank[1] == [(2.0, 0), (9.0, 2), (11.0, 3)]
    assert [f.lost for f in found if f.lost] == [1]
    assert next(f.seconds for f in found if f.lost) == 4.0


def test_an_institution_that_is_down_loses_nothing_and_begins_when_it_is_up():
    down = {0: [(0, 4), (6, 10)]}
    clock = AsynchronousClock(sites(2.0, outages=down), buffer_size=1)
    found = flushes(clock, 3)
    assert [f.seconds for f in found] == [6.0, 12.0, 14.0]
    assert [f.lost for f in found] == [0, 0, 0]
    synchronous = SynchronousClock(sites(2.0, outages=down))
    rounds = [synchronous.next_round() for _ in range(3)]
    assert [(r.seconds, r.lost) for r in rounds] == [(6, 0), (12, 0), (14, 0)]


def test_a_synchronous_round_lasts_as_long_as_its_slowest():
    clock = SynchronousClock(sites(1.0, 2.0, 5.0, outages={0: [(5.5, 11)]}))
    rounds = [clock.next_round() for _ in range(3)]
    # Bank 0 goes down in the second round, and begins it again at 11.
    assert [(r.seconds, r.lost) for r in rounds] == [(5, 0), (12, 1), (17, 0)]


def test_outages_that_come_again_and_again_cost_a_try_each():
    clock = SynchronousClock(sites(2.0, outages={0: [(1, 2), (3, 4), (5, 6)]}))
    first = clock.next_round()
    assert (first.seconds, first.lost) == (8.0, 3)


def test_random_outages_are_as_frequent_and_long_as_stated():
    drawn = list(itertools.islice(random_outages(0.1, 5.0, seed=[3, 1]), 4000))
    assert all(end - start == pytest.approx(5) for start, end in drawn)
    up = [b.start - a.end for a, b in itertools.pairwise(drawn)]
    assert min(up) > 0
    assert np.mean(up) == pytest.approx(10, rel=0.05)
    assert np.std(up) == pytest.approx(10, rel=0.08)
    again = itertools.islice(random_outages(0.1, 5.0, seed=[3, 1]), 4000)
    assert list(again) == drawn
    assert next(random_outages(0.1, 5.0, seed=[3, 2])) != drawn[0]
    assert list(random_outages(0.0, 5.0, seed=[3, 1])) == []


def test_outages_are_found_in_order():
    outages = Outages([Outage(1, 2), Outage(4, 6)])
    found = [outages.next_after(seconds) for seconds in (0, 1.5, 2, 5, 6)]
    assert found == [(1, 2), (1, 2), (4, 6), (4, 6), None]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_round_takes_time(seconds):
    with pytest.raises(ValueError, match="`round_seconds of bank_0` must be positive"):
        sites(seconds)


seconds = st.sampled_from([0.5, 1.0, 1.5, 2.0, 7.0]) | st.floats(0.1, 10)
intervals = st.lists(st.floats(0.01, 8), max_size=6).map(
    lambda gaps: list(
        zip(
            np.cumsum(gaps)[0::2].tolist(), np.cumsum(gaps)[1::2].tolist(), strict=False
        )
    )
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(seconds, intervals), min_size=1, max_size=5),
    st.integers(1, 6),
    st.none() | st.integers(0, 4),
    st.integers(1, 30),
)
def test_nothing_is_lost_but_what_is_counted(banks, buffer_size, max_staleness, number):
    down = {bank: outages for bank, (_, outages) in enumerate(banks)}
    clock = AsynchronousClock(
        sites(*(each for each, _ in banks), outages=down),
        buffer_size=buffer_size,
        max_staleness=max_staleness,
    )
    found = flushes(clock, number)
    arrivals = [a for flush in found for a in (*flush.late, *flush.arrivals)]
    lost = sum(flush.lost for flush in found)
    at_work = clock.downloads - len(arrivals) - lost
    assert 0 <= at_work <= len(banks)
    assert clock.version == number
    times = [flush.seconds for flush in found]
    assert times == sorted(times)
    for flush in found:
        assert len(flush.arrivals) == buffer_size
    # Staleness is the number of flushes between start and arrival.
    for index, flush in enumerate(found):
        for arrival in flush.arrivals:
            assert arrival.staleness == index - arrival.version >= 0
            began = arrival.seconds - banks[arrival.site][0]
            between = [t for t in times[:index] if t > began + 1e-9]
            at_once = [t for t in times[:index] if abs(t - began) <= 1e-9]
            assert len(between) <= arrival.staleness <= len(between + at_once)
        assert all(a.staleness > max_staleness for a in flush.late)
    for bank, (each, outages) in enumerate(banks):
        own = sorted(a.local_round for a in arrivals if a.site == bank)
        assert own == sorted(set(own))
        for arrival in (a for a in arrivals if a.site == bank):
            began = arrival.seconds - each
            assert not any(
                start < arrival.seconds - 1e-9 and end > began + 1e-9
                for start, end in outages
            )
