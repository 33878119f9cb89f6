"""How updates are weighed and what the metrics sum."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work import process

EXAMPLES = tff.learning.ClientWeighting.NUM_EXAMPLES
UNIFORM = tff.learning.ClientWeighting.UNIFORM


def client_result(update, *, rows, weighting, loss_sum=12.0):
    return process.client_result(
        tuple(tf.constant(u, tf.float32) for u in update),
        loss_sum=tf.constant(loss_sum),
        num_rows=tf.constant(rows),
        epochs=3,
        weighting=weighting,
    )


@pytest.mark.parametrize(
    ("rows", "weighting", "weight"),
    [(40, EXAMPLES, 40), (40, UNIFORM, 1), (0, EXAMPLES, 0), (0, UNIFORM, 0)],
)
def test_weights_by_rows_or_uniform(rows, weighting, weight):
    result, sums = client_result([[1.0, 2.0], [3.0]], rows=rows, weighting=weighting)
    assert result.update_weight.dtype == tf.float32
    assert result.update_weight == weight
    np.testing.assert_array_equal(result.update[0], [1, 2])
    np.testing.assert_array_equal(result.update[1], [3])
    assert sums["loss_sum"] == 12
    assert sums["loss_rows"] == 3 * rows
    assert sums["num_examples"] == rows
    assert sums["num_institutions"] == (rows > 0)
    assert sums["non_finite_updates"] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("weighting", [EXAMPLES, UNIFORM])
def test_one_value_that_is_not_finite_takes_the_whole_update_out(value, weighting):
    result, sums = client_result(
        [[1.0, 2.0], [value]], rows=40, weighting=weighting, loss_sum=np.nan
    )
    assert result.update_weight == 0
    np.testing.assert_array_equal(result.update[0], [0, 0])
    np.testing.assert_array_equal(result.update[1], [0])
    assert sums["non_finite_updates"] == 1
    assert sums["loss_sum"] == 0
    assert sums["loss_rows"] == 0
    assert sums["num_examples"] == 40


def test_a_loss_that_is_not_finite_shows_if_the_update_counts():
    _, sums = client_result([[1.0]], rows=4, weighting=EXAMPLES, loss_sum=np.inf)
    assert np.isinf(sums["loss_sum"])


def test_round_and_seed_reach_every_institution(tff_context):
    """In the state that is broadcast; rounds are counted from 0."""
    del tff_context
    initial_state = process.build_initial_state({"learning_rate": 0.5})
    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(state_type, np.float32, tff.SequenceType(np.float32))
    def client_update(state, weights, data):
        del data
        update = weights + tf.cast(10 * state["round"] + state["seed"], tf.float32)
        return process.client_result(
            update,
            loss_sum=tf.constant(1.0),
            num_rows=tf.constant(2),
            epochs=1,
            weighting=EXAMPLES,
        )

    work = process.build_client_work_process(initial_state, client_update)
    state = work.initialize()
    hparams = work.get_hparams(state)
    assert dict(hparams) == {"learning_rate": 0.5, "seed": 0}
    hparams["seed"] = 3
    state = work.set_hparams(state, hparams)
    for number in range(3):
        output = work.next(state, [100.0, 200.0], [[], []])
        state = output.state
        updates = [result.update for result in output.result]
        assert updates == [103.0 + 10 * number, 203.0 + 10 * number]
        assert output.measurements["loss"] == 0.5
        assert output.measurements["num_examples"] == 4
        assert output.measurements["num_institutions"] == 2
    assert state == {"round": 3, "seed": 3, "optimizer": {"learning_rate": 0.5}}


def test_the_shared_value_is_broadcast_and_its_changes_are_summed(tff_context):
    del tff_context
    spec = (tf.TensorSpec([2]), tf.TensorSpec([]))
    initial_state = process.build_initial_state({}, spec)
    state_type = initial_state.type_signature.result

    @tff.tensorflow.computation(state_type, np.float32, tff.SequenceType(np.float32))
    def client_update(state, weights, data):
        del data
        vector, number = state["shared"]
        return process.client_result(
            weights + number,
            loss_sum=tf.constant(1.0),
            num_rows=tf.constant(2),
            epochs=1,
            weighting=EXAMPLES,
            shared_change=(vector + weights, tf.constant(1.0)),
        )

    def next_shared(shared, change):
        return (shared[0] + change[0] / 10, shared[1] + change[1])

    work = process.build_client_work_process(
        initial_state, client_update, next_shared=next_shared
    )
    state = work.initialize()
    vector, number = np.zeros(2), 0.0
    for _ in range(3):
        output = work.next(state, [100.0, 200.0, 300.0], [[], [], []])
        assert output.result[0].update == 100 + number
        assert "shared" not in output.measurements
        state = work.set_hparams(output.state, work.get_hparams(output.state))
        vector, number = vector + (3 * vector + 600) / 10, number + 3
        np.testing.assert_allclose(state["shared"][0], vector, rtol=1e-6)
        assert state["shared"][1] == number
