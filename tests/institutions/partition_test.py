"""Partitions: every row at exactly one institution, text that reads back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tff_finance.institutions.partition import (
    SYNTAXES,
    AtRandom,
    ByBands,
    ByColumn,
    LabelDirichlet,
    SizeDirichlet,
    SizePowerLaw,
    deal,
    parse_partition,
)

counts = st.integers(1, 10**6)
numbers = st.floats(-1e12, 1e12)
positive = st.floats(1e-6, 1e6)
columns = st.text(min_size=1, max_size=12).filter(str.strip)
partitions = st.one_of(
    st.builds(ByColumn, columns, min_rows=counts, rest=columns),
    st.builds(
        ByBands,
        columns,
        st.lists(numbers, min_size=1, max_size=5, unique=True).map(
            lambda edges: tuple(sorted(e + 0.0 for e in edges))
        ),
        min_rows=counts,
    ),
    st.builds(LabelDirichlet, positive, counts, min_rows=counts),
    st.builds(SizeDirichlet, positive, counts, min_rows=counts),
    st.builds(SizePowerLaw, st.floats(0, 9), counts, min_rows=counts),
    st.builds(AtRandom, counts, min_rows=counts),
)


REGIONS = np.array(["north", "south", "west", "cape", "isle"])


def market(rows=400, customers=90, seed=0):
    """Payments of customers; region and label are the customer's."""
    rng = np.random.default_rng(seed)
    customer = rng.integers(customers, size=rows)
    limit = rng.lognormal(0, 1, customers)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "customer": customer,
            "region": REGIONS[np.digitize(customer, [25, 50, 70, 80])],
            "limit": limit[customer],
            "bad": (rng.random(customers) < 0.3)[customer].astype(int),
        },
        # An index with repetitions, as concatenated tables have.
        index=np.arange(rows) % 7,
    )


def deal_market(partition, seed=0, clusters=None, table=None):
    return deal(
        market() if table is None else table,
        partition,
        rng=np.random.default_rng(seed),
        label="bad",
        clusters=clusters,
    )


@given(partitions)
def test_a_partition_equals_what_its_text_reads_back_as(partition):
    assert parse_partition(str(partition)) == partition


@pytest.mark.parametrize(
    ("text", "partition"),
    [
        ("column:Bank", ByColumn("Bank")),
        ("column:job:min_rows=2000", ByColumn("job", min_rows=2000)),
        (
            "column:job:min_rows=9:rest=smaller jobs",
            ByColumn("job", min_rows=9, rest="smaller jobs"),
        ),
        ("column:a%3Ab", ByColumn("a:b")),
        (
            "bands:LIMIT_BAL:50000,100000,200000,300000",
            ByBands("LIMIT_BAL", (50_000, 100_000, 200_000, 300_000)),
        ),
        ("bands:x:-0.5,0.1", ByBands("x", (-0.5, 0.1))),
        ("label_dirichlet:0.1:8", LabelDirichlet(0.1, 8)),
        ("label_dirichlet:0.1:8:min_rows=50", LabelDirichlet(0.1, 8, min_rows=50)),
        ("size_dirichlet:0.5:5", SizeDirichlet(0.5, 5)),
        ("size_power_law:1.5:5", SizePowerLaw(1.5, 5)),
        ("random:5", AtRandom(5)),
    ],
)
def test_published_texts(text, partition):
    assert parse_partition(text) == partition
    assert str(partition) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"must be one of column:COLUMN; .*random:INSTITUTIONS; got ''"),
        ("magic:3", "must be one of"),
        ("column", r"must look like column:COLUMN\[:min_rows=...\]\[:rest=...\]; got"),
        ("column:", "must look like"),
        ("column:a:b", "must look like"),
        (
            "random:5:rest=x",
            r"must look like random:INSTITUTIONS\[:min_rows=...\]; got",
        ),
        ("random:5:min_rows=1:min_rows=2", "must look like"),
        ("random:five", "'five' where a number must be: write random:INST"),
        ("random:2.5", "'2.5' where a whole number must be"),
        ("random:0", "`institutions` must be at least 1, got 0"),
        ("random:5:min_rows=0", "`min_rows` must be at least 1, got 0"),
        ("label_dirichlet:0:5", "'label_dirichlet:0:5': `alpha` must be positive"),
        ("label_dirichlet:nan:5", "'nan' where a number must be"),
        ("size_power_law:-1:5", "`exponent` must be at least 0"),
        ("bands:x:2,1", r"`edges` must ascend, got \(2.0, 1.0\)"),
        ("bands:x:1,,2", "'' where a number must be"),
        ("column:job:min_rows=5:rest=", "`rest` must be a name"),
    ],
)
def test_texts_that_are_no_partition_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_partition(text)


