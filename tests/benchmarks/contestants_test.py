"""Contestants do the same work."""

import numpy as np
import pytest

from benchmarks.contestants import CONTESTANTS
from benchmarks.workloads import Workload, make_problem, pooled_loss

# With a remainder batch, and cohorts that change from round to round.
SMALL = Workload(
    name="small",
    institutions=4,
    rows=50,
    features=6,
    batch_size=16,
    cohort_size=3,
    rounds=3,
)
PROBLEM = make_problem(SMALL)


def final_weights(name):
    with CONTESTANTS[name](SMALL, PROBLEM) as contestant:
        for number in range(SMALL.rounds):
            contestant.next_round(SMALL.cohort(number))
        return contestant.weights


@pytest.fixture(scope="module")
def by_stock():
    return final_weights("stock")


@pytest.mark.parametrize("name", sorted(set(CONTESTANTS) - {"stock"}))
def test_ends_where_stock_tff_ends(name, by_stock):
    for left, right in zip(final_weights(name), by_stock, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5, rtol=0)


def test_training_matters(by_stock):
    """Or the comparison above could not tell anything apart."""
    before = pooled_loss(PROBLEM, PROBLEM.weights)
    assert pooled_loss(PROBLEM, by_stock) < before - 0.01
