"""SCAFFOLD as a local rule: the institution state that tests use.

Source: Karimireddy et al. (2020), Algorithm 1, option II,
https://arxiv.org/abs/1910.06378.
"""

import tensorflow as tf

from tff_finance.client_work.local_rule import LocalRule


class Scaffold(LocalRule):
    """SCAFFOLD where all take part, with as many steps, and server rate 1.

    Then the server's variate, the mean of the institutions', is how far the
    global weights moved in the last round over `steps * learning_rate`, so each
    institution derives it from the global weights of the last round.

    State: own variate, global weights of the last round, steps times learning
    rate of the last round (0 before the first).
    """

    def state_spec(self, trainable_spec):
        return (*trainable_spec, *trainable_spec, tf.TensorSpec([], tf.float32))

    def _own_and_shared(self, global_weights, state):
        size = len(global_weights)
        own, last, scale = state[:size], state[size : 2 * size], state[-1]
        shared = [
            tf.math.divide_no_nan(before - now, scale)
            for before, now in zip(last, global_weights, strict=True)
        ]
        return own, shared

    def correct(self, gradient, *, weights, global_weights, state):
        del weights
        own, shared = self._own_and_shared(global_weights, state)
        return tuple(
            g - c_i + c for g, c_i, c in zip(gradient, own, shared, strict=True)
        )

    def next_state(self, *, weights, global_weights, num_steps, learning_rate, state):
        own, shared = self._own_and_shared(global_weights, state)
        scale = tf.cast(num_steps, tf.float32) * learning_rate
        new = (
            c_i - c + (x - y) / scale
            for c_i, c, x, y in zip(own, shared, global_weights, weights, strict=True)
        )
        return (*new, *global_weights, scale)
