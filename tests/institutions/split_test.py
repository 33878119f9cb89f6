"""Splits: no row in two tables, past before future, text that reads back."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tff_finance.institutions.split import (
    SYNTAXES,
    PeriodSplit,
    ShuffledSplit,
    TimeSplit,
    parse_split,
    split_table,
)

FIFTHS = (0.6, 0.2, 0.2)
fractions = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)).map(
    lambda parts: tuple(part / sum(parts) for part in parts)
)
columns = st.text(min_size=1, max_size=12)
limits = st.text(min_size=1, max_size=8).filter(lambda text: "." not in text)
splits = st.one_of(
    st.builds(ShuffledSplit, fractions, stratified=st.booleans()),
    st.builds(TimeSplit, st.none() | columns, fractions, gap=st.floats(0, 1e9)),
    st.builds(PeriodSplit, columns, st.tuples(*3 * [st.tuples(limits, limits)])),
)


def payments(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "customer": rng.integers(40, size=rows),
            "day": rng.integers(30, size=rows),
            "fraud": (rng.random(rows) < 0.2).astype(int),
        },
        index=np.arange(rows) % 7,
    )


def split(table, how, seed=0, **columns):
    return split_table("bank_a", table, how, rng=np.random.default_rng(seed), **columns)


def tables_of(institution):
    return institution.train, institution.validation, institution.test


def ids(institution):
    return [list(table["id"]) for table in tables_of(institution)]


@given(splits)
def test_a_split_equals_what_its_text_reads_back_as(how):
    assert parse_split(str(how)) == how


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("shuffled:0.6,0.2,0.2", ShuffledSplit(FIFTHS)),
        ("stratified:0.6,0.2,0.2", ShuffledSplit(FIFTHS, stratified=True)),
        ("time:TX_DATETIME:0.6,0.2,0.2", TimeSplit("TX_DATETIME", FIFTHS)),
        ("time:day:0.6,0.2,0.2:gap=7", TimeSplit("day", FIFTHS, gap=7)),
        ("row_order:0.6,0.2,0.2", TimeSplit(None, FIFTHS)),
        (
            "periods:day:115..121,121..122,129..136",
            PeriodSplit("day", (("115", "121"), ("121", "122"), ("129", "136"))),
        ),
    ],
)
def test_published_texts(text, how):
    assert parse_split(text) == how
    assert str(how) == text
    assert text.partition(":")[0] in SYNTAXES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`split` must be one of shuffled:TRAIN,VALIDATION,TEST; "),
        ("shuffled", "must look like shuffled:TRAIN,VALIDATION,TEST; got 'shuffled'"),
        ("shuffled:0.6,0.2", r"add up to 1, got \(0.6, 0.2\)"),
        ("shuffled:0.6,0.2,0.3", "add up to 1"),
        ("shuffled:1,0,0", "must be positive"),
        ("shuffled:0.6,0.2,x", "'x' where a number must be"),
        ("shuffled:0.6,0.2,0.2:gap=1", "must look like"),
        ("time:day:0.6,0.2,0.2:gap=-1", "`gap` must be at least 0, got -1.0"),
        ("periods:day:1..2,3..4", "must be one `FROM..TO` for each"),
        ("periods:day:1..2,3..4,5", "must be one `FROM..TO` for each"),
    ],
)
def test_texts_that_are_no_split_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_split(text)


@settings(deadline=None)
@given(
    shares=fractions,
    rows=st.integers(60, 200),
    seed=st.integers(0, 2**32),
    stratified=st.booleans(),
)
def test_shuffled_rows_are_in_exactly_one_table(shares, rows, seed, stratified):
    how = ShuffledSplit(shares, stratified=stratified)
    table = payments(rows, seed)
    institution = split(table, how, seed, label="fraud")
    assert sorted(np.concatenate(ids(institution))) == list(range(rows))
    for share, part in zip(shares, tables_of(institution), strict=True):
        assert abs(len(part) - share * rows) <= 1
        assert part["id"].is_monotonic_increasing
        if stratified:
            assert abs(part["fraud"].sum() - share * table["fraud"].sum()) <= 2
    assert ids(split(table, how, seed, label="fraud")) == ids(institution)


def test_each_row_is_as_likely_in_each_table():
    table = payments(10).assign(fraud=[0, 1] * 5)
    for how in (ShuffledSplit((0.3, 0.3, 0.4)), ShuffledSplit(FIFTHS, stratified=True)):
        tested = np.zeros(10)
        for seed in range(600):
            tested[ids(split(table, how, seed, label="fraud"))[2]] += 1
        share = how.fractions[2]
        np.testing.assert_allclose(tested / 600, share, atol=0.1)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_clusters_stay_together(seed):
    institution = split(payments(), ShuffledSplit(), seed, clusters="customer")
    homes = [set(part["customer"]) for part in tables_of(institution)]
    assert len(set.union(*homes)) == sum(map(len, homes))
    assert sorted(np.concatenate(ids(institution))) == list(range(200))
    for share, part in zip(FIFTHS, tables_of(institution), strict=True):
        assert abs(len(part) / 200 - share) < 0.07


@settings(deadline=None)
@given(
    shares=fractions,
    seed=st.integers(0, 2**32),
    gap=st.sampled_from([0, 1, 2.5]),
    dates=st.booleans(),
)
def test_tables_follow_one_another_in_time(shares, seed, gap, dates):
    table = payments(seed=seed)
    day = table["day"]
    if dates:
        table["day"] = pd.Timestamp("2018-04-01") + pd.to_timedelta(day, "D")
    try:
        institution = split(table, TimeSplit("day", shares, gap=gap), seed)
    except ValueError as error:
        assume("each of its tables needs some" not in str(error))
        raise
    days = [day.to_numpy()[rows] for rows in ids(institution)]
    for earlier, later in itertools.pairwise(days):
        # The next table starts a gap behind the first day that the earlier lacks.
        assert later.min() > earlier.max() + gap
    left_out = np.setdiff1d(np.arange(200), np.concatenate(ids(institution)))
    if gap == 0:
        assert not len(left_out)
    for row in left_out:
        assert any(
            earlier.max() < day.iloc[row] < later.min()
            for earlier, later in itertools.pairwise(days)
        )


def test_time_golden():
    table = pd.DataFrame({"id": range(10), "day": [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]})
    assert ids(split(table, TimeSplit("day", FIFTHS))) == [
        [1, 2, 3, 4, 5, 6],
        [7, 8],
        [0, 9],
    ]
    # Validation ends before day 8, test starts at 8 + 1; validation at 6 + 1.
    assert ids(split(table, TimeSplit("day", FIFTHS, gap=1))) == [
        [1, 2, 3, 4, 5, 6],
        [8],
        [0],
    ]


def test_equal_times_stay_together_in_the_later_table():
    table = pd.DataFrame({"id": range(10), "day": [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]})
    assert ids(split(table, TimeSplit("day", (0.5, 0.3, 0.2)))) == [
        [0, 1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
    ]


def test_rows_in_order_of_time_need_no_column():
    table = pd.DataFrame({"id": range(10)}, index=[3] * 10)
    assert ids(split(table, TimeSplit(None, FIFTHS))) == [
        [0, 1, 2, 3, 4, 5],
        [6, 7],
        [8, 9],
    ]


@pytest.mark.parametrize("zone", [None, "Europe/Brussels"])
def test_periods_of_dates_have_their_delay_left_out(zone):
    times = pd.date_range("2018-07-24", "2018-08-16", freq="6h", tz=zone)
    table = pd.DataFrame({"id": range(len(times)), "time": times})
    how = parse_split(
        "periods:time:2018-07-25..2018-07-31,2018-07-31..2018-08-01,"
        "2018-08-08..2018-08-15"
    )
    train, validation, test = tables_of(split(table, how))
    assert (len(train), len(validation), len(test)) == (6 * 4, 4, 7 * 4)
    assert str(train["time"].min().date()) == "2018-07-25"
    assert str(validation["time"].min().date()) == "2018-07-31"
    assert str(test["time"].max().date()) == "2018-08-14"


def test_validation_may_come_before_training():
    table = pd.DataFrame({"id": range(8), "day": range(8)})
    early = ids(split(table, parse_split("periods:day:3..5,1..2,6..7")))
    late = ids(split(table, parse_split("periods:day:1..2,3..5,6..7")))
    assert [early[1], early[0], early[2]] == late


def test_periods_of_numbers_golden():
    table = pd.DataFrame({"id": range(8), "day": [0, 1, 2, 3, 4, 5, 6, 7]})
    assert ids(split(table, parse_split("periods:day:1..3,3..4,5.5..7"))) == [
        [1, 2],
        [3],
        [6],
    ]


@pytest.mark.parametrize(
    ("how", "columns", "message"),
    [
        (
            ShuffledSplit(),
            {"clusters": "same"},
            "leaves 'bank_a' .* of 200 rows: each of its tables needs some",
        ),
        (TimeSplit("same"), {}, "leaves 'bank_a' 0 for train, 0 for valid.*200 for te"),
        (TimeSplit("day", gap=99), {}, "0 for validation, 0 for test of 200 rows"),
        (TimeSplit("absent"), {}, "'bank_a': `column` must be a column of the table"),
        (TimeSplit("name"), {}, "'name' must hold dates or numbers, got object"),
        (TimeSplit("day"), {"clusters": "customer"}, "can't be kept together by 'time"),
        (ShuffledSplit(stratified=True), {}, "`label` must name a column for the sp"),
        (ShuffledSplit(), {"label": "gappy"}, "`label` 'gappy' must .*, 200 of 200"),
        (
            PeriodSplit("day", (("5", "9"), ("8", "10"), ("10", "11"))),
            {},
            "`periods` must not overlap, and the test must .* 'periods:day:5..9,8..10",
        ),
        (
            PeriodSplit("day", (("1", "2"), ("5", "6"), ("3", "4"))),
            {},
            "the test must be the last, got 'periods:day:1..2,5..6,3..4'",
        ),
        (
            PeriodSplit("day", (("5", "x"), ("8", "10"), ("10", "11"))),
            {},
            "`periods` must be numbers, as 'day' has, got 'x'",
        ),
        (
            PeriodSplit("day", (("1", "2"), ("2", "3"), ("40", "50"))),
            {},
            "0 for test of 200 rows",
        ),
    ],
)
def test_splits_that_cant_be_are_refused(how, columns, message):
    table = payments().assign(same=1, name="x", gappy=np.nan)
    with pytest.raises(ValueError, match=message):
        split(table, how, **columns)
