"""SCAFFOLD's control variates as a local rule.

An institution's variate `c_i` is its mean gradient in the last round that it took
part in, the server's `c` the mean of these over all institutions. Each local step
goes along `g - c_i + c`: what drives an institution away from the others is taken
off, what all have in common put on.

Source: Karimireddy et al. (2020), Algorithm 1, option II,
https://arxiv.org/abs/1910.06378.
"""

import tensorflow as tf

from tff_finance import checks
from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.state import State, StateSpec

_NUMBER = tf.TensorSpec([], tf.float32)


class ControlVariates(LocalRule):
    """Corrects gradients by control variates; local steps must be plain SGD.

    Institution state: `c_i`, and the weight that it counts with in `c` (0 before the
    institution's first round).

    Shared value: `c = sum_i w_i c_i / W`, the sum of the weights of all institutions
    that have taken part, and their number. `W` is the weight of all N institutions;
    those that haven't taken part yet count with the mean weight of the others, and
    with variates of 0. Under uniform weights that is the published `c`, the mean
    over all N; by examples it is the gradient of the mean over rows.
    """

    def __init__(self, num_institutions: int) -> None:
        """Takes N.

        Args:
            num_institutions: Of the whole population, not of a round's cohort;
                those without any rows don't count.
        """
        checks.check_at_least("num_institutions", num_institutions, 1)
        self._num_institutions = num_institutions

    def state_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """The institution's variate and its weight."""
        return (*trainable_spec, _NUMBER)

    def shared_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """The server's variate, weight and number of institutions that took part."""
        return (*trainable_spec, _NUMBER, _NUMBER)

    def correct(
        self,
        gradient: Weights,
        *,
        weights: Weights,
        global_weights: Weights,
        state: State,
        shared: State,
    ) -> Weights:
        """`g - c_i + c`."""
        del weights, global_weights
        own, common = state[:-1], shared[:-2]
        return tuple(
            g - c_i + c for g, c_i, c in zip(gradient, own, common, strict=True)
        )

    def next_state(
        self,
        *,
        weights: Weights,
        global_weights: Weights,
        num_steps: tf.Tensor,
        learning_rate: tf.Tensor,
        update_weight: tf.Tensor,
        state: State,
        shared: State,
    ) -> State:
        """The mean of the round's gradients, `c_i - c + (x - y_i) / (K * eta)`."""
        scale = tf.cast(num_steps, tf.float32) * learning_rate
        variate = (
            c_i - c + (start - end) / scale
            for c_i, c, start, end in zip(
                state[:-1], shared[:-2], global_weights, weights, strict=True
            )
        )
        return (*variate, update_weight)

    def shared_change(self, *, before: State, after: State) -> State:
        """Of the weighted sum, of the weights' sum, and whether it is the first."""
        (*old, old_weight), (*new, new_weight) = before, after
        change = (
            new_weight * c_new - old_weight * c_old
            for c_new, c_old in zip(new, old, strict=True)
        )
        is_first = tf.equal(old_weight, 0) & (new_weight > 0)
        return (*change, new_weight - old_weight, tf.cast(is_first, tf.float32))

    def next_shared(self, shared: State, change: State) -> State:
        """The mean over all institutions, those that took part and the others."""
        *variate, weight, known = shared
        *sums, more_weight, more = change
        next_weight, next_known = weight + more_weight, known + more
        declared = tf.debugging.assert_less_equal(
            next_known,
            float(self._num_institutions),
            message="More institutions have taken part than `num_institutions`, "
            f"{self._num_institutions}: give the number of all.",
        )
        before = self._whole_weight(weight, known)
        after = self._whole_weight(next_weight, next_known)
        with tf.control_dependencies([declared]):
            following = tuple(
                # As a change, so that c is the same to the last bit if nobody moved.
                c + tf.math.divide_no_nan(summed - (after - before) * c, after)
                for c, summed in zip(variate, sums, strict=True)
            )
        return (*following, next_weight, next_known)

    def _whole_weight(self, weight: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(weight * self._num_institutions, known)
