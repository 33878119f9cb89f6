"""Standardised mean differences: what pooled rows would give, without pooling."""

import numpy as np
import pytest

from tff_finance.evaluation.feature_means import feature_rows
from tff_finance.institutions.examples import dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples


@pytest.fixture
def tables():
    rng = np.random.default_rng(5)
    tables = {
        "bank_a": rng.normal(1.0, 2.0, (40, 3)),
        "bank_b": rng.normal(-0.5, 1.0, (160, 3)),
    }
    for table in tables.values():
        table[:, 2] = 0.1
    return {name: table.astype(np.float32) for name, table in tables.items()}


def rows_of(tables):
    training = [
        TrainingExamples(institution=name, train=examples, validation=examples)
        for name, table in tables.items()
        for examples in [dense_examples(table, np.zeros(len(table)), institution=name)]
    ]
    return feature_rows(training, ["age", "income", "constant"], seed=3)


def test_equals_the_mean_of_the_standardised_pooled_rows(tables):
    pooled = np.concatenate(list(tables.values())).astype(np.float64)
    for row in rows_of(tables):
        if row.feature != "constant":
            column = ["age", "income"].index(row.feature)
            own = tables[row.institution][:, column].astype(np.float64)
            z = (own.mean() - pooled[:, column].mean()) / pooled[:, column].std()
            assert row.mean == pytest.approx(z, rel=1e-6)
            assert row.seed == 3


def test_a_constant_feature_does_not_differ(tables):
    constants = [row.mean for row in rows_of(tables) if row.feature == "constant"]
    assert constants == [0.0, 0.0]
