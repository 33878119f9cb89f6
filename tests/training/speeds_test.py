"""Speeds by distribution or from a file, and outages of both kinds."""

import itertools

import numpy as np
import pytest

from tff_finance.checks import RunFailedError
from tff_finance.records.asynchronous_config import (
    FROM_FILE,
    AsynchronousConfig,
    InstitutionTimes,
)
from tff_finance.training.outages import Outage
from tff_finance.training.speeds import joined, sites

NAMES = [f"bank_{number}" for number in range(5)]


def seconds(text, seed=1, names=NAMES):
    config = AsynchronousConfig(institution_seconds=text)
    return [site.round_seconds for site in sites(config, names, seed)]


def test_speeds_are_as_stated():
    assert seconds("equal(60)") == [60.0] * 5
    assert sorted(seconds("one_slow(60, 10)")) == [60.0] * 4 + [600.0]
    slow = {np.argmax(seconds("one_slow(60,10)", seed)) for seed in range(40)}
    assert slow == set(range(5))
    drawn = np.log(seconds("lognormal(60, 0.5)", names=["bank"] * 4000))
    assert np.mean(drawn) == pytest.approx(np.log(60), abs=0.03)
    assert np.std(drawn) == pytest.approx(0.5, rel=0.05)


def test_the_same_seed_draws_the_same():
    assert seconds("lognormal(60, 0.5)") == seconds("lognormal(60, 0.5)")
    assert seconds("lognormal(60, 0.5)") != seconds("lognormal(60, 0.5)", seed=2)
    # What FedBuff has where nothing is stated.
    assert seconds("") == seconds("lognormal(60, 0.5)")


def test_a_file_has_every_institution():
    times = tuple(
        InstitutionTimes(
            institution=name, seconds=10.0 + n, download_seconds=1, upload_seconds=2
        )
        for n, name in enumerate(["bank_1", "bank_0", "spare"])
    )
    config = AsynchronousConfig(institution_seconds=FROM_FILE, institutions=times)
    found = sites(config, ["bank_0", "bank_1"], 1)
    assert [site.round_seconds for site in found] == [14, 13]
    with pytest.raises(RunFailedError, match=r"no times of \['bank_2'\]"):
        sites(config, ["bank_0", "bank_2"], 1)


def test_outages_that_are_stated_and_drawn_are_one_sequence():
    times = InstitutionTimes(institution="a", seconds=9, outages=((0, 5), (6, 7)))
    config = AsynchronousConfig(
        institution_seconds=FROM_FILE,
        institutions=(times,),
        outage_rate=0.05,
        outage_seconds=3,
    )
    (site,) = sites(config, ["a"], 1)
    found = list(itertools.islice(site.outages(), 200))
    assert list(itertools.islice(site.outages(), 200)) == found
    assert found[0].start == 0
    edges = [time for outage in found for time in outage]
    assert edges == sorted(set(edges))
    assert next(iter(sites(config, ["a"], 2)[0].outages())) == found[0]
    assert list(itertools.islice(sites(config, ["a"], 2)[0].outages(), 200)) != found


def test_outages_that_overlap_are_one():
    one = [Outage(1, 3), Outage(8, 9)]
    other = [Outage(2, 4), Outage(4, 5), Outage(10, 11)]
    assert list(joined(one, other)) == [(1, 5), (8, 9), (10, 11)]
    assert list(joined([], [])) == []


def test_outages_that_let_no_round_end_are_refused():
    config = AsynchronousConfig(
        institution_seconds="equal(60)", outage_rate=0.1, outage_seconds=1
    )
    with pytest.raises(RunFailedError, match="6 outages in a round of 60 s"):
        sites(config, NAMES, 1)
