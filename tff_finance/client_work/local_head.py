"""A local head: the last trainable weights stay at the institution.

What lies before them, the trunk, is broadcast and aggregated as ever; the head is
institution state, which each local step trains together with the trunk.

Source: Arivazhagan et al. (2019), https://arxiv.org/abs/1912.00818, section 3.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.state import InstitutionStateFiles, State, StateSpec

_NUMBER = tf.TensorSpec([], tf.float32)
_NEWEST = np.iinfo(np.int32).max


class LocalHead(LocalRule):
    """Keeps the last trainable weights at the institution; steps are plain.

    Institution state: the head, and 1; zeros stand for no head yet.
    """

    def __init__(self, initial: Sequence[np.ndarray]) -> None:
        """Takes the head that an institution without one begins with.

        Args:
            initial: The model's last trainable weights, float32.

        Raises:
            ValueError: If there are none.
        """
        if not initial:
            raise ValueError("`initial` must have a weight, got none: use `LocalRule`.")
        self._initial = tuple(np.asarray(weight, np.float32) for weight in initial)
        self.num_own_weights = len(self._initial)

    def state_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """The head, and whether it is there."""
        return (*trainable_spec[-self.num_own_weights :], _NUMBER)

    def own_weights(self, state: State) -> Weights:
        """The institution's head, or the initial one."""
        *head, there = state
        return tuple(
            tf.where(there > 0, kept, first)
            for kept, first in zip(head, self._initial, strict=True)
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
        """The head where local steps ended."""
        del global_weights, num_steps, learning_rate, update_weight, state, shared
        return (*weights[-self.num_own_weights :], tf.constant(1.0))

    def read(
        self,
        files: InstitutionStateFiles,
        institution: tf.Tensor,
        round_number: int | tf.Tensor = _NEWEST,
    ) -> Weights:
        """The head that an institution has, inside a graph or out of it.

        Args:
            files: Where it lies.
            institution: Name, string[].
            round_number: Rounds done; the newest head if not given.

        Returns:
            The head; the initial one where the institution has none.
        """
        spec = [tf.TensorSpec(w.shape, tf.float32) for w in self._initial]
        number = tf.convert_to_tensor(round_number, tf.int32)
        return self.own_weights(files.read(institution, number, (*spec, _NUMBER)))

    def begin(
        self,
        files: InstitutionStateFiles,
        institution: str,
        head: Sequence[np.ndarray],
    ) -> None:
        """Gives an institution a head of its own to begin training with.

        Args:
            files: Where it is put.
            institution: Name.
            head: As the initial one.
        """
        state = (*(tf.constant(w, tf.float32) for w in head), tf.constant(1.0))
        files.write(tf.constant(institution), tf.constant(-1), state)
