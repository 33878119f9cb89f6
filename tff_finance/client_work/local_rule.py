"""Local rules: what an algorithm changes about a local step.

The seam for proximal terms (FedProx) and control variates (SCAFFOLD). A rule
corrects the gradient before the optimizer sees it, and may keep state at the
institution, which is read before the first step and written after the last.

A rule exchanges nothing with the server beyond weights and update. A variate
that all institutions share must follow from the global weights, as SCAFFOLD's
does under full participation with equal numbers of steps; with sampled cohorts
it needs a value broadcast from, and summed into, the client work's server state.
"""

import tensorflow as tf

from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.institutions.state import State, StateSpec


class LocalRule:
    """Plain local steps: the gradient as it is, nothing kept. Base of all rules."""

    def state_spec(self, trainable_spec: StateSpec) -> StateSpec:
        """Shapes and types of the institution state; empty for none.

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
    ) -> Weights:
        """The gradient that the local optimizer applies.

        Args:
            gradient: From the gradient estimator.
            weights: Where the institution stands.
            global_weights: Where the round began.
            state: The institution's, as read before the round.

        Returns:
            One tensor per trainable weight.
        """
        del weights, global_weights, state
        return gradient

    def next_state(
        self,
        *,
        weights: Weights,
        global_weights: Weights,
        num_steps: tf.Tensor,
        learning_rate: tf.Tensor,
        state: State,
    ) -> State:
        """The state that the institution keeps for its next round.

        Where the round took no step, or anything in it is not finite, the
        institution keeps `state` instead.

        Args:
            weights: Where the local steps ended.
            global_weights: Where the round began.
            num_steps: Local steps taken, int32[].
            learning_rate: Of the local optimizer, float32[].
            state: As read before the round.

        Returns:
            Tensors as `state_spec` describes them.
        """
        del weights, global_weights, num_steps, learning_rate
        return state
