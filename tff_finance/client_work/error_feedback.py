"""Error feedback: what compression leaves out of an update goes into the next one.

    p_i = u_i + e_i          u_i: the round's update, e_i: what was left out so far
    sent: C(p_i)             C keeps the k largest coordinates, for example
    e_i <- p_i - C(p_i)      stays at the institution

Nothing is lost, only late: what an institution has sent so far and what it keeps add
up to all its updates.

Source: Seide et al. (2014), https://doi.org/10.21437/Interspeech.2014-274; Stich et
al. (2018), Algorithm 1, https://arxiv.org/abs/1809.07599.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from tff_finance.aggregation import sparse_sum
from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.client_work.update_rule import UpdateRule
from tff_finance.institutions.state import State, StateSpec


class ErrorFeedback(UpdateRule):
    """Compresses updates, and keeps at the institution what that left out."""

    def __init__(self, compress: Callable[[Weights], Weights]) -> None:
        """Takes `C`.

        Args:
            compress: From an update to what is sent of it; a graph function that
                XLA compiles. The `aggregator` must sum what it returns as it is.
        """
        self._compress = compress

    def state_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """Of what was left out: as the trainable weights."""
        return trainable_spec

    def send(self, update: Weights, *, state: State) -> tuple[Weights, State]:
        """`C(u + e)`, and `u + e - C(u + e)`."""
        whole = tuple(u + e for u, e in zip(update, state, strict=True))
        sent = tuple(self._compress(whole))
        left_out = tuple(tf.subtract(p, c) for p, c in zip(whole, sent, strict=True))
        return sent, left_out


def build_top_k(share: float) -> ErrorFeedback:
    """Builds top-k sparsification with error feedback.

    Args:
        share: Of coordinates that are sent, above 0, up to 1, those of all tensors
            compared; for `aggregator=MeanFactory(SparseSumFactory(share))`, which
            sums them as they are.

    Returns:
        The rule. At share 1 it sends the update itself.
    """
    sparse_sum.check_share(share)
    return ErrorFeedback(functools.partial(sparse_sum.keep_largest, share=share))
