"""Whoever tunes sees no row that results are reported on."""

import pandas as pd
import pytest

from tests.institutions.table_source_test import CONTRACT, RAW, dealt
from tff_finance.institutions.held_back import WithoutReportedTestRows
from tff_finance.institutions.partition import parse_partition
from tff_finance.institutions.split import parse_split
from tff_finance.institutions.table_source import OwnTables

REPORTED = (100, 101)


def own(**options):
    tables = {
        name: CONTRACT.validate(RAW.iloc[rows], institution=name)
        for name, rows in (("a", slice(0, 90)), ("b", slice(90, 200)))
    }
    split = parse_split("shuffled:0.5,0.25,0.25")
    defaults = {"tables": tables, "contract": CONTRACT, "split": split}
    return OwnTables(**defaults | options)


SOURCES = {
    "dealt": dealt(),
    "dealt at random": dealt(partition=parse_partition("random:3")),
    "clusters": dealt(clusters="customer"),
    "own": own(),
}


def values(tables):
    return {x for table in tables for x in table["x"]}  # each row has its own


@pytest.mark.parametrize("name", SOURCES)
def test_no_test_row_of_a_reported_seed_is_left(name):
    source = SOURCES[name]
    reported = values(i.test for seed in REPORTED for i in source.institutions(seed))
    bare, held = (
        one.institutions(1000)
        for one in (
            source,
            WithoutReportedTestRows(source=source, reported_seeds=REPORTED),
        )
    )
    for before, after in zip(bare, held, strict=True):
        assert after.name == before.name
        for table in ("train", "validation"):
            all_rows, left = getattr(before, table), getattr(after, table)
            expected = all_rows[~all_rows["x"].isin(reported)]
            assert left["x"].tolist() == expected["x"].tolist()
            assert list(left.columns) == list(expected.columns)
            assert 0 < len(left) < len(all_rows)


def test_rows_of_own_tables_are_told_apart_by_institution():
    """The first rows of both have the same index."""
    source = own()
    held = WithoutReportedTestRows(source=source, reported_seeds=(100,))
    reported = {i.name: set(i.test["x"]) for i in source.institutions(100)}
    for before, after in zip(
        source.institutions(1000), held.institutions(1000), strict=True
    ):
        lost = set(before.train["x"]) - set(after.train["x"])
        assert lost == set(before.train["x"]) & reported[before.name]


def test_a_split_without_chance_loses_nothing():
    source = dealt(split=parse_split("row_order:0.5,0.25,0.25"))
    held = WithoutReportedTestRows(source=source, reported_seeds=REPORTED)
    for before, after in zip(
        source.institutions(1000), held.institutions(1000), strict=True
    ):
        pd.testing.assert_frame_equal(after.train, before.train)
        pd.testing.assert_frame_equal(after.validation, before.validation)


def test_too_many_reported_seeds_are_refused():
    held = WithoutReportedTestRows(source=dealt(), reported_seeds=tuple(range(100)))
    with pytest.raises(ValueError, match=r"'a' has no row left.*100 seeds.*by time"):
        held.institutions(1000)
