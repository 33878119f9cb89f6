"""What a round's metrics say: of nobody's rows there is no loss."""

import math

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_finance.training import round_metrics


def read(work, *, aggregator=(), clients=2, sampled=True):
    metrics = {"client_work": work, "aggregator": aggregator}
    return round_metrics.read(metrics, clients=clients, sampled=sampled)


def work(**values):
    return {
        "loss": 0.5,
        "loss_rows": 20.0,
        "num_examples": 10,
        "num_institutions": 2,
        "non_finite_updates": 0,
    } | values


def test_the_loss_is_that_of_the_rows_that_count():
    assert read(work()).training_loss == 0.5
    assert round_metrics.read({"loss": 0.25}, clients=1, sampled=False) == (
        round_metrics.RoundMetrics(
            training_loss=0.25, non_finite_updates=0, rejected_updates=0, counted=True
        )
    )


@pytest.mark.parametrize(
    "nobodys",
    [
        work(non_finite_updates=2),
        work(non_finite_updates=1),  # the other one has no rows
        work(num_examples=0),
    ],
)
def test_where_no_row_counts_there_is_no_loss(nobodys):
    nobodys |= {"loss": math.nan, "loss_rows": 0.0}
    assert read(nobodys).training_loss is None
    # Of all institutions a broken one and an empty one are nobody.
    everyones = read(nobodys, sampled=False).training_loss
    assert (everyones is None) == (not nobodys["non_finite_updates"])


def test_without_clients_there_is_no_loss():
    assert read({"loss": math.nan}, clients=0).training_loss is None


def test_a_loss_of_rows_that_count_may_be_broken():
    assert math.isnan(read(work(loss=math.nan)).training_loss)


def test_what_gives_no_loss_away_has_none():
    assert read({"non_finite_updates": 1}).training_loss is None


def test_updates_that_tff_zeroes_are_counted():
    """By the name that its robust aggregator has for them."""
    process = tff.learning.robust_aggregator().create(
        tff.to_type([(np.float32, [3])]), tff.TensorType(np.float32)
    )
    measurements = process.next.type_signature.result.measurements.member
    zeroed = measurements["zeroed_count"]
    assert zeroed.shape == ()
    assert read(work(), aggregator={"zeroed_count": 1}).rejected_updates == 1


def test_updates_that_were_left_out_are_counted():
    found = read(work(non_finite_updates=1), aggregator={"rejected_updates": 3})
    assert (found.non_finite_updates, found.rejected_updates) == (1, 3)


@pytest.mark.parametrize(
    ("metrics", "rejected", "counted"),
    [
        (work(), 0, True),
        (work(non_finite_updates=1), 0, True),
        (work(non_finite_updates=1), 1, False),
        (work(), 2, False),
        (work(loss=math.nan, loss_rows=0.0), 0, False),
        ({"num_examples": 0, "num_institutions": 2}, 0, False),  # gives no loss away
        ({"num_examples": 5, "num_institutions": 2, "non_finite_updates": 2}, 0, False),
        ({"num_examples": 5, "num_institutions": 3, "non_finite_updates": 2}, 0, True),
    ],
)
def test_whether_anybodys_update_counted(metrics, rejected, counted):
    aggregator = {"rejected_updates": rejected}
    assert read(metrics, aggregator=aggregator).counted == counted
    assert not read(metrics, aggregator=aggregator, clients=0).counted