def test_every_kind_is_in_the_help():
    assert {
        str(p).partition(":")[0]
        for p in (
            ByColumn("a"),
            ByBands("a", (1,)),
            LabelDirichlet(1, 2),
            SizeDirichlet(1, 2),
            SizePowerLaw(1, 2),
            AtRandom(2),
        )
    } == set(SYNTAXES)


@settings(deadline=None)
@given(
    partition=st.sampled_from(
        [
            ByColumn("region"),
            ByColumn("region", min_rows=65),
            ByBands("limit", (0.5, 1.0, 2.0)),
            LabelDirichlet(0.3, 4),
            SizeDirichlet(0.5, 5),
            SizePowerLaw(1, 4),
            AtRandom(7),
        ]
    ),
    seed=st.integers(0, 2**32),
    clusters=st.sampled_from([None, "customer"]),
)
def test_every_row_and_cluster_is_at_exactly_one_institution(partition, seed, clusters):
    table = market(seed=seed)
    if isinstance(partition, ByColumn):
        sizes = table["region"].value_counts()
        rest = sizes[sizes < partition.min_rows].sum()
        assume(rest == 0 or rest >= partition.min_rows)  # else refused, see below
    dealt = deal_market(partition, seed, clusters, table)
    assert sorted(i for t in dealt.values() for i in t["id"]) == list(range(len(table)))
    assert min(map(len, dealt.values())) >= partition.min_rows
    for part in dealt.values():
        assert part["id"].is_monotonic_increasing
        pd.testing.assert_frame_equal(part, table.loc[table["id"].isin(part["id"])])
    if clusters:
        homes = pd.concat([t["customer"].drop_duplicates() for t in dealt.values()])
        assert homes.is_unique
    again = deal_market(partition, seed, clusters, table)
    assert list(again) == list(dealt)
    for name, part in dealt.items():
        pd.testing.assert_frame_equal(again[name], part)


def test_values_are_institutions_in_order_of_their_names():
    table = pd.DataFrame({"bank": ["b", "a", "c", "b", "b", "a"], "n": range(6)})
    dealt = deal(table, ByColumn("bank"), rng=np.random.default_rng(0))
    assert {name: list(t["n"]) for name, t in dealt.items()} == {
        "a": [1, 5],
        "b": [0, 3, 4],
        "c": [2],
    }
    assert list(dealt) == ["a", "b", "c"]


def test_small_groups_and_rows_without_a_value_are_merged():
    table = pd.DataFrame({"code": [7.0, 7, 3, np.nan, 5, 7, 3, 12], "n": range(8)})
    rng = np.random.default_rng(0)
    dealt = deal(table, ByColumn("code", min_rows=2, rest="other"), rng=rng)
    assert {name: list(t["n"]) for name, t in dealt.items()} == {
        "3": [2, 6],
        "7": [0, 1, 5],
        "other": [3, 4, 7],
    }
    assert list(dealt) == ["3", "7", "other"]
    with pytest.raises(ValueError, match="must have a value in every row, 1 of 8 have"):
        deal(table, ByColumn("code"), rng=rng)
    with pytest.raises(ValueError, match="leaves 'rest' 2 of 5 rows, fewer than 3"):
        deal(table.iloc[:7].drop(index=[2, 4]), ByColumn("code", min_rows=3), rng=rng)
    with pytest.raises(ValueError, match="`rest` must not be a value of 'code'"):
        deal(table, ByColumn("code", min_rows=2, rest="7"), rng=rng)


