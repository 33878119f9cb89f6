"""A group of institutions in memory, made ready to train in one call."""

from typing import Any

import tensorflow as tf

from tff_finance.client_work.batches import (
    LocalEpochs,
    institution_round_seed,
    padded_rows,
)
from tff_finance.client_work.local_training import Members


def group_members(group: Any, server_state: Any, batches: LocalEpochs) -> Members:
    """Pads the members' tables, and orders their rows as each would by itself.

    Args:
        group: An element of `InMemoryGroups`.
        server_state: As in `process.build_initial_state`.
        batches: Epochs, batch size and order.

    Returns:
        The members.
    """
    num_rows = group["num_rows"]
    present = tf.shape(group["x"])[1]
    rows = padded_rows(present, batches.batch_size)
    below = [[0, 0], [0, rows - present], [0, 0]]

    def order_of(member: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        number, institution = member
        seed = institution_round_seed(
            server_state["seed"], server_state["round"], institution
        )
        order = batches.plan(number, seed).order
        return tf.pad(order, [[0, 0], [0, rows - number]])

    order = None
    if batches.shuffle:
        order = tf.map_fn(
            order_of,
            (num_rows, group["institution"]),
            fn_output_signature=tf.TensorSpec([batches.epochs, None], tf.int32),
        )
    return Members(
        tf.pad(group["x"], below), tf.pad(group["y"], below), num_rows, order
    )
