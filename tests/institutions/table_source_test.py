"""Sources of institutions' tables: what a seed decides, and what it doesn't."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from tff_finance.datasets.contract import Contract, ContractError, NumericColumn
from tff_finance.institutions.partition import parse_partition
from tff_finance.institutions.split import parse_split
from tff_finance.institutions.table_source import AsItIs, DealtTable, OwnTables

CONTRACT = Contract(
    name="c",
    columns=(
        NumericColumn(name="x", unit="1", description="d", minimum=0, maximum=1000),
    ),
    label="bad",
    label_meaning="it went badly",
    positive="yes",
    negative="no",
)
RAW = pd.DataFrame(
    {
        "x": np.arange(200.0),
        "bad": np.where(np.arange(200) % 4 == 0, "yes", "no"),
        "lender": np.where(np.arange(200) < 80, "a", "b"),
        "customer": np.arange(200) // 4,
    },
    index=np.full(200, 7),  # of no use, as after a concatenation
)


def dealt(**options):
    defaults = {
        "table": RAW,
        "contract": CONTRACT,
        "partition": parse_partition("column:lender"),
        "split": parse_split("shuffled:0.5,0.25,0.25"),
    }
    return DealtTable(**defaults | options)


def rows(institution):
    return [
        list(table["x"])
        for table in (institution.train, institution.validation, institution.test)
    ]


def test_rows_are_dealt_validated_and_split():
    institutions = dealt().institutions(0)
    assert [i.name for i in institutions] == ["a", "b"]
    for institution, expected in zip(
        institutions, (range(80), range(80, 200)), strict=True
    ):
        assert sorted(itertools.chain(*rows(institution))) == list(expected)
        assert list(institution.train.columns) == ["x", "bad"]
        assert institution.test["bad"].isin([0, 1]).all()
        for table in (institution.train, institution.test):
            assert ((table["x"] % 4 == 0) == (table["bad"] == 1)).all()


def test_a_seed_decides_the_split_and_nothing_else_does():
    source = dealt()
    first, other, again = (source.institutions(seed) for seed in (0, 1, 0))
    assert [rows(i) for i in first] == [rows(i) for i in again]
    assert [rows(i) for i in first] == [rows(i) for i in dealt().institutions(0)]
    assert [rows(i) for i in first] != [rows(i) for i in other]


def test_a_partition_at_random_is_drawn_anew_under_each_seed():
    source = dealt(partition=parse_partition("random:2"))
    first, other = (source.institutions(seed) for seed in (0, 1))
    holders = [set(itertools.chain(*rows(i[0]))) for i in (first, other)]
    assert holders[0] != holders[1]


def test_clusters_stay_together_and_in_the_tables():
    for institution in dealt(clusters="customer").institutions(3):
        tables = (institution.train, institution.validation, institution.test)
        customers = [set(table["customer"]) for table in tables]
        assert not customers[0] & customers[1]
        assert not customers[0] & customers[2]
        assert not customers[1] & customers[2]


def test_a_row_that_breaks_the_contract_names_its_institution():
    raw = RAW.assign(x=RAW["x"].where(RAW["x"] != 150, 5000.0))
    with pytest.raises(ContractError, match=r"Table of 'b'.*\n.*5000") as error:
        dealt(table=raw).institutions(0)
    assert error.value.institution == "b"


class Doubled(AsItIs):
    """Counts how often it is asked; adds a column that depends on the institution."""

    def __init__(self):
        self.calls = []

    def before_dealing(self, table):
        self.calls.append("before")
        return table.assign(lender=table["lender"] + "!")

    def at_institutions(self, dealt):
        self.calls.append("at")
        return {
            name: table.assign(x=float(number))
            for number, (name, table) in enumerate(dealt.items())
        }


@pytest.mark.parametrize(
    ("partition", "calls"),
    [("column:lender", ["before", "at"]), ("random:2", ["before", "at", "at"])],
)
def test_preparation_comes_before_dealing_and_at_institutions(partition, calls):
    preparation = Doubled()
    source = dealt(partition=parse_partition(partition), preparation=preparation)
    for seed in (0, 1):
        first, second = source.institutions(seed)
        assert (first.train["x"] == 0).all()
        assert (second.train["x"] == 1).all()
    assert preparation.calls == calls
    if partition == "column:lender":
        assert first.name == "a!"


def test_own_tables_are_split_each_by_itself():
    tables = {
        name: CONTRACT.validate(RAW[RAW["lender"] == name], institution=name)
        for name in ("b", "a")
    }
    source = OwnTables(
        tables=tables, contract=CONTRACT, split=parse_split("row_order:0.5,0.25,0.25")
    )
    second, first = source.institutions(0)
    assert (second.name, first.name) == ("b", "a")
    assert rows(first) == [
        [float(x) for x in part] for part in (range(40), range(40, 60), range(60, 80))
    ]
    shuffled = dataclasses.replace(source, split=parse_split("shuffled:0.5,0.25,0.25"))
    assert rows(shuffled.institutions(0)[0]) != rows(shuffled.institutions(1)[0])


@pytest.mark.parametrize("kind", ["dealt", "own"])
def test_customers_are_seen_earlier_and_later_in_a_split_by_time(kind):
    """Clusters are for intervals then; no table of a split by time keeps them."""
    split = parse_split("periods:x:1..50,50..60,60..80")
    if kind == "dealt":
        source = dealt(split=split, clusters="lender", table=RAW.head(80))
        bank = source.institutions(0)[0]
        assert set(bank.test["lender"]) == {"a"}
    else:
        table = CONTRACT.validate(RAW, institution="a").assign(customer=1)
        tables = {"a": table.reset_index(drop=True)}
        source = OwnTables(
            tables=tables, contract=CONTRACT, split=split, clusters="customer"
        )
        (bank,) = source.institutions(0)
    assert bank.clusters == {"dealt": "lender", "own": "customer"}[kind]
    assert rows(bank) == [
        list(range(1, 50)),
        list(range(50, 60)),
        list(range(60, 80)),
    ]


@pytest.mark.parametrize("split", ["shuffled:0.5,0.25,0.25", "row_order:0.5,0.25,0.25"])
def test_clusters_that_intervals_cannot_use_are_refused_before_training(split):
    table = CONTRACT.validate(RAW, institution="a")
    for columns, said in (
        ({}, "'a': `clusters` must be a column that.*got 'customer', there are x, bad"),
        ({"customer": RAW["customer"].where(RAW["customer"] > 1)}, "8 of 200 have"),
    ):
        source = OwnTables(
            tables={"a": table.assign(**columns)},
            contract=CONTRACT,
            split=parse_split(split),
            clusters="customer",
        )
        with pytest.raises(ValueError, match=said):
            source.institutions(0)
