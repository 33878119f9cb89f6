"""The local training loop: gradient, correction, optimizer step, batch by batch."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work.batches import BatchPlan, Table
from tff_finance.client_work.gradient_estimator import GradientEstimator, Weights
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.institutions.state import State

T = TypeVar("T")

# Rows beyond a table's end cost as much as others. Where batches are large, a
# table may be much smaller than one, and TensorFlow's own loop is fast enough.
_LARGEST_COMPILED_BATCH = 1024


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
        table: Table,
        plan: BatchPlan,
        finish: Callable[[LocalTrainingResult], T],
    ) -> T:
        """Trains over the batches of `plan`, and finishes.

        All of it is one function marked for XLA, which is several times faster
        than TensorFlow's own loop; TFF's worker, which has no XLA, ignores the
        mark. So estimator, rule, optimizer and `finish` are made of operations
        on numbers; text and files stay outside.

        Args:
            trainable: Trainable weights at the start.
            non_trainable: Weights that stay as they are.
            optimizer_state: Of `optimizer`.
            rule_state: The institution's state, constant during the loop.
            table: The institution's rows.
            plan: The batches.
            finish: Called with weights, optimizer state and summed training loss.

        Returns:
            What `finish` returns.
        """
        compiled = plan.batch_size <= _LARGEST_COMPILED_BATCH
        if compiled:
            plan, table = plan.padded(table)

        def step(current: LocalTrainingResult, batch: Table) -> LocalTrainingResult:
            estimate = self.gradient_estimator(
                current.trainable, non_trainable, batch.x, batch.y
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
            rows = tf.cast(tf.shape(batch.y)[0], tf.float32)
            return LocalTrainingResult(
                weights, optimizer_state, current.loss_sum + estimate.loss * rows
            )

        @tf.function(jit_compile=compiled, autograph=False)
        def train() -> T:
            start = LocalTrainingResult(trainable, optimizer_state, tf.constant(0.0))
            return finish(_loop(step, start, table, plan))

        return train()


def _loop(
    step: Callable[[LocalTrainingResult, Table], LocalTrainingResult],
    start: LocalTrainingResult,
    table: Table,
    plan: BatchPlan,
) -> LocalTrainingResult:
    """Takes the steps of a plan, epoch after epoch."""

    def run_epoch(
        epoch: tf.Tensor, current: LocalTrainingResult
    ) -> tuple[tf.Tensor, LocalTrainingResult]:
        _, current = tf.while_loop(
            lambda number, _: number < plan.full_batches,
            lambda number, now: (
                number + 1,
                step(now, plan.full_batch(table, epoch, number)),
            ),
            (tf.constant(0), current),
            parallel_iterations=1,
        )
        current = tf.cond(
            plan.remaining_rows > 0,
            lambda: step(current, plan.remainder_batch(table, epoch)),
            lambda: current,
        )
        return epoch + 1, current

    if plan.epochs == 1:  # a loop of its own takes as long as a batch
        return run_epoch(tf.constant(0), start)[1]
    _, end = tf.while_loop(
        lambda epoch, _: epoch < plan.epochs,
        run_epoch,
        (tf.constant(0), start),
        parallel_iterations=1,
    )
    return end
