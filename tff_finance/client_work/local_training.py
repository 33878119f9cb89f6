"""The local training loop: gradient, correction, optimizer step, batch by batch."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work.batches import BatchPlan, LocalEpochs
from tff_finance.client_work.gradient_estimator import GradientEstimator, Weights
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import PrivateGradient
from tff_finance.institutions.rows import CustomerTable, Shards, Table
from tff_finance.institutions.state import State
from tff_finance.privacy import fresh_noise

T = TypeVar("T")

# Rows beyond a table's end cost as much as others. Where batches are large, a
# table may be much smaller than one, and TensorFlow's own loop is fast enough.
_LARGEST_COMPILED_BATCH = 1024


class LocalTrainingResult(NamedTuple):
    """Where local training ended.

    Attributes:
        trainable: Trainable weights after the last step.
        optimizer_state: Of the local optimizer after the last step.
        loss_sum: Sum over steps of the batch's mean loss times its rows, float64[]:
            of a hundred million rows, float32 would lose the last ones.
        num_steps: Steps taken, int32[].
    """

    trainable: Weights
    optimizer_state: Any
    loss_sum: tf.Tensor
    num_steps: tf.Tensor


class Members(NamedTuple):
    """The rows of a group's members, padded to the same number.

    Attributes:
        x: Features, float32[members, n, features].
        y: Labels, float32[members, n, 1].
        num_rows: Of each, the others being padding, int32[members].
        order: Row numbers in the order of training, int32[members, epochs, n]; None
            for that of the tables.
    """

    x: tf.Tensor
    y: tf.Tensor
    num_rows: tf.Tensor
    order: tf.Tensor | None


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
        shared: State,
        rows: Table | CustomerTable | Shards,
        batches: LocalEpochs | PoissonBatches,
        seed: tf.Tensor,
        finish: Callable[[LocalTrainingResult], T],
    ) -> T:
        """Trains over an institution's batches, and finishes.

        The steps over a table are one function marked for XLA, which is several
        times faster than TensorFlow's own loop; TFF's worker, which has no XLA,
        ignores the mark. So estimator, rule, optimizer and `finish` are made of
        operations on numbers; text and files stay outside.

        Args:
            trainable: Trainable weights at the start.
            non_trainable: Weights that stay as they are.
            optimizer_state: Of `optimizer`.
            rule_state: The institution's state, constant during the loop.
            shared: The rule's shared value, likewise.
            rows: The institution's. Of shards, each is read when its turn comes;
                no batch goes across them. Of customers, for private gradients only,
                each is one unit.
            batches: Epochs, batch size and order; Poisson-sampled ones for a
                `PrivateGradient`, and for nothing else.
            seed: Of round and institution, int32[2]; private training has its own.
            finish: Called with weights, optimizer state and summed training loss.

        Returns:
            What `finish` returns.

        Raises:
            ValueError: If rows, batches and estimator don't fit, or if batches that
                are Poisson-sampled would have to go across shards.
        """
        start = LocalTrainingResult(
            trainable, optimizer_state, tf.constant(0.0, tf.float64), tf.constant(0)
        )

        descend = self._build_descend(trainable, rule_state, shared)
        if isinstance(batches, PoissonBatches):
            estimator, table = _private(self.gradient_estimator, rows)
            return _run_private(
                descend,
                start,
                estimator=estimator,
                non_trainable=non_trainable,
                table=table,
                batches=batches,
                finish=finish,
            )
        if isinstance(rows, CustomerTable):
            raise ValueError(
                "`batches` must be PoissonBatches for a store of customers, got "
                f"{batches!r}: use `InMemory` where customers are not protected."
            )
        step = self._build_step(descend, non_trainable)
        if isinstance(rows, Table):
            plan = batches.plan(rows.num_rows, seed)
            return _run_plan(step, start, rows, plan, finish)
        return finish(_run_shards(step, start, rows, batches, seed))

    def run_members(
        self,
        *,
        trainable: Weights,
        non_trainable: Weights,
        optimizer_state: Any,
        members: Members,
        batches: LocalEpochs,
        finish: Callable[[LocalTrainingResult, tf.Tensor], T],
    ) -> T:
        """Trains each member of a group from the same weights, and sums up.

        All of them are one function for XLA: to enter one takes TensorFlow longer
        than a small institution trains. Their rules keep and share nothing.

        Args:
            trainable: Trainable weights at each member's start.
            non_trainable: Weights that stay as they are.
            optimizer_state: Of `optimizer` at each member's start.
            members: Their rows, and the order of them.
            batches: Epochs and batch size.
            finish: Called with a member's end and its number of rows.

        Returns:
            The sum of what `finish` returns, tensor by tensor.
        """
        step = self._build_step(self._build_descend(trainable, (), ()), non_trainable)
        start = LocalTrainingResult(
            trainable, optimizer_state, tf.constant(0.0, tf.float64), tf.constant(0)
        )

        def train_member(number: tf.Tensor) -> T:
            plan = BatchPlan(
                order=None if members.order is None else members.order[number],
                num_rows=members.num_rows[number],
                epochs=batches.epochs,
                batch_size=batches.batch_size,
            )
            end = _loop(step, start, Table(members.x[number], members.y[number]), plan)
            return finish(end._replace(num_steps=plan.num_steps), plan.num_rows)

        @tf.function(
            jit_compile=batches.batch_size <= _LARGEST_COMPILED_BATCH, autograph=False
        )
        def train() -> T:
            # A member without rows takes no step, and shows what the sums look like.
            nothing = tf.nest.map_structure(
                tf.zeros_like, finish(start, tf.constant(0))
            )
            _, total = tf.while_loop(
                lambda number, _: number < tf.size(members.num_rows),
                lambda number, total: (
                    number + 1,
                    tf.nest.map_structure(tf.add, total, train_member(number)),
                ),
                (tf.constant(0), nothing),
                parallel_iterations=1,
            )
            return total

        return train()

    def _build_descend(
        self, trainable: Weights, rule_state: State, shared: State
    ) -> "_Descend":
        """The step along a gradient from where the institution stands."""

        def descend(
            current: LocalTrainingResult, gradient: Weights, loss_sum: tf.Tensor
        ) -> LocalTrainingResult:
            gradient = self.local_rule.correct(
                gradient,
                weights=current.trainable,
                global_weights=trainable,
                state=rule_state,
                shared=shared,
            )
            optimizer_state, weights = self.optimizer.next(
                current.optimizer_state, current.trainable, gradient
            )
            return LocalTrainingResult(
                weights,
                optimizer_state,
                current.loss_sum + loss_sum,
                current.num_steps,
            )

        return descend

    def _build_step(self, descend: "_Descend", non_trainable: Weights) -> "_Step":
        """The step over a batch."""

        def step(current: LocalTrainingResult, batch: Table) -> LocalTrainingResult:
            estimate = self.gradient_estimator(
                current.trainable, non_trainable, batch.x, batch.y
            )
            batch_rows = tf.cast(tf.shape(batch.y)[0], tf.float64)
            loss = tf.cast(estimate.loss, tf.float64) * batch_rows
            return descend(current, estimate.gradient, loss)

        return step


_Step = Callable[[LocalTrainingResult, Table], LocalTrainingResult]
_Descend = Callable[[LocalTrainingResult, Weights, tf.Tensor], LocalTrainingResult]


def _private(
    estimator: GradientEstimator, rows: Table | CustomerTable | Shards
) -> tuple[PrivateGradient, Table | CustomerTable]:
    """Estimator and table, if they can be private."""
    if not isinstance(estimator, PrivateGradient):
        raise ValueError(
            "`gradient_estimator` must be a PrivateGradient for PoissonBatches, got "
            f"{estimator!r}: use LocalEpochs, or `build_private_gradient`."
        )
    if isinstance(rows, Shards):
        raise ValueError(
            "`store` must hold rows in memory for PoissonBatches: a batch is drawn "
            "from all rows, and those of shards are never there together."
        )
    return estimator, rows


def _run_private(
    descend: _Descend,
    start: LocalTrainingResult,
    *,
    estimator: PrivateGradient,
    non_trainable: Weights,
    table: Table | CustomerTable,
    batches: PoissonBatches,
    finish: Callable[[LocalTrainingResult], T],
) -> T:
    """Takes private steps over one table."""
    # Outside what XLA compiles, where a seed is fresh whenever the graph runs.
    for_batches, for_noise = fresh_noise.split(estimator.seed_source(), 2)
    num_units = table.num_rows
    plan = batches.plan(num_units, for_batches)
    compiled = batches.batch_size <= _LARGEST_COMPILED_BATCH
    if compiled:
        plan, table = plan.padded(table)
    noise = estimator.noise(
        start.trainable,
        tf.shape(plan.units)[0],
        for_noise,
        num_units=num_units,
    )
    # What the rows' loss is stays here, since nothing protects it.
    no_loss = tf.constant(float("nan"), tf.float64)

    def step(
        number: tf.Tensor, current: LocalTrainingResult
    ) -> tuple[tf.Tensor, LocalTrainingResult]:
        gradient = estimator.gradient(
            current.trainable,
            non_trainable,
            plan.batch(table, number),
            noise=noise[number],
            expected_units=plan.expected_units,
        )
        return number + 1, descend(current, gradient, no_loss)

    @tf.function(jit_compile=compiled, autograph=False)
    def train() -> T:
        _, end = tf.while_loop(
            lambda number, _: number < plan.num_steps,
            step,
            (tf.constant(0), start),
            parallel_iterations=1,
        )
        return finish(end._replace(num_steps=start.num_steps + plan.num_steps))

    return train()


def _run_plan(
    step: _Step,
    start: LocalTrainingResult,
    table: Table,
    plan: BatchPlan,
    finish: Callable[[LocalTrainingResult], T],
) -> T:
    """Takes the steps of a plan over one table."""
    compiled = plan.batch_size <= _LARGEST_COMPILED_BATCH
    if compiled:
        plan, table = plan.padded(table)

    @tf.function(jit_compile=compiled, autograph=False)
    def train() -> T:
        end = _loop(step, start, table, plan)
        return finish(end._replace(num_steps=start.num_steps + plan.num_steps))

    return train()


def _run_shards(
    step: _Step,
    start: LocalTrainingResult,
    shards: Shards,
    batches: LocalEpochs,
    seed: tf.Tensor,
) -> LocalTrainingResult:
    """Takes the steps over all shards, one after the other, epoch after epoch."""
    order = batches.shard_order(shards.num_shards, seed)

    def visit(
        number: tf.Tensor, current: LocalTrainingResult
    ) -> tuple[tf.Tensor, LocalTrainingResult]:
        epoch, shard = number // shards.num_shards, number % shards.num_shards
        if order is not None:
            shard = order[epoch, shard]
        table = shards.read(shard)
        plan = batches.plan_of_shard(table.num_rows, seed, shard=shard, epoch=epoch)
        return number + 1, _run_plan(step, current, table, plan, lambda end: end)

    _, end = tf.while_loop(
        lambda number, _: number < batches.epochs * shards.num_shards,
        visit,
        (tf.constant(0), start),
        parallel_iterations=1,
    )
    return end


def _loop(
    step: _Step, start: LocalTrainingResult, table: Table, plan: BatchPlan
) -> LocalTrainingResult:
    """Steps over the batches of a plan, epoch after epoch."""

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
