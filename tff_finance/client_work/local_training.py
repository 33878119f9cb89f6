"""The local training loop: gradient, correction, optimizer step, batch by batch."""

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work.batches import BatchPlan
from tff_finance.client_work.gradient_estimator import GradientEstimator, Weights
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.state import State


class LocalTrainingResult(NamedTuple):
    """Where local training ended.

    Attributes:
        trainable: Trainable weights after the last step.
        optimizer_state: Of the local optimizer after the last step.
        loss_sum: Sum over steps of the batch's mean loss times its rows.
    """

    trainable: Weights
    optimizer_state: Any
    loss_sum: tf.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalTraining:
    """What one local step is made of.

    Attributes:
        optimizer: Applies the corrected gradient.
        gradient_estimator: Sees the rows of the batch.
        local_rule: Corrects the gradient.
    """

    optimizer: tff.learning.optimizers.Optimizer
    gradient_estimator: GradientEstimator
    local_rule: LocalRule

    def run(
        self,
        *,
        trainable: Weights,
        non_trainable: Weights,
        optimizer_state: Any,
        rule_state: State,
        x: tf.Tensor,
        y: tf.Tensor,
        plan: BatchPlan,
    ) -> LocalTrainingResult:
        """Trains over the batches of `plan`.

        Args:
            trainable: Trainable weights at the start.
            non_trainable: Weights that stay as they are.
            optimizer_state: Of `optimizer`.
            rule_state: The institution's state, constant during the loop.
            x: Features, float32[n, features].
            y: Labels, float32[n, 1].
            plan: The batches.

        Returns:
            Weights, optimizer state and the summed training loss.
        """

        def step(
            number: tf.Tensor, current: LocalTrainingResult
        ) -> tuple[tf.Tensor, LocalTrainingResult]:
            rows = plan.rows(number)
            estimate = self.gradient_estimator(
                current.trainable, non_trainable, tf.gather(x, rows), tf.gather(y, rows)
            )
            gradient = self.local_rule.correct(
                estimate.gradient,
                weights=current.trainable,
                global_weights=trainable,
                state=rule_state,
            )
            optimizer_state, weights = self.optimizer.next(
                current.optimizer_state, current.trainable, gradient
            )
            batch_rows = tf.cast(tf.size(rows), tf.float32)
            return number + 1, LocalTrainingResult(
                weights,
                optimizer_state,
                current.loss_sum + estimate.loss * batch_rows,
            )

        start = LocalTrainingResult(trainable, optimizer_state, tf.constant(0.0))
        _, result = tf.while_loop(
            lambda number, _: number < plan.num_steps,
            step,
            (tf.constant(0), start),
            parallel_iterations=1,
        )
        return result
