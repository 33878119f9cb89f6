"""Days of a split's periods, or why it has none."""

import pytest

from tff_finance.institutions.day_periods import day_periods
from tff_finance.institutions.split import parse_split


def test_days_of_train_validation_and_test():
    split = parse_split("periods:day:115..122,101..108,129..136")
    assert day_periods(split, "day") == (
        range(115, 122),
        range(101, 108),
        range(129, 136),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("shuffled:0.6,0.2,0.2", "must be `periods:day:FROM..TO.* got 'shuffled:0.6"),
        ("periods:other:1..2,2..3,3..4", "got 'periods:other:1"),
        ("periods:day:1.5..2,2..3,3..4", "whole days of day, got '1.5'"),
        ("periods:day:2018-07-25..2018-08-01,1..2,3..4", "got '2018-07-25'"),
    ],
)
def test_other_splits_are_refused(text, named):
    with pytest.raises(ValueError, match=named):
        day_periods(parse_split(text), "day")