def test_categories_without_rows_are_no_institutions():
    values = pd.Categorical(["a", "b", "a"], categories=["a", "b", "c"])
    table = pd.DataFrame({"bank": values})
    dealt = deal(table, ByColumn("bank"), rng=np.random.default_rng(0))
    assert list(dealt) == ["a", "b"]


@pytest.mark.parametrize("value", ["a/b", "", ".."])
def test_values_that_cant_name_a_folder_are_refused(value):
    with pytest.raises(ValueError, match=f"'bank' has the value '{value}'"):
        deal(
            pd.DataFrame({"bank": ["a", value]}),
            ByColumn("bank"),
            rng=np.random.default_rng(0),
        )


def test_bands_are_closed_above():
    table = pd.DataFrame({"limit": [50_000, 50_001, 10, 100_000, 100_001, 10**6]})
    dealt = deal(table, ByBands("limit", (5e4, 1e5)), rng=np.random.default_rng(0))
    assert {name: list(t["limit"]) for name, t in dealt.items()} == {
        "up_to_50000": [50_000, 10],
        "50000_to_100000": [50_001, 100_000],
        "above_100000": [100_001, 10**6],
    }


def test_one_edge_makes_two_bands():
    table = pd.DataFrame({"x": [0.0, 1.0]})
    dealt = deal(table, ByBands("x", (0.5,)), rng=np.random.default_rng(0))
    assert list(dealt) == ["up_to_0.5", "above_0.5"]


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (ByBands("limit", (0.5, 1e9)), "leaves 'above_1000000000' 0 of 400 rows"),
        (ByBands("limit", (0.5, 2), min_rows=399), r"'up_to_0.5' \d+, '0.5_to_2' \d+"),
        (ByBands("region", (1,)), "'region' must hold numbers, got object"),
        (ByBands("absent", (1,)), "must be a column of the table, got 'absent'; there"),
        (AtRandom(9, min_rows=45), "'bank_1' 44, .*fewer than 45: deal out to fewer"),
        (SizePowerLaw(3, 9), r"leaves 'bank_4' \d, .* of 400 rows, fewer than 10"),
        (SizeDirichlet(0.5, 9, min_rows=60), "in each of 1000 draws, at best"),
        (LabelDirichlet(0.5, 9, min_rows=60), "in each of 1000 draws, at best"),
    ],
)
def test_institutions_with_too_few_rows_are_refused_with_counts(partition, message):
    with pytest.raises(ValueError, match=message):
        deal_market(partition)


def test_clusters_that_a_column_tears_apart_are_refused():
    table = market()
    table["branch"] = np.where(table["id"] % 2, "x", "y")
    shared = table.groupby("customer")["branch"].nunique()
    with pytest.raises(
        ValueError,
        match=f"stay together, but {(shared > 1).sum()} of them have rows in several",
    ):
        deal_market(ByColumn("branch"), clusters="customer", table=table)


def test_label_skew_needs_a_label():
    with pytest.raises(ValueError, match=r"`label` must name a column for .*'label_"):
        deal(market(), LabelDirichlet(1, 2), rng=np.random.default_rng(0))


def test_random_parts_are_equal_and_fair():
    table = pd.DataFrame({"id": range(10)})
    times = np.zeros((10, 3))
    for seed in range(600):
        dealt = deal(table, AtRandom(3), rng=np.random.default_rng(seed))
        assert sorted(map(len, dealt.values())) == [3, 3, 4]
        for place, part in enumerate(dealt.values()):
            times[part["id"], place] += 1
    expected = np.broadcast_to(times.sum(axis=0) / 6000, times.shape)
    np.testing.assert_allclose(times / 600, expected, atol=0.1)


def test_power_law_sizes_golden():
    table = pd.DataFrame({"id": range(1100)})
    dealt = deal(table, SizePowerLaw(1, 3), rng=np.random.default_rng(0))
    # 1100 shared as 1 : 1/2 : 1/3.
    assert {name: len(t) for name, t in dealt.items()} == {
        "bank_1": 600,
        "bank_2": 300,
        "bank_3": 200,
    }


