"""Settings of a comparison: round trip, and what is refused."""

import json

import pytest

from tff_finance.records.comparison_config import ComparisonConfig, DataFile
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.training_config import TrainingConfig


def config(**options):
    defaults = {
        "task": "risk",
        "dataset": "taiwan",
        "files": (DataFile(name="a.csv", sha256="0" * 64, institution="a"),),
        "contract": "c",
        "contract_sha256": "1" * 64,
        "split": "shuffled:0.6,0.2,0.2",
        "seeds": (1, 2),
        "methods": ("local", "fed_avg"),
        "training": TrainingConfig(hidden_units=(8, 4)),
    }
    return ComparisonConfig(**defaults | options)


def test_json_gives_an_equal_config_back():
    mapping = config().to_mapping()
    assert json.loads(json.dumps(mapping)) == mapping
    assert ComparisonConfig.from_mapping(mapping) == config()


def test_customers_are_protected_only_where_a_column_names_them():
    by_customer = TrainingConfig(dp_sgd=DpSgdConfig(privacy_unit="customer"))
    with pytest.raises(ValueError, match="--clusters=COLUMN of a comparison"):
        config(training=by_customer)
    assert config(training=by_customer, clusters="customer").customers_known


@pytest.mark.parametrize(
    "table",
    [{"dataset": "handbook_features"}, {"preparation": "terminal risk own"}],
)
def test_customers_in_features_of_others_are_not_protected(table):
    by_customer = TrainingConfig(dp_sgd=DpSgdConfig(privacy_unit="customer"))
    with pytest.raises(ValueError, match="features of each customer's own rows"):
        config(training=by_customer, clusters="customer", **table)
    assert config(clusters="customer", **table).features_of_other_rows
    assert not config(clusters="customer").features_of_other_rows


@pytest.mark.parametrize(
    ("options", "several"),
    [
        ({}, False),
        ({"clusters": "customer"}, True),
        ({"task": "fraud", "payments": ("day", "card", "amount")}, True),
        ({"dataset": "handbook_fraud"}, True),
        ({"dataset": "handbook_features"}, True),
    ],
)
def test_cards_have_several_payments_whether_they_are_clusters_or_not(options, several):
    made = config(**options)
    assert made.several_rows == several
    assert made.customers_known == ("clusters" in options)


def test_columns_of_payments_come_back_and_must_be_all():
    payments = {"task": "fraud", "payments": ("day", "card", "amount")}
    mapping = config(**payments).to_mapping()
    assert ComparisonConfig.from_mapping(mapping) == config(**payments)
    with pytest.raises(ValueError, match="`payments` must name the columns of day"):
        config(**payments | {"payments": ("day",)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "weather"),
        ("class_weights", "some"),
        ("resamples", 99),
        ("methods", ("local", "local")),
        ("methods", ("magic",)),
        ("seeds", ()),
        ("runtime", "moon"),
        ("payments", ("day", "card", "amount")),  # of the task risk
    ],
)
def test_what_makes_no_sense_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        config(**{name: value})
