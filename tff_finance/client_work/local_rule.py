"""Local rules: what an algorithm changes about a local step.

The seam for proximal terms (FedProx) and control variates (SCAFFOLD). A rule
corrects the gradient before the optimizer sees it, and may keep state at the
institution, which is read before the first step and written after the last.

A rule may also have a shared value, which the institutions form together: it is
broadcast with the weights, and each institution sends its part in the value's
change, which the server sums in the clear.

And a rule may keep some of the trainable weights at the institution (local heads):
these are neither broadcast nor aggregated.
"""

import tensorflow as tf

from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.institutions.state import State, StateSpec


class LocalRule:
    """Plain local steps: the gradient as it is, nothing kept. Base of all rules.

    Attributes:
        num_own_weights: How many of the model's trainable weights, the last ones,
            stay at the institution; the server has the others.
    """

    num_own_weights: int = 0

    def own_weights(self, state: State) -> Weights:
        """The weights that stay at the institution, where its round begins.

        Args:
            state: The institution's, as read before the round.

        Returns:
            `num_own_weights` tensors. Where local steps take them, `next_state` is
            told, and puts into the state what is to be kept.
        """
        del state
        return ()

    def state_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """Shapes and types of the institution state; empty for none.

        Args:
            trainable_spec: Of the model's trainable weights.

        Returns:
            Specs of float32 tensors.
        """
        del trainable_spec
        return ()

    def shared_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """Shapes and types of the shared value, zeros at first; empty for none.

        Args:
            trainable_spec: Of the model's trainable weights.

        Returns:
            Specs of float32 tensors.
        """
        del trainable_spec
        return ()

    def correct(
        self,
        gradient: Weights,
        *,
        weights: Weights,
        global_weights: Weights,
        state: State,
        shared: State,
    ) -> Weights:
        """The gradient that the local optimizer applies.

        Args:
            gradient: From the gradient estimator.
            weights: Where the institution stands, all trainable weights.
            global_weights: Where the round began, likewise.
            state: The institution's, as read before the round.
            shared: The shared value, as broadcast.

        Returns:
            One tensor per trainable weight.
        """
        del weights, global_weights, state, shared
        return gradient

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
        """The state that the institution keeps for its next round.

        Where the round took no step, or anything in it is not finite, the
        institution keeps `state` instead.

        Args:
            weights: Where the local steps ended, all trainable weights.
            global_weights: Where the round began, likewise.
            num_steps: Local steps taken, int32[].
            learning_rate: Of the local optimizer, float32[].
            update_weight: Of the institution among all, float32[].
            state: As read before the round.
            shared: The shared value, as broadcast.

        Returns:
            Tensors as `state_spec` describes them.
        """
        del weights, global_weights, num_steps, learning_rate, update_weight, shared
        return state

    def shared_change(self, *, before: State, after: State) -> State:
        """The institution's part in the change of the shared value.

        Args:
            before: The institution's state before the round.
            after: The state that it keeps; equal to `before` where the round was
                empty or broken, of which the change must be zero.

        Returns:
            Tensors as `shared_spec` describes them.
        """
        del before, after
        return ()

    def next_shared(self, shared: State, change: State) -> State:
        """The next shared value, at the server.

        Args:
            shared: As broadcast.
            change: Sum of the institutions' changes.

        Returns:
            Tensors as `shared_spec` describes them.
        """
        del change
        return shared