def test_no_skew_at_exponent_zero():
    dealt = deal_market(SizePowerLaw(0, 8))
    assert {len(t) for t in dealt.values()} == {50}


def shares_of(partition, draws=300):
    """Moments over draws: sizes and label rates, [draws, institutions]."""
    table = pd.DataFrame({"bad": np.arange(3000) % 4 == 0})
    dealt = [deal_market(partition, s, None, table).values() for s in range(draws)]
    sizes = np.array([[len(t) for t in parts] for parts in dealt]) / len(table)
    positives = np.array([[t["bad"].sum() for t in parts] for parts in dealt]) / 750
    return sizes, positives


def test_dirichlet_sizes_have_its_moments():
    """Var of a share of Dirichlet(a, ..., a) over k: (k - 1) / (k^2 (k a + 1))."""
    alpha, k = 2.0, 4
    sizes, positives = shares_of(SizeDirichlet(alpha, k, min_rows=1))
    expected = (k - 1) / (k**2 * (k * alpha + 1))
    assert sizes.mean() == pytest.approx(1 / k)
    assert sizes.var() == pytest.approx(expected, rel=0.15)
    # No label skew: an institution's share of the positives is that of rows.
    assert np.abs(positives - sizes).max() < 0.08


def test_label_dirichlet_skews_each_label_by_itself():
    alpha, k = 2.0, 4
    sizes, positives = shares_of(LabelDirichlet(alpha, k, min_rows=1))
    negatives = (sizes * 3000 - positives * 750) / 2250
    expected = (k - 1) / (k**2 * (k * alpha + 1))
    assert positives.var() == pytest.approx(expected, rel=0.15)
    assert negatives.var() == pytest.approx(expected, rel=0.15)
    labels = zip(positives.T, negatives.T, strict=True)
    within = [np.corrcoef(p, n)[0, 1] for p, n in labels]
    assert np.abs(within).max() < 0.2


def test_small_alpha_skews_labels_and_large_alpha_does_not():
    _, strong = shares_of(LabelDirichlet(0.05, 3, min_rows=1), draws=50)
    _, weak = shares_of(LabelDirichlet(1e6, 3, min_rows=1), draws=5)
    assert strong.max(axis=1).mean() > 0.85
    np.testing.assert_allclose(weak, 1 / 3, atol=0.01)


@pytest.mark.parametrize("kind", [LabelDirichlet, SizeDirichlet])
def test_draws_are_repeated_until_all_have_enough(kind):
    for seed in range(20):
        dealt = deal_market(kind(0.3, 5, min_rows=20), seed)
        assert min(map(len, dealt.values())) >= 20


def test_a_clusters_label_is_its_greatest():
    """With one label per cluster at each of two institutions, none is mixed."""
    table = pd.DataFrame({"customer": [1, 1, 2, 2, 3, 3], "bad": [0, 1, 0, 0, 1, 0]})
    partition = LabelDirichlet(1e-3, 2, min_rows=2)
    dealt = deal(
        table,
        partition,
        rng=np.random.default_rng(1),
        label="bad",
        clusters="customer",
    )
    assert {frozenset(t["customer"]) for t in dealt.values()} == {
        frozenset({1, 3}),
        frozenset({2}),
    }


def test_the_taiwan_table_by_limit_band(public_data):
    """Rows and default rates as its documentation counts them."""
    table = pd.read_csv(public_data / "default_credit" / "UCI_Credit_Card.csv.gz")
    partition = parse_partition("bands:LIMIT_BAL:50000,100000,200000,300000")
    dealt = deal(table, partition, rng=np.random.default_rng(0))
    assert [len(t) for t in dealt.values()] == [7676, 4822, 7880, 5059, 4563]
    rates = [t["default.payment.next.month"].mean() for t in dealt.values()]
    assert np.round(rates, 3).tolist() == [0.318, 0.258, 0.195, 0.161, 0.133]
