"""Contributions: a game solved by hand, and the axioms that define Shapley's value."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_finance.evaluation.contribution import (
    MAX_EXACT,
    coalitions_to_train,
    leave_one_out,
    shapley_values,
)

NAMES = ("a", "b", "c")
# By hand, over the six orders of joining:
#   abc: a 12, b 12, c 18   acb: a 12, c 24, b 6   bac: b 6, a 18, c 18
#   bca: b 6, c 12, a 24    cab: c 6, a 30, b 6    cba: c 6, b 12, a 24
GAME = {
    "": 0.0,
    "a": 12.0,
    "b": 6.0,
    "c": 6.0,
    "ab": 24.0,
    "ac": 36.0,
    "bc": 18.0,
    "abc": 42.0,
}
BY_HAND = {"a": 120 / 6, "b": 48 / 6, "c": 84 / 6}


def values_of(game):
    return {frozenset(members): value for members, value in game.items()}


def subsets(names):
    for size in range(len(names) + 1):
        yield from map(frozenset, itertools.combinations(names, size))


@st.composite
def games(draw, least=1, most=5):
    """Names, and the value of every coalition of them."""
    names = "abcdef"[: draw(st.integers(least, most))]
    numbers = st.floats(-1, 1, allow_nan=False)
    return tuple(names), {members: draw(numbers) for members in subsets(names)}


def test_by_hand():
    assert shapley_values(NAMES, values_of(GAME)) == pytest.approx(BY_HAND)
    assert leave_one_out(NAMES, values_of(GAME)) == {"a": 24.0, "b": 6.0, "c": 18.0}


@given(games())
def test_equals_the_mean_over_all_orders_of_joining(game):
    names, values = game
    expected = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for place, name in enumerate(order):
            gain = (
                values[frozenset(order[: place + 1])] - values[frozenset(order[:place])]
            )
            expected[name] += gain / math.factorial(len(names))
    assert shapley_values(names, values) == pytest.approx(expected, abs=1e-12)


@given(games())
def test_efficiency(game):
    """They share out what everybody is worth, and no more."""
    names, values = game
    total = values[frozenset(names)] - values[frozenset()]
    assert sum(shapley_values(names, values).values()) == pytest.approx(
        total, abs=1e-12
    )


@given(games(least=2))
def test_symmetry(game):
    """Two whose joining adds the same to every coalition get the same."""
    names, values = game
    first, second, *_ = names
    swap = {first: second, second: first}
    alike = {
        members: values[min(members, swapped(members, swap), key=sorted)]
        for members in values
    }
    shares = shapley_values(names, alike)
    assert shares[first] == pytest.approx(shares[second], abs=1e-12)


def swapped(members, swap):
    return frozenset(swap.get(name, name) for name in members)


@given(games(), st.floats(-1, 1))
def test_dummy(game, worth):
    """One that adds the same to everybody gets that; one that adds nothing, nothing."""
    names, values = game
    more = {
        members: values[members - {"z"}] + worth * ("z" in members)
        for members in subsets((*names, "z"))
    }
    shares = shapley_values((*names, "z"), more)
    assert shares.pop("z") == pytest.approx(worth, abs=1e-12)
    assert shares == pytest.approx(shapley_values(names, values), abs=1e-12)
    assert leave_one_out((*names, "z"), more)["z"] == pytest.approx(worth, abs=1e-12)


@given(games(least=3, most=3), games(least=3, most=3), st.floats(-2, 2))
def test_additivity(one, other, factor):
    """So that means over seeds of contributions are contributions to means."""
    names, first = one
    _, second = other
    both = {members: first[members] + factor * second[members] for members in first}
    expected = np.array([*shapley_values(names, first).values()]) + factor * np.array(
        [*shapley_values(names, second).values()]
    )
    np.testing.assert_allclose(
        [*shapley_values(names, both).values()], expected, atol=1e-12
    )


def test_coalitions_by_hand():
    assert coalitions_to_train(("x", "y", "z"), "all") == [
        ("x", "y", "z"),
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
        ("x",),
        ("y",),
        ("z",),
    ]
    assert coalitions_to_train(("x", "y", "z"), "leave_one_out") == [
        ("x", "y", "z"),
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
    ]
    assert coalitions_to_train(("x",), "leave_one_out") == [("x",)]


@pytest.mark.parametrize("which", ["all", "leave_one_out"])
@pytest.mark.parametrize("number", range(1, MAX_EXACT + 1))
def test_coalitions_are_what_contributions_need(which, number):
    names = tuple("abcdef"[:number])
    coalitions = coalitions_to_train(names, which)
    assert len(set(coalitions)) == len(coalitions)
    values = {frozenset(members): 0.7 for members in coalitions} | {frozenset(): 0.5}
    assert set(leave_one_out(names, values)) == set(names)
    if which == "all":
        assert len(coalitions) == 2**number - 1
        assert sum(shapley_values(names, values).values()) == pytest.approx(0.2)


def test_too_many_institutions_are_told_what_to_use_instead():
    names = tuple("abcdefg")
    with pytest.raises(ValueError, match=r"127 models.*leave_one_out, which trains 8"):
        coalitions_to_train(names, "all")
    assert len(coalitions_to_train(names, "leave_one_out")) == 8


def test_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="`coalitions` must be one of all, leave_one"):
        coalitions_to_train(NAMES, "some")


def test_a_missing_value_is_named():
    values = values_of(GAME)
    del values[frozenset("ab")]
    with pytest.raises(ValueError, match="the coalition of a, b"):
        shapley_values(NAMES, values)
    with pytest.raises(ValueError, match="the coalition of a, b"):
        leave_one_out(NAMES, values)
    del values[frozenset()]
    with pytest.raises(ValueError, match="the coalition of nobody"):
        shapley_values(NAMES, values)
