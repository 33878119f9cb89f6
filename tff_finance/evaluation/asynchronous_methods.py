"""Methods on a simulated clock: FedBuff, and synchronous ones beside it."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tff_finance.algorithms.fed_buff import build_fed_buff
from tff_finance.algorithms.server_optimizers import build_server_optimizer
from tff_finance.client_work.arrivals import ArrivalStore
from tff_finance.evaluation.methods import Federated, Fitted, Method
from tff_finance.evaluation.suite import Suite
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.asynchronous_config import AsynchronousConfig
from tff_finance.training import communication
from tff_finance.training.asynchronous_rounds import AsynchronousRounds
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.progress import StoppingRule
from tff_finance.training.rounds import Rounds
from tff_finance.training.simulated_clock import AsynchronousClock
from tff_finance.training.speeds import sites


def fed_buff(suite: Suite, name: str) -> Method:
    """FedBuff, with the speeds that the configuration states.

    Args:
        suite: What it is built from.
        name: In tables and records.

    Returns:
        The method.
    """
    training = suite.training
    asynchronous = training.asynchronous
    process = build_fed_buff(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        staleness_exponent=asynchronous.staleness_exponent,
        server_optimizer=build_server_optimizer(
            training.server_optimizer,
            asynchronous.fed_buff_server_learning_rate or training.server_learning_rate,
        ),
        weighting=suite.weighting,
        store=suite.store,
    )
    store = ArrivalStore(suite.model, suite.store)

    def build_rounds(
        data: Sequence[tf.data.Dataset], names: Sequence[str], seed: int
    ) -> Rounds:
        return AsynchronousRounds(
            store, data, lambda: build_clock(asynchronous, names, seed)
        )

    stopping = StoppingRule(
        max_rounds=asynchronous.fed_buff_rounds,
        patience=asynchronous.fed_buff_patience,
        max_simulated_seconds=asynchronous.max_simulated_seconds,
    )
    learner = suite.learner(process, stopping, rates=("client", "server"))
    learner = dataclasses.replace(learner, build_rounds=build_rounds)
    return FedBuff(
        name=name,
        federated=Federated(name=name, learner=learner),
        config=asynchronous,
    )


def build_clock(
    config: AsynchronousConfig, names: Sequence[str], seed: int
) -> AsynchronousClock:
    """FedBuff's clock under a seed, at its beginning."""
    return AsynchronousClock(
        sites(config, names, seed),
        buffer_size=config.buffer_size,
        max_staleness=config.max_staleness,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FedBuff:
    """FedBuff, whose institutions exchange weights when they are ready.

    Attributes:
        name: In tables and records.
        federated: Trains.
        config: Gives the clock.
    """

    name: str
    federated: Federated
    config: AsynchronousConfig

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one global model.

        Every local round that was begun has received the weights, and every update
        that came was sent, whatever became of it.

        Args:
            institutions: Their training and validation rows.
            seed: Of initialisation, order and the clock.
            folder: Where a killed fit goes on from; None keeps nothing.

        Returns:
            The model.
        """
        fitted = self.federated.fit(institutions, seed=seed, folder=folder)
        (run,) = fitted.runs
        names = [i.institution for i in institutions]
        clock = build_clock(self.config, names, seed)
        flushes = [clock.next_flush() for _ in range(run.rounds)]
        uploads = sum(len(flush.arrivals) + len(flush.late) for flush in flushes)
        each = communication.traffic_per_round(self.federated.learner.process.next)
        run = dataclasses.replace(
            run,
            bytes_down=clock.downloads * each.bytes_down,
            bytes_up=uploads * each.bytes_up,
        )
        return dataclasses.replace(fitted, runs=(run,))
