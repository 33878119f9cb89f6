"""TensorFlow's alarm about secure sums is left out, and no other."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.aggregation.secure_tracing import without_its_alarm

UPDATE = tff.to_type([(np.float32, [3, 2]), (np.float32, [4])])
WEIGHT = tff.to_type(np.float32)


@pytest.fixture
def logged(caplog, monkeypatch):
    """What TensorFlow logs."""
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    return caplog


def trace_tffs_own():
    tff.aggregators.SecureSumFactory(1.0).create(WEIGHT)


def leave_unused():
    """The same assertion elsewhere."""
    with tf.Graph().as_default():
        tf.debugging.assert_less_equal(tf.constant(1), tf.constant(2))


def _client_tensor_shift_for_secure_sum():
    tf.get_logger().error("something else")


def alarms(logged):
    return logged.text.count("Object was never used")


def test_a_secure_mean_is_traced_in_silence(logged):
    SecureMean(l2_clip_norm=1.0).aggregator().create(UPDATE, WEIGHT)
    assert not logged.records


def test_tff_still_has_the_alarm(logged):
    """As long as it has, it is to be left out: in the block, and not after."""
    with without_its_alarm():
        trace_tffs_own()
    assert not logged.records
    trace_tffs_own()
    assert alarms(logged) == 1


def test_all_else_is_logged(logged):
    with without_its_alarm():
        _client_tensor_shift_for_secure_sum()
        leave_unused()
    assert len(logged.records) == 2
    assert alarms(logged) == 1


def test_errors_pass_and_leave_nothing_behind():
    before = list(tf.get_logger().filters)
    with pytest.raises(RuntimeError, match="it breaks"), without_its_alarm():
        raise RuntimeError("it breaks")
    assert tf.get_logger().filters == before
