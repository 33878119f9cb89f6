"""Argument checks: where the limits lie, and that the message names all parties."""

import math

import pytest

from tff_finance import checks


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_positive_refuses(value):
    with pytest.raises(ValueError, match=f"`rate` must be positive, got {value!r}"):
        checks.check_positive("rate", value)


@pytest.mark.parametrize("value", [0.999, -3, math.nan, math.inf])
def test_at_least_refuses(value):
    with pytest.raises(ValueError, match=f"`rows` must be at least 1, got {value!r}"):
        checks.check_at_least("rows", value, 1)


@pytest.mark.parametrize("value", [-0.001, 1.001, math.nan, math.inf])
def test_in_range_refuses(value):
    with pytest.raises(ValueError, match=f"`share` must be between .*, got {value!r}"):
        checks.check_in_range("share", value, 0, 1)


def test_one_of_refuses_and_lists_what_is_allowed():
    with pytest.raises(ValueError, match="`unit` must be one of a, b; got 'c'"):
        checks.check_one_of("unit", "c", ("a", "b"))


def test_limits_are_allowed():
    checks.check_positive("rate", 1e-300)
    checks.check_at_least("rows", 1, 1)
    checks.check_in_range("share", 0, 0, 1)
    checks.check_in_range("share", 1, 0, 1)
    checks.check_one_of("unit", "b", ("a", "b"))
